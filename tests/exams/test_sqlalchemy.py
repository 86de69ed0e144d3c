"""SQLAlchemy's engines and session factories sit the exam of databases, in each colour and over each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from tests.exams.test_databases import LATE, SQLITE_LATE, busy
from troth.adapters.databases import open_driver
from troth.participant.database import Guarded
from troth.testing.exams.database import DatabaseExam
from troth.testing.exams.database_bench import Bench, Deed
from troth.testing.servers.postgres import PostgresServer

FORBIDDEN: Mapping[str, Callable[[Any], Any]] = {
    "commit": lambda db: db.commit(),
    "rollback": lambda db: db.rollback(),
    "close": lambda db: db.close(),
    "begin": lambda db: db.begin(),
    "with db": lambda db: (getattr(db, "__enter__", None) or db.__aenter__)(),
    "invalidate": lambda db: db.invalidate(),
}


def rows_of(made: Any) -> list[Any]:
    """The rows of a result, if it has any."""
    return list(made.fetchall()) if made.returns_rows else []


def speak(db: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """To a Connection, or a Session."""
    connection = db.connection() if isinstance(db, Session) else db
    return rows_of(connection.exec_driver_sql(sql, tuple(params)))


async def aspeak(db: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """To an AsyncConnection, or an AsyncSession."""
    connection = await db.connection() if isinstance(db, AsyncSession) else db
    return rows_of(await connection.exec_driver_sql(sql, tuple(params)))


def conflict(error: Exception) -> Callable[[], Exception]:
    """The library's error as SQLAlchemy wraps it."""
    return lambda: sa.exc.OperationalError("UPDATE …", {}, error)


def sync_bench(engine: sa.Engine, session: bool, mark: str, error: Exception, late: Deed | None) -> Iterator[Bench]:
    """A bench on a blocking engine."""
    target = sessionmaker(engine) if session else engine
    bench = Bench(
        lambda: Guarded("exam", open_driver(target), purge_every=20),
        "sync", mark=mark, conflict=conflict(error), forbidden=FORBIDDEN, uncommittable=late, speak=speak,
    )  # fmt: skip
    if engine.dialect.name not in ("mysql", "mariadb"):
        bench.prepare()
    yield bench
    bench.close()
    engine.dispose()


def async_bench(url: str, session: bool, mark: str, error: Exception, late: Deed | None, **options: Any) -> Iterator[Bench]:
    """A bench on an async engine."""
    engine = create_async_engine(url, **options)
    target = async_sessionmaker(engine) if session else engine
    bench = Bench(
        lambda: Guarded("exam", open_driver(target), purge_every=20),
        "async", mark=mark, conflict=conflict(error), forbidden=FORBIDDEN, uncommittable=late, speak=aspeak,
    )  # fmt: skip
    if engine.dialect.name not in ("mysql", "mariadb"):
        bench.prepare()
    yield bench
    bench.close()


def sqlite_bench(path: Path, session: bool) -> Iterator[Bench]:
    """A file of its own, with foreign keys, that are checked at COMMIT."""
    engine = sa.create_engine(f"sqlite:///{path / 'exam.db'}")
    event.listen(engine, "connect", lambda raw, record: raw.execute("PRAGMA foreign_keys = ON").close())
    yield from sync_bench(engine, session, "?", busy(), SQLITE_LATE)


class TestSqliteEngine(DatabaseExam):
    """A blocking engine on SQLite: steps get a Connection."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        """A file of its own."""
        yield from sqlite_bench(tmp_path, session=False)


class TestSqliteSession(DatabaseExam):
    """A sessionmaker on SQLite: steps get a Session."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        """A file of its own."""
        yield from sqlite_bench(tmp_path, session=True)


def psycopg_parts(server: PostgresServer) -> tuple[str, Exception]:
    """A schema's URL for SQLAlchemy, and psycopg's deadlock."""
    import psycopg

    uri = server.new_schema().replace("postgresql://", "postgresql+psycopg://")
    return uri, psycopg.errors.DeadlockDetected("deadlock detected")


@pytest.mark.services
class TestPsycopgSession(DatabaseExam):
    """A sessionmaker on PostgreSQL through psycopg."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own."""
        uri, error = psycopg_parts(postgres_server)
        yield from sync_bench(sa.create_engine(uri), True, "%s", error, LATE)


@pytest.mark.services
class TestPsycopgEngineSerializable(DatabaseExam):
    """An engine at the strictest isolation level, which is learnt from the first connection."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own."""
        uri, error = psycopg_parts(postgres_server)
        yield from sync_bench(sa.create_engine(uri, isolation_level="SERIALIZABLE"), False, "%s", error, LATE)


@pytest.mark.services
class TestPsycopgAsyncSession(DatabaseExam):
    """An async_sessionmaker on PostgreSQL through psycopg."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own."""
        uri, error = psycopg_parts(postgres_server)
        yield from async_bench(uri, True, "%s", error, LATE)
