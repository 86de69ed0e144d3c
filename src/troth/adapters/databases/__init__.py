"""Databases that steps run on: one module per driver library. `open_driver` finds the one for a target."""

from __future__ import annotations

import importlib.util
from typing import Any

from troth.ports.database import Driver
from troth.ports.errors import ConfigurationError

TARGETS = (
    "sqlite:///relative.db, sqlite:////absolute.db, postgresql://user@host/dbname, postgresql+asyncpg://…,"
    " mysql://user@host/dbname, mariadb://…, django://alias, or of SQLAlchemy an Engine, AsyncEngine, sessionmaker or"
    " async_sessionmaker"
)
MYSQL = ("mysql", "mysql+pymysql", "mysql+asyncmy", "mariadb", "mariadb+pymysql", "mariadb+asyncmy")
"""Schemes of MariaDB and MySQL. The library goes by the step's colour, so the spellings with one mean the same."""


def open_driver(target: Any, **options: Any) -> Driver:
    """The driver for a target. Nothing is opened.

    :param target: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``postgresql://…``, ``postgresql+asyncpg://…``,
        ``mysql://…``, ``mariadb://…`` or ``django://alias``; or of SQLAlchemy an Engine, AsyncEngine, sessionmaker or
        async_sessionmaker.
    :param options: for a server ``pool_size`` (connections per colour and event loop), ``isolation``; see each driver.
    :raises ConfigurationError: if the target or an option is none that we know, or its library isn't installed.
    """
    if _is_sqlalchemy(target):
        return _sqlalchemy(target, options)
    if not isinstance(target, str):
        raise ConfigurationError(f"the database target {target!r} is none that troth knows. Use {TARGETS}.")
    scheme = target.partition("://")[0].lower() if "://" in target else ""
    try:
        if scheme == "sqlite":
            from troth.adapters.databases.sqlite3 import SqliteDriver

            return SqliteDriver(target, **options)
        if scheme in ("postgresql", "postgres"):
            return _postgres(target, options)
        if scheme in MYSQL:
            return _mysql(target, options)
        if scheme == "postgresql+asyncpg":
            return _asyncpg(target, options)
        if scheme == "django":
            return _django(target, options)
    except TypeError as error:
        if options:
            raise ConfigurationError(f"{target.partition('?')[0]}: {error}. Leave that option out.") from None
        raise
    raise ConfigurationError(f"the database target {target!r} is none that troth knows. Use {TARGETS}.")


def _is_sqlalchemy(target: Any) -> bool:
    """True for an object of SQLAlchemy's; told by its classes' modules, so that nothing is imported for it."""
    return any(kind.__module__.partition(".")[0] == "sqlalchemy" for kind in type(target).__mro__)


def _sqlalchemy(target: Any, options: dict[str, Any]) -> Driver:
    if options:
        raise ConfigurationError(f"{', '.join(options)}: an engine has its own options. Give them to create_engine.")
    from troth.adapters.databases.sqlalchemy import open_sqlalchemy

    return open_sqlalchemy(target)


def _postgres(target: str, options: dict[str, Any]) -> Driver:
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigurationError("a postgresql:// database needs psycopg 3: pip install 'troth[postgres]'")
    from troth.adapters.databases.psycopg import PostgresDriver

    return PostgresDriver(target, **options)


def _mysql(target: str, options: dict[str, Any]) -> Driver:
    if importlib.util.find_spec("pymysql") is None or importlib.util.find_spec("asyncmy") is None:
        raise ConfigurationError("a mysql:// database needs PyMySQL and asyncmy: pip install 'troth[mysql]'")
    from troth.adapters.databases.mysql_driver import MysqlDriver

    return MysqlDriver(target, **options)


def _asyncpg(target: str, options: dict[str, Any]) -> Driver:
    if importlib.util.find_spec("asyncpg") is None:
        raise ConfigurationError("a postgresql+asyncpg:// database needs asyncpg: pip install 'troth[asyncpg]'")
    from troth.adapters.databases.asyncpg import AsyncpgDriver

    return AsyncpgDriver(target, **options)


def _django(target: str, options: dict[str, Any]) -> Driver:
    if importlib.util.find_spec("django") is None:
        raise ConfigurationError("a django:// database needs Django: pip install 'troth[django]'")
    from troth.adapters.databases.django import DjangoDriver

    return DjangoDriver(target, **options)


__all__ = ["open_driver"]
