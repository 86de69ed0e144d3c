"""MariaDB sits the exam of databases: PyMySQL and asyncmy, by themselves and behind SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from tests.exams.test_sqlalchemy import async_bench, sync_bench
from troth.adapters.databases import open_driver
from troth.participant.database import Guarded
from troth.testing.exams.database import DatabaseExam
from troth.testing.exams.database_bench import OPEN, Bench
from troth.testing.servers.mariadb import MariadbServer

pytestmark = pytest.mark.services

FORBIDDEN: Mapping[str, Callable[[Any], Any]] = {
    "commit": lambda db: db.commit(),
    "rollback": lambda db: db.rollback(),
    "close": lambda db: db.close(),
    "begin": lambda db: db.begin(),
    "autocommit": lambda db: db.autocommit(True),
    "with db": lambda db: (getattr(db, "__enter__", None) or db.__aenter__)(),
}


def speak(db: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """To PyMySQL's connection."""
    with db.cursor() as cursor:
        cursor.execute(sql, tuple(params) or None)
        return list(cursor.fetchall())


async def aspeak(db: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """To asyncmy's connection."""
    async with db.cursor() as cursor:
        await cursor.execute(sql, tuple(params) or None)
        return list(await cursor.fetchall())


def deadlock() -> Exception:
    """What PyMySQL raises for one; asyncmy's has the same number."""
    import pymysql

    return pymysql.err.OperationalError(1213, "Deadlock found when trying to get lock")


def with_notes(server: MariadbServer) -> str:
    """A database with the table of notes: CREATE TABLE commits, so no local transaction can hold it."""
    url = server.new_database()
    server.execute(OPEN, url.rpartition("/")[2])
    return url


def mysql_bench(server: MariadbServer, colour: str, isolation: str) -> Iterator[Bench]:
    """A database of its own on the session's server."""
    url = with_notes(server)
    bench = Bench(
        lambda: Guarded("exam", open_driver(url, pool_size=4, isolation=isolation), purge_every=20),
        colour, mark="%s", conflict=deadlock, forbidden=FORBIDDEN,
        speak=speak if colour == "sync" else aspeak,
    )  # fmt: skip
    yield bench
    bench.close()


class TestPymysql(DatabaseExam):
    """MariaDB through PyMySQL, at its own isolation level."""

    @pytest.fixture
    def bench(self, mariadb_server: MariadbServer) -> Iterator[Bench]:
        """A database of its own."""
        yield from mysql_bench(mariadb_server, "sync", "repeatable read")


class TestAsyncmy(DatabaseExam):
    """MariaDB through asyncmy, where every statement has a snapshot of its own."""

    @pytest.fixture
    def bench(self, mariadb_server: MariadbServer) -> Iterator[Bench]:
        """A database of its own."""
        yield from mysql_bench(mariadb_server, "async", "read committed")


class TestPymysqlSession(DatabaseExam):
    """A sessionmaker on MariaDB through PyMySQL."""

    @pytest.fixture
    def bench(self, mariadb_server: MariadbServer) -> Iterator[Bench]:
        """A database of its own."""
        url = with_notes(mariadb_server).replace("mysql://", "mysql+pymysql://")
        yield from sync_bench(sa.create_engine(url), True, "%s", deadlock(), None)


class TestAsyncmySession(DatabaseExam):
    """An async_sessionmaker on MariaDB through asyncmy, at its strictest."""

    @pytest.fixture
    def bench(self, mariadb_server: MariadbServer) -> Iterator[Bench]:
        """A database of its own."""
        url = with_notes(mariadb_server).replace("mysql://", "mariadb+asyncmy://")
        yield from async_bench(url, True, "%s", deadlock(), None, isolation_level="SERIALIZABLE")
