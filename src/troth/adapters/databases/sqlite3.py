"""SQLite through the standard library's sqlite3: one writer at a time, by ``BEGIN IMMEDIATE``."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

from troth.adapters.databases.dialects import SQLITE
from troth.adapters.databases.driving import drive, plain
from troth.adapters.databases.faults import caused_by
from troth.adapters.databases.pool import Pool
from troth.adapters.databases.session import ended, share_of
from troth.adapters.databases.sqlite3_connection import StepConnection, connect
from troth.adapters.forks import rests_at_forks
from troth.ports.database import (
    Answer,
    AsyncEffect,
    Begin,
    Commit,
    Discard,
    Effect,
    Execute,
    Pause,
    Request,
    Rollback,
    RunEffect,
    Script,
)  # fmt: skip
from troth.ports.errors import ConfigurationError, DefinitionError

T = TypeVar("T")

CONNECTIONS: Final = 64
"""Connections at a time: one writes, the others read or wait."""
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_SPOILS: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOTADB})


class StayedLockedError(sqlite3.OperationalError):
    """The database's one write lock did not become free."""


def locked(path: str, patience: float) -> str:
    """Words for a write lock that did not become free."""
    return (
        f"{path} stayed locked for {patience:g} s by another local transaction. Keep steps short; inside a step use its"
        " own db, never another connection to the same file."
    )


def _code(error: BaseException) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


class SqliteFaults:
    """What sqlite3's exceptions mean; see `troth.ports.database.Faults`."""

    def transient(self, error: BaseException) -> bool:
        return isinstance(error, sqlite3.Error) and _code(error) in _BUSY

    def rolled_back(self, error: BaseException) -> bool:
        return self.transient(error)  # the transaction stays open, and closing the connection rolls it back

    def locked_out(self, error: BaseException) -> bool:
        return False  # the write lock is taken before anything is looked at

    def lost(self, error: BaseException) -> bool:
        return False

    def no_table(self, error: BaseException) -> bool:
        return isinstance(error, sqlite3.OperationalError) and "no such table: troth_barrier" in str(error)

    def poisoned(self, error: BaseException) -> bool:
        return False

    def own(self, error: BaseException) -> bool:
        return caused_by(error, sqlite3.Error)


class _Session:
    """Answers one script's requests."""

    def __init__(self, driver: SqliteDriver, effect: Effect | None) -> None:
        self._driver = driver
        self._effect = effect
        self._connection: StepConnection | None = None
        self._pool = driver.pool
        self._lock: threading.Lock | None = None
        self._healthy = True

    @property
    def connection(self) -> StepConnection:
        """The connection of the local transaction that is open."""
        if self._connection is None:
            raise sqlite3.ProgrammingError("no local transaction is open")
        return self._connection

    def perform(self, request: Request) -> Any:
        match request:
            case Execute(sql, params):
                return self._execute(sql, params)
            case RunEffect(stored):
                return self.run(lambda connection: self._run(connection, stored))
            case Begin(write, patience):
                return self.begin(write, patience)
            case Commit():
                self.connection.statement("COMMIT")
                return self._release()
            case Rollback():
                return self.rollback()
            case Discard():
                return self.discard()
            case Pause(most):
                return time.sleep(share_of(most))

    def _execute(self, sql: str, params: Any) -> Answer:
        try:
            return Answer(*self.connection.statement(sql, params))
        except sqlite3.Error as error:
            self._healthy = self._healthy and _code(error) not in _SPOILS
            raise

    def _run(self, connection: StepConnection, stored: Any) -> Any:
        if self._effect is None:
            raise TypeError("a script without an effect asked for one")
        return self._effect(connection, stored)

    def still_ours(self) -> None:
        """Raise unless the local transaction is open."""
        if not self.connection.in_transaction:
            raise ended()

    def run(self, function: Callable[[StepConnection], T]) -> T:
        """Run the user's function on the connection, and leave the connection as if it hadn't been."""
        connection = self.connection
        try:
            return function(connection)
        except sqlite3.Error as error:
            self._healthy = self._healthy and _code(error) not in _SPOILS
            raise
        finally:
            connection.tidy()

    def begin(self, write: bool, patience: float) -> None:
        """Take a connection, and the write lock: first this process's, so that its threads wait in line."""
        if write:
            lock = self._driver.writer
            if not lock.acquire(timeout=patience):
                raise StayedLockedError(locked(self._driver.path, patience))
            self._lock = lock
            self._driver.writing = threading.get_ident()
        try:
            self._pool = self._driver.pool
            connection = self._connection = self._pool.take(patience)
            self._healthy = True
            connection.statement(f"PRAGMA busy_timeout = {int(patience * 1000)}")
            connection.statement("BEGIN IMMEDIATE" if write else "BEGIN")
        except sqlite3.OperationalError as error:
            connected = self._connection is not None
            self.discard()
            if connected and _code(error) in _BUSY:
                raise StayedLockedError(locked(self._driver.path, patience)) from error
            raise
        except BaseException:
            self.discard()
            raise

    def rollback(self) -> None:
        """Roll back; a connection that can't is closed, which does."""
        connection = self._connection
        if connection is None:
            return
        try:
            if connection.in_transaction:
                connection.statement("ROLLBACK")
        except sqlite3.Error:
            self.discard()
        else:
            self._release()

    def discard(self) -> None:
        """Close the connection, if there is one."""
        self._healthy = False
        self._release()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        lock, self._lock = self._lock, None
        try:
            if connection is not None:
                self._pool.give(connection, self._healthy)
        finally:
            if lock is not None:
                self._driver.writing = 0
                lock.release()


