"""What SQLAlchemy's exceptions mean: what the library's exception behind them means."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from troth.adapters.databases.faults import caused_by
from troth.ports.database import Faults


class CannotConnectError(SQLAlchemyError):
    """No connection could be made: nothing was sent."""


class SwallowedError(SQLAlchemyError):
    """An error rolled the session back, and the step went on as if it hadn't been."""


def behind(error: BaseException) -> BaseException:
    """The library's own exception."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


class SqlalchemyFaults:
    """See `troth.ports.database.Faults`.

    :param library: what the exceptions of the library behind mean.
    """

    def __init__(self, library: Faults) -> None:
        self._library = library

    def transient(self, error: BaseException) -> bool:
        return self._library.transient(behind(error))

    def rolled_back(self, error: BaseException) -> bool:
        return self._library.rolled_back(behind(error))

    def locked_out(self, error: BaseException) -> bool:
        return self._library.locked_out(behind(error))

    def lost(self, error: BaseException) -> bool:
        if isinstance(error, CannotConnectError):
            return False
        gone = isinstance(error, DBAPIError) and error.connection_invalidated
        return gone or self._library.lost(behind(error))

    def no_table(self, error: BaseException) -> bool:
        return self._library.no_table(behind(error))

    def poisoned(self, error: BaseException) -> bool:
        return self._library.poisoned(behind(error))

    def own(self, error: BaseException) -> bool:
        return caused_by(error, SQLAlchemyError)
