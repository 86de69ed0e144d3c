"""One table of orders, on each database in each colour, for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

from troth import Troth
from troth.participant.database import Guarded

TABLE = "CREATE TABLE IF NOT EXISTS orders (id VARCHAR(40) PRIMARY KEY, state VARCHAR(20), n INTEGER, version INTEGER DEFAULT 1)"


class Shop:
    """A database of orders.

    :ivar mark: the placeholder of its library; ``:?`` stands for numbered ones.
    """

    def __init__(self, target: Any, colour: str, mark: str, *, table: bool = True, **options: Any) -> None:
        self.troth = Troth("memory://")
        self.database: Guarded = self.troth.database("orders", target, **options)
        self.colour = colour
        self.mark = mark
        self.runner = asyncio.Runner() if colour == "async" else None
        if table:
            self.do(TABLE)

    def run(self, call: Callable[[], Any]) -> Any:
        """Call, and await in the async colour."""
        if self.runner is None:
            return call()

        async def awaited() -> Any:
            return await call()

        return self.runner.run(awaited())

    def do(self, sql: str, *params: Any) -> list[Any]:
        """One statement in a local transaction of its own."""
        return list(self.plain(lambda db: execute(db, sql, *params), lambda db: aexecute(db, sql, *params)))

    def plain(self, function: Callable[[Any], Any], afunction: Callable[[Any], Any]) -> Any:
        """A function in a local transaction of its own."""
        if self.runner is None:
            return self.database.plain(function)
        return self.runner.run(self.database.aplain(afunction))

    def add(self, name: str, state: str = "created") -> None:
        """An order."""
        self.do(f"INSERT INTO orders (id, state, n) VALUES ({self.mark}, {self.mark}, 0)", name, state)

    def order(self, name: str) -> tuple[Any, ...] | None:
        """(state, n, version) of an order."""
        rows = self.do(f"SELECT state, n, version FROM orders WHERE id = {self.mark}", name)
        return tuple(rows[0]) if rows else None

    def close(self) -> None:
        """Close what was opened."""
        if self.runner is not None:
            self.runner.run(self.database.aclose())
            self.runner.close()
        self.database.close()


def numbered(sql: str, params: tuple[Any, ...]) -> tuple[str, dict[str, Any]]:
    """A statement with SQLAlchemy's named parameters."""
    parts = sql.split(":?")
    marked = "".join(f"{part}:p{number}" for number, part in enumerate(parts[:-1])) + parts[-1]
    return marked, {f"p{number}": value for number, value in enumerate(params)}


def execute(db: Any, sql: str, *params: Any) -> list[Any]:
    """One statement; its rows."""
    if ":?" in sql or not hasattr(db, "cursor"):
        marked, named = numbered(sql, params)
        result = db.execute(sqlalchemy.text(marked), named)
        return list(result.fetchall()) if result.returns_rows else []
    cursor = db.cursor()
    cursor.execute(sql, params)
    return list(cursor.fetchall()) if cursor.description else []


async def aexecute(db: Any, sql: str, *params: Any) -> list[Any]:
    """The same, awaited."""
    if hasattr(db, "fetch"):  # asyncpg
        parts = sql.split(":?")
        return list(await db.fetch("".join(f"{part}${at}" for at, part in enumerate(parts[:-1], 1)) + parts[-1], *params))
    if ":?" in sql or not hasattr(db, "cursor"):
        marked, named = numbered(sql, params)
        result = await db.execute(sqlalchemy.text(marked), named)
        return list(result.fetchall()) if result.returns_rows else []
    cursor = db.cursor()
    await cursor.execute(sql, params)
    return list(await cursor.fetchall()) if cursor.description else []


SERVICES = pytest.mark.services
LIBRARIES = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("psycopg", id="postgres", marks=SERVICES),
    pytest.param("psycopg-async", id="postgres-async", marks=SERVICES),
    pytest.param("serializable", id="postgres-serializable", marks=SERVICES),
    pytest.param("asyncpg", id="asyncpg", marks=SERVICES),
    pytest.param("pymysql", id="mariadb", marks=SERVICES),
    pytest.param("asyncmy", id="mariadb-async", marks=SERVICES),
]
"""Each library but SQLAlchemy, in each colour; see `shop_of`."""


def lent_shop(kind: str, request: pytest.FixtureRequest, folder: Path, mysql_tables: tuple[str, ...]) -> Iterator[Shop]:
    """A database with a table of orders, behind one library, in one colour, for as long as a fixture lasts.

    :param mysql_tables: created beforehand on MariaDB, where none can be made inside of a transaction.
    """
    made, engine = shop_of(kind, request, folder, mysql_tables)
    yield made
    made.close()
    if engine is not None and made.colour == "sync":
        engine.dispose()


def shop_of(kind: str, request: pytest.FixtureRequest, folder: Path, mysql_tables: tuple[str, ...]) -> tuple[Shop, Any]:
    """The shop, and its engine if it has one; see `lent_shop`."""
    file = f"sqlite:///{folder / 'orders.db'}"
    if kind == "sqlite":
        return Shop(file, "sync", "?"), None
    if kind == "sqlite-sessions":
        engine: Any = sqlalchemy.create_engine(file)
        return Shop(sessionmaker(engine), "sync", ":?"), engine
    if "my" in kind:
        server: Any = request.getfixturevalue("mariadb_server")
        url = server.new_database()
        for table in (TABLE, *mysql_tables):
            server.execute(table, url.rpartition("/")[2])
        if kind != "mysql-sessions":
            return Shop(url, "sync" if kind == "pymysql" else "async", "%s", table=False), None
        engine = sqlalchemy.create_engine(url.replace("mysql:", "mysql+pymysql:").replace("mariadb:", "mysql+pymysql:"))
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
