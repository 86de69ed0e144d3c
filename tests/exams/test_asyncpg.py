"""asyncpg sits the exam of databases, by itself and behind SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import asyncpg
import pytest

from tests.exams.test_databases import LATE
from tests.exams.test_sqlalchemy import async_bench
from troth.adapters.databases import open_driver
from troth.participant.database import Guarded
from troth.testing.exams.database import DatabaseExam
from troth.testing.exams.database_bench import Bench
from troth.testing.servers.postgres import PostgresServer

pytestmark = pytest.mark.services

FORBIDDEN: Mapping[str, Callable[[Any], Any]] = {
    "close": lambda db: db.close(),
    "terminate": lambda db: db.terminate(),
    "reset": lambda db: db.reset(),
}


async def speak(db: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """To asyncpg's connection."""
    return [tuple(row) for row in await db.fetch(sql, *params)]


def asyncpg_bench(server: PostgresServer, isolation: str) -> Iterator[Bench]:
    """A schema of its own on the session's server."""
    uri = schema(server).replace("postgresql://", "postgresql+asyncpg://")
    bench = Bench(
        lambda: Guarded("exam", open_driver(uri, pool_size=4, isolation=isolation), purge_every=20),
        "async", mark="$", conflict=lambda: asyncpg.DeadlockDetectedError("deadlock detected"),
        forbidden=FORBIDDEN, uncommittable=LATE, speak=speak,
    )  # fmt: skip
    bench.prepare()
    yield bench
    bench.close()


def schema(server: PostgresServer) -> str:
    """An empty schema, named the way asyncpg's URLs do: a parameter is a server setting."""
    return server.new_schema().replace("options=-csearch_path%3D", "search_path=")


class TestAsyncpg(DatabaseExam):
    """PostgreSQL through asyncpg, above its own isolation level."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own."""
        yield from asyncpg_bench(postgres_server, "repeatable read")


class TestAsyncpgEngine(DatabaseExam):
    """An AsyncEngine on PostgreSQL through asyncpg."""

    @pytest.fixture
    def bench(self, postgres_server: PostgresServer) -> Iterator[Bench]:
        """A schema of its own; asyncpg is told of it as of a server setting."""
        plain, _, name = schema(postgres_server).partition("?search_path=")
        settings = {"server_settings": {"search_path": name}}
        url = plain.replace("postgresql://", "postgresql+asyncpg://")
        error = asyncpg.DeadlockDetectedError("deadlock detected")
        yield from async_bench(url, False, "$", error, LATE, connect_args=settings)
