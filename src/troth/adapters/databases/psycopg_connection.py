"""The connections that a step on PostgreSQL gets: psycopg's own, except for what would end our local transaction.

They are in psycopg's autocommit mode, which here means: psycopg begins and ends nothing by itself, the driver sends
BEGIN and COMMIT. ``with db.transaction():`` inside a step is a savepoint, as ever.
"""

from __future__ import annotations

from typing import Any, NoReturn

import psycopg
from psycopg.rows import tuple_row

from troth.adapters.databases.guard import refuse


class StepConnection(psycopg.Connection[Any]):
    """psycopg's connection inside a step."""

    _pool: Any = None
    """Tells psycopg that the connection is in a pool: then ending with the program is normal, and no warning is due."""

    def tidy(self) -> None:
        """After the step: undo what it set on the connection."""
        self.row_factory = tuple_row

    def really_close(self) -> None:
        """Close it; the server rolls back."""
        super().close()

    def commit(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("commit")

    def rollback(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("rollback")

    def close(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def __enter__(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("with db")

    def set_autocommit(self, value: bool) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("autocommit")

    def set_isolation_level(self, value: Any) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("isolation_level")

    def tpc_begin(self, xid: Any) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("two-phase commit")


class AsyncStepConnection(psycopg.AsyncConnection[Any]):
    """The same in the other colour. What is refused is refused at the call, awaited or not."""

    _pool: Any = None

    def tidy(self) -> None:
        """After the step: undo what it set on the connection."""
        self.row_factory = tuple_row

    def really_close(self) -> None:
        """Close it without waiting, so that a cancelled task can; the server rolls back."""
        self._closed = True
        self.pgconn.finish()

    def commit(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("commit")

    def rollback(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("rollback")

    def close(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def __aenter__(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("with db")

    def set_autocommit(self, value: bool) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("autocommit")

    def set_isolation_level(self, value: Any) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("isolation_level")

    def tpc_begin(self, xid: Any) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("two-phase commit")