class SqliteDriver:
    """A SQLite file behind sqlite3; see `troth.ports.database.Driver`.

    :param target: ``sqlite:///relative.db`` (to the current directory, now) or ``sqlite:////absolute.db``.
    :raises ConfigurationError: if it names no file.
    """

    colours = frozenset({"sync"})
    dialect = SQLITE
    faults = SqliteFaults()

    def __init__(self, target: str) -> None:
        path = target.partition("://")[2]
        if not path.startswith("/") or len(path) < 2 or path.endswith(("/", ":memory:")):
            raise ConfigurationError(
                f"{target!r} names no database file, and effects must outlive the process."
                " Use sqlite:///relative.db or sqlite:////absolute.db."
            )
        self.path = os.path.abspath(path[1:])
        self._graveyard: list[StepConnection] = []
        self._fresh()
        rests_at_forks(self)

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self.writer = threading.Lock()
        self.writing = 0
        self._pool: Pool[StepConnection] = Pool(lambda: connect(self.path), StepConnection.really_close, CONNECTIONS)

    @property
    def pool(self) -> Pool[StepConnection]:
        """This process's connections."""
        if os.getpid() != self._pid:
            self.abandon()
        return self._pool

    def drive(self, script: Script[T], effect: Effect | None = None) -> T:
        """Run a script to its end."""
        return drive(script, _Session(self, effect))

    async def adrive(self, script: Script[T], effect: AsyncEffect | None = None) -> NoReturn:
        """Refused: sqlite3 blocks.

        :raises DefinitionError: always.
        """
        raise DefinitionError("sqlite3 blocks the event loop: make the step a plain def; call it with `.aio(…)`")

    def plain(self, function: Callable[[Any], T]) -> T:
        """Run the function in a local transaction without a barrier."""
        return plain(_Session(self, None), function)

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> NoReturn:
        """Refused: sqlite3 blocks.

        :raises DefinitionError: always.
        """
        raise DefinitionError("sqlite3 blocks the event loop: make the step a plain def; call it with `.aio(…)`")

    def close(self) -> None:
        """Close what is idle; use opens it again."""
        self.pool.close()

    async def aclose(self) -> None:
        """The same."""
        self.close()

    def rest(self, patience: float) -> Callable[[], None] | None:
        """Have no connection open while the process forks; see `troth.adapters.forks`.

        A fork inside of a step doesn't wait for that step to end.
        """
        return None if self.writing == threading.get_ident() else self._pool.rest(patience)

    def abandon(self) -> None:
        """Forget the inherited connections: SQLite forbids to use or close them after a fork.

        They are kept for ever, by one reference more than Python counts, or the interpreter's end would close them.
        """
        pool, inherited = self._pool, os.getpid() != self._pid
        self._fresh()
        for connection in pool.everything():
            if not inherited:
                connection.really_close()
                continue
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
            self._graveyard.append(connection)
