"""What Django's database exceptions mean; see `troth.ports.database.Faults`. By the codes of the library beneath."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db import Error, InterfaceError, OperationalError
from django.db.transaction import TransactionManagementError

from troth.adapters.databases import mysql

CONFLICTS: Final = frozenset({"40001", "40P01", *mysql.CONFLICTS})
"""serialization_failure, deadlock_detected, and MySQL's: rolled back for another's sake."""
SQLITE_BUSY: Final = frozenset({5, 6})
"""SQLITE_BUSY, SQLITE_LOCKED."""
LOCKED_OUT: Final = frozenset({"55P03", mysql.LOCK_WAIT_TIMEOUT})
"""lock_not_available, and MySQL's."""
NO_TABLE: Final = frozenset({"42P01", mysql.NO_TABLE})
"""undefined_table, and MySQL's."""
ENDED: Final = frozenset({"57P01", "57P02", "57P03", *mysql.LOST})
"""The server ended the connection: PostgreSQL's shutdowns, and MySQL's."""


class CannotConnectError(OperationalError):
    """No connection could be made: nothing was sent."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def code_of(error: BaseException) -> Any:
    """The code that the library beneath Django gave: a SQLSTATE, or MySQL's number; None for none."""
    native = error.__cause__ if isinstance(error, Error) else None
    if native is None:
        return None
    number = mysql.number_of(native)
    return number if number >= 0 else getattr(native, "sqlstate", None) or getattr(native, "pgcode", None)


def _busy(error: BaseException) -> bool:
    native = error.__cause__ if isinstance(error, Error) else None
    return (getattr(native, "sqlite_errorcode", None) or 0) & 0xFF in SQLITE_BUSY


class DjangoFaults:
    """What Django's exceptions mean."""

    def transient(self, error: BaseException) -> bool:
        return code_of(error) in CONFLICTS or _busy(error)

    def rolled_back(self, error: BaseException) -> bool:
        return self.transient(error)

    def locked_out(self, error: BaseException) -> bool:
        return code_of(error) in LOCKED_OUT

    def lost(self, error: BaseException) -> bool:
        if isinstance(error, CannotConnectError) or not isinstance(error, (OperationalError, InterfaceError)):
            return False
        native = error.__cause__
        if native is None or hasattr(native, "sqlite_errorcode"):
            return False
        code = code_of(error)
        return code is None or code in ENDED or (isinstance(code, str) and code.startswith("08"))

    def no_table(self, error: BaseException) -> bool:
        return code_of(error) in NO_TABLE or (isinstance(error, Error) and "no such table: troth_barrier" in str(error))

    def poisoned(self, error: BaseException) -> bool:
        return isinstance(error, TransactionManagementError) or code_of(error) == "25P02"

    def own(self, error: BaseException) -> bool:
        return any(isinstance(link, Error) for link in chain(error))
