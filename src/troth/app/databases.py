"""Databases that steps run on: a driver and the barrier, put together."""

from __future__ import annotations

import re
from typing import Any

from troth.adapters.databases import open_driver
from troth.core import limits
from troth.participant.database import Guarded
from troth.ports.errors import ConfigurationError

_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{limits.NAME_LENGTH - 1}}}")


def open_database(name: str, target: Any, **options: Any) -> Guarded:
    """A database for steps to run on; it satisfies `troth.ports.database.Database`. Nothing is opened.

    :param name: how errors and metrics call it.
    :param target: see `troth.adapters.databases.open_driver`.
    :param options: see `troth.adapters.databases.open_driver`.
    :raises ConfigurationError: if the name, the target or an option is none that works.
    """
    check_resource_name("database", name)
    return Guarded(name, open_driver(target, **options))


def check_resource_name(kind: str, name: str) -> None:
    """Raise unless a database, or a broker, can be called so.

    :param kind: what it is, for the error.
    :raises ConfigurationError: naming what a name may hold.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"the {kind} name {name!r} may only hold letters, digits, '.', '_' and '-'")
