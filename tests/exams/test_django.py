"""Django's databases sit the exam of their port: a step's connection is Django's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

pytest.importorskip("django", reason="Django isn't installed")
from django.db import OperationalError, connections

from tests.exams.django_aliases import alias_for, postgres_alias
from troth.app.databases import open_database
from troth.ports.caller import Call
from troth.testing.exams.database import DatabaseExam
from troth.testing.exams.database_bench import Bench, Deed
from troth.testing.servers.mariadb import MariadbServer
from troth.testing.servers.postgres import PostgresServer

FORBIDDEN: Mapping[str, Callable[[Any], Any]] = {
    "commit": lambda db: db.connection.commit(),
    "rollback": lambda db: db.connection.rollback(),
    "close": lambda db: db.connection.close(),
    "autocommit": lambda db: db.connection.set_autocommit(True),
}


class Statements:
    """Django's connection, with the one method that the exam's deeds use."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        cursor = self.connection.cursor()
        cursor.execute(sql, params or None)
        return cursor


class DjangoBench(Bench):
    """A bench whose effects get Django's connection."""

    def effect(self, call: Call, deed: Deed) -> Callable[[Any, Raw | None], Raw]:
        run = super().effect(call, deed)
        return lambda db, stored: run(Statements(db), stored)

    def plain(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        def ask(db: Any) -> list[Any]:
            cursor = Statements(db).execute(sql, params)
            return list(cursor.fetchall()) if cursor.description else []

        return self.database.plain(ask)


def busy() -> OperationalError:
    """What Django raises for a lock that is held."""
    native = sqlite3.OperationalError("database is locked")
    native.sqlite_errorcode = sqlite3.SQLITE_BUSY
    error = OperationalError("database is locked")
    error.__cause__ = native
    return error


def examined(bench: Bench, alias: str) -> Iterator[Bench]:
    """The bench, prepared; at its end nothing is open."""
    assert connections[alias].connection is None
    bench.prepare()
    connections[alias].ensure_connection()
    if connections[alias].vendor == "sqlite":
        connections[alias].cursor().execute("PRAGMA synchronous = OFF")
    yield bench
    bench.close()
    connections[alias].close()


class TestDjangoSqlite(DatabaseExam):
    """SQLite in Django's settings, in threads."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        """A database in a file of its own. Django enforces foreign keys, at COMMIT where they are deferred."""
        alias = alias_for(NAME=str(tmp_path / "exam.db"))
        late = (
            "CREATE TABLE late (n INTEGER PRIMARY KEY)",
            "CREATE TABLE child (n INTEGER REFERENCES late (n) DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO child VALUES (1)",
        )
        yield from examined(
            DjangoBench(
                lambda: open_database("exam", f"django://{alias}"),
                "sync", mark="%s", conflict=busy, forbidden=FORBIDDEN, uncommittable=Deed(sql=late),
            ),
            alias,
        )  # fmt: skip


@pytest.mark.services
@pytest.mark.parametrize("level", [None, "SERIALIZABLE"], scope="class")
class TestDjangoPostgres(DatabaseExam):
    """PostgreSQL in Django's settings, in threads, at its usual and at its strictest isolation."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer, level: str | None) -> Iterator[Bench]:
        """A schema of its own."""
        import psycopg

        isolation = getattr(psycopg.IsolationLevel, level) if level else None
        alias = postgres_alias(postgres_server.new_schema(), isolation)

        def deadlock() -> OperationalError:
            error = OperationalError("deadlock detected")
            error.__cause__ = psycopg.errors.DeadlockDetected("deadlock detected")
            return error

        late = (
            "CREATE TABLE IF NOT EXISTS late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO late VALUES (1), (1)",
        )
        yield from examined(
            DjangoBench(
                lambda: open_database("exam", f"django://{alias}"),
                "sync", mark="%s", conflict=deadlock, forbidden=FORBIDDEN, uncommittable=Deed(sql=late),
            ),
            alias,
        )  # fmt: skip


@pytest.mark.services
class TestDjangoMariadb(DatabaseExam):
    """MariaDB in Django's settings, through PyMySQL in the place of mysqlclient."""

    @pytest.fixture
    def bench(self, mariadb_server: MariadbServer) -> Iterator[Bench]:
        """A database of its own."""
        import pymysql

        pymysql.install_as_MySQLdb()
        alias = alias_for(
            ENGINE="django.db.backends.mysql",
            NAME=mariadb_server.new_database().rpartition("/")[2], USER="root", HOST="127.0.0.1", PORT=mariadb_server.port,
        )  # fmt: skip

        def deadlock() -> OperationalError:
            error = OperationalError(1213, "Deadlock found")
            error.__cause__ = pymysql.err.OperationalError(1213, "Deadlock found")
            return error

        yield from examined(
            DjangoBench(
                lambda: open_database("exam", f"django://{alias}"),
                "sync", mark="%s", conflict=deadlock, forbidden=FORBIDDEN,
            ),
            alias,
        )  # fmt: skip
