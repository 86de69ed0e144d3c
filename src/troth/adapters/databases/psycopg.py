"""PostgreSQL through psycopg 3, in both colours."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from troth.adapters.databases.dialects import postgres
from troth.adapters.databases.driving import adrive, drive
from troth.adapters.databases.pool import AsyncPool, Pool
from troth.adapters.databases.psycopg_connection import AsyncStepConnection, StepConnection
from troth.adapters.databases.psycopg_faults import CannotConnectError, PostgresFaults
from troth.adapters.databases.psycopg_session import AsyncSession, SyncSession
from troth.core import limits
from troth.ports.database import AsyncEffect, Begin, Commit, Effect, Rollback, Script
from troth.ports.errors import ConfigurationError, DefinitionError

T = TypeVar("T")

POOL_SIZE: Final = 10
"""Connections per colour and event loop: PostgreSQL allows 100 in all unless told otherwise."""
CONNECT_TIMEOUT: Final = 10
"""Seconds to connect, unless the target says."""
_BEGIN: Final = Begin(write=True, patience=limits.PARTICIPANT_TIMEOUT)
ISOLATIONS: Final = ("read committed", "repeatable read", "serializable")


class PostgresDriver:
    """A PostgreSQL database behind psycopg 3; see `troth.ports.database.Driver`.

    :param target: a ``postgresql://`` URI.
    :param pool_size: connections at a time, for threads, and for each event loop.
    :param isolation: ``read committed`` (default), ``repeatable read`` or ``serializable``.
    :raises ConfigurationError: if one of them can't be used.
    """

    colours = frozenset({"sync", "async"})
    faults = PostgresFaults()

    def __init__(self, target: str, *, pool_size: int = POOL_SIZE, isolation: str = "read committed") -> None:
        try:
            settings = conninfo_to_dict(target)
        except psycopg.Error as error:
            said = str(error).strip()
            raise ConfigurationError(f"the target is no PostgreSQL URI that libpq can read: {said}") from None
        if isolation not in ISOLATIONS:
            raise ConfigurationError(f"isolation: {isolation!r} is none of {', '.join(ISOLATIONS)}")
        if pool_size < 1:
            raise ConfigurationError(f"pool_size: {pool_size} connections are too few. Use 1 or more.")
        settings.setdefault("connect_timeout", CONNECT_TIMEOUT)
        self._settings: dict[str, Any] = settings
        self._size = pool_size
        self._begin = f"BEGIN ISOLATION LEVEL {isolation.upper()}; SET LOCAL lock_timeout = "
        self.dialect = postgres(isolation)
        self._graveyard: list[Any] = []
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._guard = threading.Lock()
        self._threads: Pool[StepConnection] = Pool(self._connect, StepConnection.really_close, self._size)
        self._loops: dict[asyncio.AbstractEventLoop, AsyncPool[AsyncStepConnection]] = {}

    def begin(self, patience: float) -> bytes:
        """BEGIN, with a bound for every lock: the barrier's insert, and the step's own statements."""
        return f"{self._begin}{max(int(patience * 1000), 1)}".encode()

    def _connect(self) -> StepConnection:
        try:
            return StepConnection.connect(autocommit=True, **self._settings)
        except psycopg.Error as error:
            raise CannotConnectError(str(error)) from error

    async def _aconnect(self) -> AsyncStepConnection:
        try:
            return await AsyncStepConnection.connect(autocommit=True, **self._settings)
        except psycopg.Error as error:
            raise CannotConnectError(str(error)) from error

    @property
    def pool(self) -> Pool[StepConnection]:
        """This process's connections for threads."""
        if os.getpid() != self._pid:
            self.abandon()
        return self._threads

    @property
    def loop_pool(self) -> AsyncPool[AsyncStepConnection]:
        """The running event loop's connections; those of loops that have ended are closed."""
        if os.getpid() != self._pid:
            self.abandon()
        loop = asyncio.get_running_loop()
        with self._guard:
            pool = self._loops.get(loop)
            if pool is None:
                self._close_ended_loops()
                pool = self._loops[loop] = AsyncPool(self._aconnect, AsyncStepConnection.really_close, self._size)
        return pool

    def _close_ended_loops(self) -> None:
        for loop in [loop for loop in self._loops if loop.is_closed()]:
            pool = self._loops.pop(loop)
            for connection in pool.everything():
                connection.really_close()

    def drive(self, script: Script[T], effect: Effect | None = None) -> T:
        """Run a script to its end."""
        return drive(script, SyncSession(self, self.pool, effect))

    async def adrive(self, script: Script[T], effect: AsyncEffect | None = None) -> T:
        """The same in the other colour."""
        return await adrive(script, AsyncSession(self, self.loop_pool, effect))

    def plain(self, function: Callable[[Any], T]) -> T:
        """Run the function in a local transaction without a barrier."""
        session = SyncSession(self, self.pool, None)
        try:
            session.perform(_BEGIN)
            try:
                result = function(session.connection)
            finally:
                session.connection.tidy()
            _still_ours(session.connection)
            session.perform(Commit())
            return result
        except Exception:
            session.perform(Rollback())
            raise
        finally:
            session.discard()

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> T:
        """The same in the other colour."""
        session = AsyncSession(self, self.loop_pool, None)
        try:
            await session.perform(_BEGIN)
            try:
                result = await function(session.connection)
            finally:
                session.connection.tidy()
            _still_ours(session.connection)
            await session.perform(Commit())
            return result
        except Exception:
            await session.perform(Rollback())
            raise
        finally:
            session.discard()

    def close(self) -> None:
        """Close the threads' idle connections, and those of event loops that have ended; use opens them again."""
        self.pool.close()
        with self._guard:
            self._close_ended_loops()

    async def aclose(self) -> None:
        """Close the running loop's idle connections too."""
        self.close()
        self.loop_pool.close()

    def abandon(self) -> None:
        """In a forked child: drop the inherited sockets.

        Closing a connection would end the parent's session, so only the child's file descriptors are closed: an open
        copy would keep the server from seeing that the parent has died. psycopg closes nothing that it didn't open
        in this process.
        """
        pools: list[Pool[StepConnection] | AsyncPool[AsyncStepConnection]] = [self._threads, *self._loops.values()]
        inherited = os.getpid() != self._pid
        self._fresh()
        for connection in [connection for pool in pools for connection in pool.everything()]:
            if not inherited:
                connection.really_close()
                continue
            self._graveyard.append(connection)
            try:
                os.close(connection.pgconn.socket)
            except (OSError, psycopg.Error):
                pass  # it was closed already


def _still_ours(connection: StepConnection | AsyncStepConnection) -> None:
    status = connection.pgconn.transaction_status
    if status == TransactionStatus.INERROR:
        raise psycopg.errors.InFailedSqlTransaction("an error of the database was swallowed: nothing can be kept")
    if status != TransactionStatus.INTRANS:
        raise DefinitionError("the local transaction was ended inside the step: take COMMIT and ROLLBACK out of it")
