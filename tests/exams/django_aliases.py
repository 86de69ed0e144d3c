"""Databases in the settings of a Django that is set up in the test's own process."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.db import connections
from psycopg.conninfo import conninfo_to_dict


def set_up() -> None:
    """Django with the barest settings, once in a process."""
    if not settings.configured:
        settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
        django.setup()


def alias_for(**parts: Any) -> str:
    """An alias of its own, for one test."""
    set_up()
    alias = f"exam{len(connections.settings)}"
    plain = {key: value for key, value in connections.settings["default"].items() if key != "TEST"}
    connections.settings[alias] = {**plain, "OPTIONS": {}, **parts}
    return alias


def postgres_alias(uri: str, level: Any = None, **parts: Any) -> str:
    """An alias for a PostgreSQL URI.

    :param level: psycopg's `IsolationLevel`.
    """
    found = conninfo_to_dict(uri)
    options = {"options": found.get("options", ""), **({"isolation_level": level} if level is not None else {})}
    place = {"NAME": found["dbname"], "USER": found["user"], "HOST": found["host"], "PORT": found["port"]}
    return alias_for(ENGINE="django.db.backends.postgresql", OPTIONS=options, **place, **parts)
