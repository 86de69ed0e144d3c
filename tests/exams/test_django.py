"""Django's databases sit the exam of their port: a step's connection is Django's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django", reason="Django isn't installed")
from django.db import OperationalError, connections

from tests.exams.django_aliases import alias_for, postgres_alias
from troth.adapters.databases import open_driver
from troth.participant.database import Guarded
from troth.testing.exams.database import DatabaseExam
from troth.testing.exams.database_bench import OPEN, Bench, Deed
from troth.testing.servers.mariadb import MariadbServer
from troth.testing.servers.postgres import PostgresServer

FORBIDDEN: Mapping[str, Callable[[Any], Any]] = {
    "commit": lambda db: db.commit(),
    "rollback": lambda db: db.rollback(),
    "close": lambda db: db.close(),
    "autocommit": lambda db: db.set_autocommit(True),
}


def speak(db: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """To Django's connection."""
    with db.cursor() as cursor:
        cursor.execute(sql, params or None)
        return list(cursor.fetchall()) if cursor.description else []


def subject(alias: str) -> Callable[[], Guarded]:
    """Makes the database of an alias."""
    return lambda: Guarded("exam", open_driver(f"django://{alias}"), purge_every=20)


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
    connections[alias].ensure_connection()
    speak(connections[alias], OPEN, ())  # on MariaDB it commits, so no local transaction can hold it
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
            Bench(
                subject(alias),
                "sync", mark="%s", speak=speak, conflict=busy, forbidden=FORBIDDEN, uncommittable=Deed(sql=late),
            ),
            alias,
        )  # fmt: skip


@pytest.mark.services
class TestDjangoPostgres(DatabaseExam):
    """PostgreSQL in Django's settings, in threads, at its strictest isolation: the usual one is the same without a lock."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own."""
        import psycopg

        alias = postgres_alias(postgres_server.new_schema(), psycopg.IsolationLevel.SERIALIZABLE)

        def deadlock() -> OperationalError:
            error = OperationalError("deadlock detected")
            error.__cause__ = psycopg.errors.DeadlockDetected("deadlock detected")
            return error

        late = (
            "CREATE TABLE IF NOT EXISTS late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO late VALUES (1), (1)",
        )
        yield from examined(
            Bench(
                subject(alias),
                "sync", mark="%s", speak=speak, conflict=deadlock, forbidden=FORBIDDEN, uncommittable=Deed(sql=late),
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
            Bench(
                subject(alias),
                "sync", mark="%s", speak=speak, conflict=deadlock, forbidden=FORBIDDEN,
            ),
            alias,
        )  # fmt: skip
