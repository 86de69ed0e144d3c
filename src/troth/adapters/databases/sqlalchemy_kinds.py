"""What differs between the databases behind SQLAlchemy: how a local transaction begins, and how it leaves a connection."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from sqlalchemy.engine import Engine

from troth.adapters.databases import dialects, mysql, postgres
from troth.adapters.databases import sqlite3 as sqlite
from troth.adapters.databases.sqlalchemy_guard import StepConnection
from troth.ports.database import Dialect, Faults
from troth.ports.errors import ConfigurationError

Undo = Callable[[], None]


class Kind(Protocol):
    """One database system.

    :param default: the isolation level that is assumed until a connection tells it.
    """

    faults: Faults
    default: str

    def dialect(self, isolation: str) -> Dialect:
        """How the barrier speaks at an isolation level."""
        ...

    def wait(self, patience: float) -> Undo:
        """Before a connection is taken for writing: stand in line. Answers how to leave it."""
        ...

    def opened(self, connection: StepConnection, write: bool, patience: float) -> Undo:
        """After SQLAlchemy's own begin: make it ours. Answers what to undo before the connection goes back."""
        ...


def nothing() -> None:
    """Undo nothing."""


class Postgres:
    """PostgreSQL through psycopg, psycopg2 or asyncpg."""

    faults: Faults = postgres.StateFaults()
    default = "read committed"

    def dialect(self, isolation: str) -> Dialect:
        return dialects.postgres(isolation)

    def wait(self, patience: float) -> Undo:
        return nothing

    def opened(self, connection: StepConnection, write: bool, patience: float) -> Undo:
        connection.exec_driver_sql(postgres.lock_bound(patience))
        return nothing


class Mysql:
    """MariaDB and MySQL through PyMySQL or asyncmy."""

    faults: Faults = mysql.NumberFaults()
    default = "repeatable read"

    def dialect(self, isolation: str) -> Dialect:
        return dialects.MYSQL

    def wait(self, patience: float) -> Undo:
        return nothing

    def opened(self, connection: StepConnection, write: bool, patience: float) -> Undo:
        bound = mysql.lock_bound(patience)
        connection.exec_driver_sql(
            "SET @troth_wait = @@SESSION.innodb_lock_wait_timeout, SESSION innodb_lock_wait_timeout = " + str(bound)
        )
        raw = connection.connection

        def undo() -> None:
            cursor = raw.cursor()
            cursor.execute("SET SESSION innodb_lock_wait_timeout = @troth_wait")
            cursor.close()

        return undo


class _Before(NamedTuple):
    """How a sqlite3 connection was set."""

    isolation_level: Any
    autocommit: Any
    busy_timeout: int


class Sqlite:
    """A SQLite file.

    sqlite3 begins a transaction by itself, before the first INSERT and without the write lock: two that both read first
    and then write would fail. So while a step has the connection sqlite3 begins nothing, and we begin with the lock.
    """

    faults: Faults = sqlite.SqliteFaults()
    default = "serializable"

    def __init__(self, engine: Engine) -> None:
        self._path = engine.url.database or ""
        if self._path in ("", ":memory:") or "mode=memory" in str(engine.url):
            raise ConfigurationError(
                "the SQLite engine has no file, and effects must outlive the process. Use sqlite:///relative.db."
            )
        self._writer = threading.Lock()

    def dialect(self, isolation: str) -> Dialect:
        return dialects.SQLITE

    def wait(self, patience: float) -> Undo:
        if not self._writer.acquire(timeout=patience):
            raise sqlite.StayedLockedError(sqlite.locked(self._path, patience))
        return self._writer.release

    def opened(self, connection: StepConnection, write: bool, patience: float) -> Undo:
        raw: Any = connection.connection.dbapi_connection
        if raw.in_transaction:  # a listener has begun one, or sqlite3's autocommit=False
            raw.rollback()
        before = self._taken(raw, patience)
        try:
            raw.execute("BEGIN IMMEDIATE" if write else "BEGIN").close()
        except sqlite3.OperationalError as error:
            raise sqlite.StayedLockedError(sqlite.locked(self._path, patience)) from error

        def undo() -> None:
            raw.execute(f"PRAGMA busy_timeout = {before.busy_timeout}").close()
            raw.isolation_level = before.isolation_level
            if before.autocommit is not None:
                raw.autocommit = before.autocommit

        return undo

    @staticmethod
    def _taken(raw: Any, patience: float) -> _Before:
        autocommit = getattr(raw, "autocommit", None)
        if autocommit is not None:
            raw.autocommit = sqlite3.LEGACY_TRANSACTION_CONTROL  # type: ignore[attr-defined,unused-ignore]
        (busy,) = raw.execute("PRAGMA busy_timeout").fetchone()
        before = _Before(raw.isolation_level, autocommit, busy)
        raw.isolation_level = None
        raw.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}").close()
        return before


def kind_of(engine: Engine) -> Kind:
    """The database system behind an engine.

    :raises ConfigurationError: if it is none that the barrier knows.
    """
    match engine.dialect.name:
        case "sqlite":
            return Sqlite(engine)
        case "postgresql":
            return Postgres()
        case "mysql" | "mariadb":
            return Mysql()
        case other:
            raise ConfigurationError(
                f"the barrier doesn't know {other!r}. Use an engine for SQLite, PostgreSQL, MariaDB or MySQL."
            )
