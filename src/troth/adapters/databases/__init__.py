"""Databases that steps run on: one module per driver library. `open_driver` finds the one for a target."""

from __future__ import annotations

import importlib.util
from typing import Any

from troth.ports.database import Driver
from troth.ports.errors import ConfigurationError

TARGETS = "sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host/dbname"


def open_driver(target: str, **options: Any) -> Driver:
    """The driver for a target. Nothing is opened.

    :param target: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://…``.
    :param options: for PostgreSQL ``pool_size`` (connections per colour and event loop) and ``isolation``.
    :raises ConfigurationError: if the target or an option is none that we know, or its library isn't installed.
    """
    scheme = target.partition("://")[0].lower() if "://" in target else ""
    try:
        if scheme == "sqlite":
            from troth.adapters.databases.sqlite3 import SqliteDriver

            return SqliteDriver(target, **options)
        if scheme in ("postgresql", "postgres"):
            return _postgres(target, options)
    except TypeError as error:
        if options:
            raise ConfigurationError(f"{target.partition('?')[0]}: {error}. Leave that option out.") from None
        raise
    raise ConfigurationError(f"the database target {target!r} is none that troth knows. Use {TARGETS}.")


def _postgres(target: str, options: dict[str, Any]) -> Driver:
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigurationError("a postgresql:// database needs psycopg 3: pip install 'troth[postgres]'")
    from troth.adapters.databases.psycopg import PostgresDriver

    return PostgresDriver(target, **options)


__all__ = ["open_driver"]
