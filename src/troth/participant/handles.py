"""Speaking SQL on a connection that a user hands in, whatever library it is of, inside the local transaction it has open.

A script yields `Execute`s with ``?`` for each parameter, as the barrier's do; here they are answered. A library is known
by its name, never imported: who hands in its connection has imported it.

| library | colour |
|---|---|
| sqlite3 | sync |
| psycopg, psycopg2 | sync, psycopg also async |
| asyncpg | async |
| PyMySQL, mysqlclient, mysql-connector, mariadb | sync |
| asyncmy, aiomysql | async |
| SQLAlchemy connections and sessions | both |
| Django's ``connections[alias]`` | sync |
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from troth.ports.database import Answer, Execute, Script
from troth.ports.errors import ConfigurationError, WrongColour
from troth.ports.scripts import arun, placed, run

T = TypeVar("T")

_FAMILIES: Final = {
    "sqlite3": "sqlite",
    "psycopg": "postgresql", "psycopg2": "postgresql", "asyncpg": "postgresql",
    "pymysql": "mysql", "MySQLdb": "mysql", "mysql": "mysql", "mariadb": "mysql", "asyncmy": "mysql", "aiomysql": "mysql",
    "sqlalchemy": "", "django": "",
}  # fmt: skip
"""The database behind each library; "": the connection says."""
_ALWAYS_ASYNC: Final = frozenset({"asyncpg", "asyncmy", "aiomysql"})
_ASYNC_CLASSES: Final = frozenset({"AsyncConnection", "AsyncSession"})


class Handle(NamedTuple):
    """What is known of a connection.

    :param library: the first part of its module's name.
    :param family: ``sqlite``, ``postgresql``, ``mysql`` or another name of SQLAlchemy's.
    """

    db: Any
    library: str
    family: str
    is_async: bool


def handle_of(db: Any) -> Handle:
    """What is known of a connection.

    :raises ConfigurationError: if it is none of a library we know.
    """
    kinds = type(db).__mro__
    library = next((root for kind in kinds if (root := kind.__module__.partition(".")[0]) in _FAMILIES), "")
    if not library:
        raise ConfigurationError(
            f"{db!r} is no connection of a library that troth knows. Pass the `db` that a step gets, or a connection or session "
            f"of {', '.join(_FAMILIES)}."
        )
    is_async = library in _ALWAYS_ASYNC or any(kind.__name__ in _ASYNC_CLASSES for kind in kinds)
    if library == "sqlalchemy":
        bind = db.get_bind() if hasattr(db, "get_bind") else db
        family = str(bind.dialect.name).replace("mariadb", "mysql")
    else:
        family = _FAMILIES[library] or str(getattr(db, "vendor", ""))
    return Handle(db, library, family, is_async)


def speak(handle: Handle, script: Script[T], spelling: str) -> T:
    """Run a script of `Execute`s.

    :param spelling: the awaitable one, for the error.
    :raises WrongColour: if the connection is awaited.
    """
    if handle.is_async:
        raise WrongColour(f"this connection is awaited. Write: await {spelling}(…)")
    return run(script, partial(_execute, handle))


async def aspeak(handle: Handle, script: Script[T], spelling: str) -> T:
    """`speak` in the other colour.

    :param spelling: the blocking one, for the error.
    :raises WrongColour: if the connection blocks.
    """
    if not handle.is_async:
        raise WrongColour(f"this connection isn't awaited. Write: {spelling}(…)")
    return await arun(script, partial(_aexecute, handle))


def _execute(handle: Handle, request: Any) -> Answer:
    sql, params = _statement(request)
    db = handle.db
    if handle.library == "sqlalchemy":
        connection = db.connection() if hasattr(db, "get_bind") else db
        return _told(connection.exec_driver_sql(placed(sql, connection.dialect.paramstyle), params))
    cursor = db.cursor(**_plain_rows(handle))
    try:
        cursor.execute(placed(sql, "qmark" if handle.library == "sqlite3" else "format"), params)
        rows = _rows(cursor.fetchall()) if cursor.description else []
        return Answer(max(cursor.rowcount, 0), rows)
    finally:
        cursor.close()


async def _aexecute(handle: Handle, request: Any) -> Answer:
    sql, params = _statement(request)
    db = handle.db
    if handle.library == "sqlalchemy":
        connection = await db.connection() if hasattr(db, "get_bind") else db
        return _told(await connection.exec_driver_sql(placed(sql, connection.dialect.paramstyle), params))
    if handle.library == "asyncpg":
        sql = placed(sql, "numeric_dollar")
        if sql.startswith("SELECT"):
            return Answer(0, _rows(await db.fetch(sql, *params)))
        count = str(await db.execute(sql, *params)).rpartition(" ")[2]  # "UPDATE 1"
        return Answer(int(count) if count.isdecimal() else 0)
    async with db.cursor(**_plain_rows(handle)) as cursor:
        await cursor.execute(placed(sql, "format"), params)
        rows = _rows(await cursor.fetchall()) if cursor.description else []
        return Answer(max(cursor.rowcount, 0), rows)


def _statement(request: Any) -> tuple[str, tuple[Any, ...]]:
    if not isinstance(request, Execute):
        raise TypeError(f"a script on a user's connection asked for {request!r}")
    return request.sql, tuple(request.params)


def _plain_rows(handle: Handle) -> dict[str, Any]:
    """What makes psycopg return tuples, whatever the user has set on the connection."""
    return {"row_factory": sys.modules["psycopg.rows"].tuple_row} if handle.library == "psycopg" else {}


def _rows(found: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Rows as tuples: a user's connection may be set to return dicts."""
    return [tuple(row.values()) if isinstance(row, Mapping) else tuple(row) for row in found]


def _told(result: Any) -> Answer:
    """SQLAlchemy's result."""
    return Answer(0, _rows(result.fetchall())) if result.returns_rows else Answer(max(result.rowcount, 0))


def in_transaction(handle: Handle) -> bool | None:
    """Whether the next statement is part of a local transaction; None where the library can't say."""
    db = handle.db
    match handle.library:
        case "sqlite3":
            begins = db.isolation_level is not None if getattr(db, "autocommit", -1) == -1 else not db.autocommit
            return bool(db.in_transaction or begins)
        case "psycopg":
            return bool(db.info.transaction_status != 0 or not db.autocommit)
        case "psycopg2":
            return not db.autocommit
        case "asyncpg":
            return bool(db.is_in_transaction())
        case "django":
            return bool(db.in_atomic_block or not db.get_autocommit())
        case "pymysql" | "asyncmy" | "aiomysql":
            status = getattr(db, "server_status", None)
            return None if status is None else bool(status & 1 or not db.get_autocommit())
        case _:
            return None


def refuse_outside(handle: Handle, what: str) -> None:
    """Raise unless a local transaction is open, as far as the library can say.

    :raises ConfigurationError: if none is.
    """
    if in_transaction(handle) is False:
        _outside(what)


def _outside(what: str) -> NoReturn:
    raise ConfigurationError(
        f"{what} is called outside of a local transaction, so it would protect nothing that is written after it. "
        "Call it first in the transaction that writes: in a step or once function, or after BEGIN."
    )
