"""What psycopg's exceptions mean; see `troth.ports.database.Faults`. By SQLSTATE, never by message."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import errors

CONFLICTS: Final = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected: rolled back for another's sake."""
ENDED: Final = frozenset({"57P01", "57P02", "57P03"})
"""admin_shutdown, crash_shutdown, cannot_connect_now: the server ended the connection."""


class CannotConnectError(psycopg.OperationalError):
    """No connection could be made: nothing was sent."""


class PostgresFaults:
    """What psycopg's exceptions mean."""

    def transient(self, error: BaseException) -> bool:
        return isinstance(error, psycopg.Error) and error.sqlstate in CONFLICTS

    def rolled_back(self, error: BaseException) -> bool:
        return self.transient(error)

    def locked_out(self, error: BaseException) -> bool:
        return isinstance(error, errors.LockNotAvailable)

    def lost(self, error: BaseException) -> bool:
        if isinstance(error, CannotConnectError) or not isinstance(error, psycopg.OperationalError):
            return False
        state = error.sqlstate
        return state is None or state.startswith("08") or state in ENDED

    def no_table(self, error: BaseException) -> bool:
        return isinstance(error, errors.UndefinedTable)

    def poisoned(self, error: BaseException) -> bool:
        return isinstance(error, errors.InFailedSqlTransaction)

    def own(self, error: BaseException) -> bool:
        link: BaseException | None = error
        while link is not None and not isinstance(link, psycopg.Error):
            link = link.__cause__ or link.__context__
        return link is not None
