"""A database of Django's settings, by its alias: a step gets Django's own connection, and the ORM works inside it.

The barrier's row goes through ``connections[alias]`` of the step's thread, inside ``transaction.atomic(using=alias)``.
Inside a Django ``TestCase``, which wraps each test in a transaction, that is a savepoint.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Final, NoReturn, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction

from troth.adapters.databases import dialects
from troth.adapters.databases.django_faults import DjangoFaults
from troth.adapters.databases.django_session import DjangoSession, guarded
from troth.adapters.databases.django_threads import KEPT, close_elsewhere, keep_for_ever, put_down
from troth.adapters.databases.driving import drive
from troth.ports.database import AsyncEffect, Dialect, Effect, Script
from troth.ports.errors import ConfigurationError, DefinitionError

T = TypeVar("T")

ASYNC: Final = "Django's transactions block the event loop: make the step a plain def; await it with `.aio(…)`"
def dialect_of(connection: Any) -> Dialect:
    """The barrier's dialect for a Django connection, which is not opened.

    :raises ConfigurationError: for a kind of database that the barrier doesn't know.
    """
    vendor = connection.vendor
    if vendor == "sqlite":
        return dialects.SQLITE
    if vendor == "postgresql":
        level = connection.settings_dict.get("OPTIONS", {}).get("isolation_level")
        return dialects.postgres("read committed" if level is None else "serializable")
    if vendor == "mysql":
        return dialects.MYSQL
    raise ConfigurationError(
        f"the database {connection.alias!r} is {connection.display_name}: the barrier works in PostgreSQL, MariaDB, MySQL"
        " and SQLite. Run the step on another database, or without on= and with guarded=True if it is safe to repeat."
    )


class DjangoDriver:
    """A database of Django's settings; see `troth.ports.database.Driver`.

    :param target: ``django://alias``.
    :raises ConfigurationError: if there is no such alias, or its kind of database has no barrier.
    """

    colours = frozenset({"sync"})
    faults = DjangoFaults()

    def __init__(self, target: str) -> None:
        self.alias = target.partition("://")[2]
        try:
            known = list(connections)
        except ImproperlyConfigured as error:
            raise ConfigurationError(f"{target!r} needs Django's settings: {error}") from None
        if self.alias not in known:
            raise ConfigurationError(f"DATABASES has no {self.alias!r}. It has {', '.join(known)}.")
        self._pid = os.getpid()

    @cached_property
    def dialect(self) -> Dialect:
        """By the kind of database."""
        return dialect_of(connections[self.alias])

    def drive(self, script: Script[T], effect: Effect | None = None) -> T:
        """Run a script to its end."""
        self._look()
        return drive(script, DjangoSession(self.alias, effect))

    async def adrive(self, script: Script[T], effect: AsyncEffect | None = None) -> NoReturn:
        """Refused: Django's transactions block.

        :raises DefinitionError: always.
        """
        raise DefinitionError(ASYNC)

    def plain(self, function: Callable[[Any], T]) -> T:
        """Run the function in ``transaction.atomic``: inside such a block it is a part of it, by a savepoint."""
        self._look()
        connection = connections[self.alias]
        was_open = connection.connection is not None
        try:
            with transaction.atomic(using=self.alias), guarded(connection):
                return function(connection)
        finally:
            if not was_open:
                put_down(connection)

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> NoReturn:
        """Refused: Django's transactions block.

        :raises DefinitionError: always.
        """
        raise DefinitionError(ASYNC)

    def close(self) -> None:
        """Close what idle threads of troth keep. Connections of other threads are Django's to close."""
        self._look()
        KEPT.close()

    async def aclose(self) -> None:
        """The same."""
        self.close()

    def _look(self) -> None:
        if os.getpid() != self._pid:
            self.abandon()

    def abandon(self) -> None:
        """Forget this thread's connection and those of the parent's threads; in a forked child they are not closed.

        Closing an inherited SQLite handle would drop the parent's locks; closing another's would end its session.
        """
        inherited, self._pid = os.getpid() != self._pid, os.getpid()
        if inherited:
            KEPT.forget()
        own = [each for each in connections.all(initialized_only=True) if each.alias == self.alias]
        for connection in own:
            del connections[self.alias]
            if inherited:
                keep_for_ever(connection)
            else:
                close_elsewhere(connection)
