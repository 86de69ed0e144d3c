"""The databases that the outbox is tried on: each library in each colour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from tests.idempotency.shop import TABLE, Shop
from troth.ports.outbox import MYSQL

SERVICES = pytest.mark.services
KINDS = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("psycopg", id="postgres", marks=SERVICES),
    pytest.param("psycopg-async", id="postgres-async", marks=SERVICES),
    pytest.param("serializable", id="postgres-serializable", marks=SERVICES),
    pytest.param("asyncpg", id="asyncpg", marks=SERVICES),
    pytest.param("pymysql", id="mariadb", marks=SERVICES),
    pytest.param("asyncmy", id="mariadb-async", marks=SERVICES),
    pytest.param("sqlite-sessions", id="sqlalchemy-sqlite"),
    pytest.param("mysql-sessions", id="sqlalchemy-mariadb", marks=SERVICES),
    pytest.param("async-sessions", id="sqlalchemy-async-postgres", marks=SERVICES),
]


def shop_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> tuple[Shop, Any]:
    """A database with a table of orders, behind one library; and the engine, if it has one."""
    file = f"sqlite:///{folder / 'orders.db'}"
    if kind == "sqlite":
        return Shop(file, "sync", "?"), None
    if kind == "sqlite-sessions":
        engine: Any = create_engine(file)
        return Shop(sessionmaker(engine), "sync", ":?"), engine
    if "my" in kind:
        server: Any = request.getfixturevalue("mariadb_server")
        url = server.new_database()
        for table in (TABLE, *MYSQL):  # none can be made inside of a transaction there
            server.execute(table, url.rpartition("/")[2])
        if kind != "mysql-sessions":
            return Shop(url, "sync" if kind == "pymysql" else "async", "%s", table=False), None
        engine = create_engine(url.replace("mysql:", "mysql+pymysql:").replace("mariadb:", "mysql+pymysql:"))
        return Shop(sessionmaker(engine), "sync", ":?", table=False), engine
    server = request.getfixturevalue("postgres_server")
    uri = server.new_schema()
    if kind == "asyncpg":
        return Shop(uri.replace("postgresql:", "postgresql+asyncpg:"), "async", ":?"), None
    if kind == "async-sessions":
        engine = create_async_engine(uri.replace("postgresql:", "postgresql+psycopg:"))
        return Shop(async_sessionmaker(engine), "async", ":?"), engine
    level = {"isolation": "serializable"} if kind == "serializable" else {}
    return Shop(uri, "async" if kind == "psycopg-async" else "sync", "%s", **level), None


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """Each library."""
    made, engine = shop_of(request.param, request, tmp_path)
    yield made
    made.close()
    if engine is not None and made.colour == "sync":
        engine.dispose()
