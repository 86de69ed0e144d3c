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

    def tidy(self) -> None:
        """After the step: undo what it set on the connection."""
        self.row_factory = tuple_row

    def really_close(self) -> None:
        """Close it; the server rolls back."""
        super().close()

    def commit(self) -> NoReturn:
        refuse("commit")

    def rollback(self) -> NoReturn:
        refuse("rollback")

    def close(self) -> NoReturn:
        refuse("close")

    def __enter__(self) -> NoReturn:
        refuse("with db")

    def set_autocommit(self, value: bool) -> NoReturn:
        refuse("autocommit")

    def set_isolation_level(self, value: Any) -> NoReturn:
        refuse("isolation_level")

    def tpc_begin(self, xid: Any) -> NoReturn:
        refuse("two-phase commit")


class AsyncStepConnection(psycopg.AsyncConnection[Any]):
    """The same in the other colour. What is refused is refused at the call, awaited or not."""

    def tidy(self) -> None:
        """After the step: undo what it set on the connection."""
        self.row_factory = tuple_row

    def really_close(self) -> None:
        """Close it without waiting, so that a cancelled task can; the server rolls back."""
        self._closed = True
        self.pgconn.finish()

    def commit(self) -> NoReturn:
        refuse("commit")

    def rollback(self) -> NoReturn:
        refuse("rollback")

    def close(self) -> NoReturn:
        refuse("close")

    def __aenter__(self) -> NoReturn:
        refuse("with db")

    def set_autocommit(self, value: bool) -> NoReturn:
        refuse("autocommit")

    def set_isolation_level(self, value: Any) -> NoReturn:
        refuse("isolation_level")

    def tpc_begin(self, xid: Any) -> NoReturn:
        refuse("two-phase commit")
