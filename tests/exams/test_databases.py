"""Every database adapter sits the exam of its port, in each of its colours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from troth.app.databases import open_database
from troth.testing.exams.database import DatabaseExam
from troth.testing.exams.database_bench import Bench, Deed
from troth.testing.servers.postgres import PostgresServer

SQLITE_FORBIDDEN: Mapping[str, Callable[[Any], Any]] = {
    "commit": lambda db: db.commit(),
    "rollback": lambda db: db.rollback(),
    "close": lambda db: db.close(),
    "with db": lambda db: db.__enter__(),
    "executescript": lambda db: db.executescript("SELECT 1"),
    "isolation_level": lambda db: setattr(db, "isolation_level", "DEFERRED"),
}
POSTGRES_FORBIDDEN: Mapping[str, Callable[[Any], Any]] = {
    "commit": lambda db: db.commit(),
    "rollback": lambda db: db.rollback(),
    "close": lambda db: db.close(),
    "autocommit": lambda db: db.set_autocommit(False),
    "isolation level": lambda db: db.set_isolation_level(None),
    "tpc_begin": lambda db: db.tpc_begin("x"),
}
LATE = Deed(
    sql=(
        "CREATE TABLE IF NOT EXISTS late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO late VALUES (1), (1)",
    )
)
"""A deed whose constraint fails at COMMIT."""
SQLITE_LATE = Deed(
    sql=(
        "CREATE TABLE late (n INTEGER PRIMARY KEY)",
        "CREATE TABLE child (n INTEGER REFERENCES late (n) DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO child VALUES (1)",
    )
)
"""The same where foreign keys are enforced."""


def busy() -> sqlite3.OperationalError:
    """What SQLite raises for a lock that is held."""
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


class TestSqlite(DatabaseExam):
    """SQLite through sqlite3."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        """A database in a file of its own."""
        bench = Bench(
            lambda: open_database("exam", f"sqlite:///{tmp_path / 'exam.db'}"),
            "sync", mark="?", conflict=busy, forbidden=SQLITE_FORBIDDEN, uncommittable=SQLITE_LATE,
        )  # fmt: skip
        assert list(tmp_path.iterdir()) == []
        bench.prepare()
        yield bench
        bench.close()

    def test_c11_an_error_from_commit_is_unknown(self, bench: Bench) -> None:
        """A foreign key that is checked at COMMIT; SQLite enforces those only where a connection is told to."""
        pool = bench.database.driver.pool  # type: ignore[attr-defined]
        connection = pool.take(1.0)
        connection.execute("PRAGMA foreign_keys = ON")
        pool.give(connection)
        super().test_c11_an_error_from_commit_is_unknown(bench)


def postgres_bench(server: PostgresServer, colour: str, isolation: str) -> Iterator[Bench]:
    """A schema of its own on the session's server."""
    import psycopg

    uri = server.new_schema()
    bench = Bench(
        lambda: open_database("exam", uri, pool_size=4, isolation=isolation),
        colour, mark="%s", conflict=lambda: psycopg.errors.DeadlockDetected("deadlock detected"),
        forbidden=POSTGRES_FORBIDDEN, uncommittable=LATE,
    )  # fmt: skip
    bench.prepare()
    yield bench
    bench.close()


@pytest.mark.services
class TestPostgresSync(DatabaseExam):
    """PostgreSQL through psycopg 3, in threads."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own."""
        yield from postgres_bench(postgres_server, "sync", "read committed")


@pytest.mark.services
class TestPostgresAsync(DatabaseExam):
    """PostgreSQL through psycopg 3, in tasks."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own."""
        yield from postgres_bench(postgres_server, "async", "read committed")


@pytest.mark.services
class TestPostgresRepeatableRead(DatabaseExam):
    """PostgreSQL where a conflicting insert can't be seen and fails to serialize instead."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own."""
        yield from postgres_bench(postgres_server, "sync", "repeatable read")


@pytest.mark.services
class TestPostgresSerializable(DatabaseExam):
    """PostgreSQL at its strictest, in tasks."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own."""
        yield from postgres_bench(postgres_server, "async", "serializable")
