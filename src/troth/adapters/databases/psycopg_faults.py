"""What psycopg's exceptions mean; see `troth.ports.database.Faults`."""

from __future__ import annotations

import psycopg

from troth.adapters.databases.faults import caused_by
from troth.adapters.databases.postgres import StateFaults


class CannotConnectError(psycopg.OperationalError):
    """No connection could be made: nothing was sent."""


class PostgresFaults(StateFaults):
    """What psycopg's exceptions mean."""

    def lost(self, error: BaseException) -> bool:
        if isinstance(error, CannotConnectError) or not isinstance(error, psycopg.OperationalError):
            return False
        return error.sqlstate is None or super().lost(error)

    def own(self, error: BaseException) -> bool:
        return caused_by(error, psycopg.Error)
