"""PostgreSQL through psycopg 3, in both colours."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from troth.adapters.databases import dialects, driving, postgres
from troth.adapters.databases.pooled import TwoPools
from troth.adapters.databases.psycopg_connection import AsyncStepConnection, StepConnection
from troth.adapters.databases.psycopg_faults import CannotConnectError, PostgresFaults
from troth.adapters.databases.psycopg_session import AsyncSession, SyncSession
from troth.ports.database import AsyncEffect, Effect, Script
from troth.ports.errors import ConfigurationError

T = TypeVar("T")


class PostgresDriver(TwoPools[StepConnection, AsyncStepConnection]):
    """A PostgreSQL database behind psycopg 3; see `troth.ports.database.Driver`.

    :param target: a ``postgresql://`` URI.
    :param pool_size: connections at a time, for threads, and for each event loop.
    :param isolation: ``read committed`` (default), ``repeatable read`` or ``serializable``.
    :raises ConfigurationError: if one of them can't be used.
    """

    colours = frozenset({"sync", "async"})
    faults = PostgresFaults()

    def __init__(self, target: str, *, pool_size: int = postgres.POOL_SIZE, isolation: str = "read committed") -> None:
        try:
            settings = conninfo_to_dict(target)
        except psycopg.Error as error:
            said = str(error).strip()
            raise ConfigurationError(f"the target is no PostgreSQL URI that libpq can read: {said}") from None
        postgres.check_options(pool_size, isolation)
        settings.setdefault("connect_timeout", postgres.CONNECT_TIMEOUT)
        self._settings: dict[str, Any] = settings
        self._isolation = isolation
        self.dialect = dialects.postgres(isolation)
        super().__init__(pool_size)

    def connect(self) -> StepConnection:
        try:
            return StepConnection.connect(autocommit=True, **self._settings)
        except psycopg.Error as error:
            raise CannotConnectError(str(error)) from error

    async def aconnect(self) -> AsyncStepConnection:
        try:
            return await AsyncStepConnection.connect(autocommit=True, **self._settings)
        except psycopg.Error as error:
            raise CannotConnectError(str(error)) from error

    def end(self, connection: StepConnection | AsyncStepConnection) -> None:
        connection.really_close()

    def drop(self, connection: StepConnection | AsyncStepConnection) -> None:
        """psycopg closes nothing that it didn't open in this process, so keeping the object is enough."""
        try:
            os.close(connection.pgconn.socket)
        except (OSError, psycopg.Error):
            pass  # it was closed already

    def drive(self, script: Script[T], effect: Effect | None = None) -> T:
        """Run a script to its end."""
        return driving.drive(script, SyncSession(self._isolation, self.pool, effect))

    async def adrive(self, script: Script[T], effect: AsyncEffect | None = None) -> T:
        """The same in the other colour."""
        return await driving.adrive(script, AsyncSession(self._isolation, self.loop_pool, effect))

    def plain(self, function: Callable[[Any], T]) -> T:
        """Run the function in a local transaction without a barrier."""
        return driving.plain(SyncSession(self._isolation, self.pool), function)

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> T:
        """The same in the other colour."""
        return await driving.aplain(AsyncSession(self._isolation, self.loop_pool), function)
