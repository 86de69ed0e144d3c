"""``manage.py check``: the settings, and that every step and saga is defined in a way that works."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from django.db import connections

from troth.adapters.databases.django import DjangoDriver, dialect_of
from troth.integrations.django.configuration import no_store, read, under_test
from troth.ports.errors import ConfigurationError, TrothError


def check_settings(**_: Any) -> list[CheckMessage]:
    """troth.E001: a setting is wrong. troth.E002: nothing says where the log is. troth.W001: see the hint."""
    try:
        found = read()
    except ConfigurationError as error:
        return [Error(str(error), id="troth.E001")]
    if not found.store and not under_test():
        return [Error(str(no_store()), id="troth.E002")]
    if found.store.startswith("memory:") and not under_test():
        return [
            Warning(
                "troth's log is in memory: what is in flight is forgotten when the process ends.",
                hint="Name a file for everything but tests, which have a log in memory anyway.",
                id="troth.W001",
            )
        ]
    return []


def check_definitions(**_: Any) -> list[CheckMessage]:
    """troth.E003: a step is on a database that has no barrier. troth.E004: a definition can't work."""
    try:
        read()
    except ConfigurationError:
        return []  # said already
    from troth.integrations.django import troth

    found: list[CheckMessage] = []
    for database in troth.databases.values():
        if isinstance(database.driver, DjangoDriver):
            try:
                dialect_of(connections[database.driver.alias])
            except ConfigurationError as error:
                found.append(Error(str(error), id="troth.E003"))
    try:
        troth.check()
    except TrothError as error:
        found.append(Error(str(error), id="troth.E004"))
    return found
