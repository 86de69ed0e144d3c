"""The databases that everything in this folder is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from tests.idempotency.shop import TABLE, Shop
from troth.participant.fencing import MYSQL_TABLE

SERVICES = pytest.mark.services
KINDS = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("psycopg", id="postgres", marks=SERVICES),
    pytest.param("psycopg-async", id="postgres-async", marks=SERVICES),
    pytest.param("serializable", id="postgres-serializable", marks=SERVICES),
    pytest.param("asyncpg", id="asyncpg", marks=SERVICES),
    pytest.param("pymysql", id="mariadb", marks=SERVICES),
    pytest.param("asyncmy", id="mariadb-async", marks=SERVICES),
    pytest.param("sessions", id="sqlalchemy-sessions"),
    pytest.param("async-sessions", id="sqlalchemy-async-sessions", marks=SERVICES),
]


def uri_of(request: pytest.FixtureRequest) -> str:
    """An empty schema on the session's PostgreSQL."""
    server: Any = request.getfixturevalue("postgres_server")
    uri: str = server.new_schema()
    return uri


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A database with a table of orders, behind one library, in one colour."""
    engine: Any = None
    file = f"sqlite:///{tmp_path / 'orders.db'}"
    match request.param:
        case "sqlite":
            made = Shop(file, "sync", "?")
        case "psycopg":
            made = Shop(uri_of(request), "sync", "%s")
        case "psycopg-async":
            made = Shop(uri_of(request), "async", "%s")
        case "serializable":
            made = Shop(uri_of(request), "sync", "%s", isolation="serializable")
        case "asyncpg":
            made = Shop(uri_of(request).replace("postgresql:", "postgresql+asyncpg:"), "async", ":?")
        case "pymysql" | "asyncmy":
            server: Any = request.getfixturevalue("mariadb_server")
            url = server.new_database()
            for table in (TABLE, MYSQL_TABLE):  # there none can be made inside of a transaction
                server.execute(table, url.rpartition("/")[2])
            made = Shop(url, "sync" if request.param == "pymysql" else "async", "%s", table=False)
        case "sessions":
            engine = create_engine(file)
            made = Shop(sessionmaker(engine), "sync", ":?")
        case _:
            engine = create_async_engine(uri_of(request).replace("postgresql:", "postgresql+psycopg:"))
            made = Shop(async_sessionmaker(engine), "async", ":?")
    yield made
    made.close()
    if engine is not None and made.colour == "sync":
        engine.dispose()
