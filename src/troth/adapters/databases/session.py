"""Answering a script's requests on a connection of a pool, in both colours.

What differs between libraries is in a few methods: how a statement is sent, how a local transaction begins and ends,
and when another call may have the connection.
"""

from __future__ import annotations

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar, cast

from troth.adapters.databases.pool import AsyncPool, Pool, Shelf
from troth.ports.database import (
    Answer,
    AsyncEffect,
    Begin,
    Commit,
    Discard,
    Effect,
    Execute,
    Pause,
    Request,
    Rollback,
    RunEffect,
)
from troth.ports.errors import DefinitionError

T = TypeVar("T")
C = TypeVar("C")
P = TypeVar("P", bound="Shelf[Any]")
PLAIN: Final = "troth_plain"
"""A savepoint of a plain local transaction, which tells at its end whether it is still there."""


class NoTransactionError(RuntimeError):
    """A request that needs a local transaction came without one."""


def share_of(most: float) -> float:
    """Seconds between nothing and *most*, by chance."""
    return most * os.urandom(1)[0] / 255


def ended() -> DefinitionError:
    """For a plain local transaction that is gone at its end."""
    return DefinitionError(
        "the local transaction was ended inside the step: take COMMIT, ROLLBACK and what implies them out of it, as every"
        " CREATE, ALTER or DROP does on MariaDB and MySQL"
    )


class PooledConnection(ABC, Generic[C, P]):
    """One connection of a pool, while a local transaction is open on it."""

    def __init__(self, pool: P) -> None:
        self._pool = pool
        self._connection: C | None = None

    @property
    def connection(self) -> C:
        """The connection of the local transaction that is open."""
        if self._connection is None:
            raise NoTransactionError("no local transaction is open")
        return self._connection

    @abstractmethod
    def idle(self, connection: C) -> bool:
        """True if the server waits for a new transaction: only then may another call have the connection."""

    @abstractmethod
    def broken(self, connection: C) -> bool:
        """True if the connection is lost: then what is idle is as old, and goes too."""

    def tidy(self, connection: C) -> None:
        """After the user's function: undo what it set on the connection."""

    def discard(self) -> None:
        """Close the connection without waiting, if there is one."""
        if self._connection is not None and self.broken(self._connection):
            self._pool.clear()
        self._release(healthy=False)

    def _release(self, healthy: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give(connection, healthy and self.idle(connection))


class PooledSession(PooledConnection[C, Pool[C]]):
    """Answers one script's requests in a thread."""

    def __init__(self, pool: Pool[C], effect: Effect | None = None) -> None:
        super().__init__(pool)
        self._effect = effect

    @abstractmethod
    def execute(self, sql: str, params: Any = ()) -> Answer:
        """One statement of ours, ``?`` standing for each parameter."""

    @abstractmethod
    def begin(self, patience: float) -> None:
        """Begin, with a bound for every lock: the barrier's insert, and the step's own statements."""

    @abstractmethod
    def still_ours(self) -> None:
        """Raise unless the local transaction is open and can be committed."""

    def commit(self) -> None:
        """Commit."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Roll back."""
        self.execute("ROLLBACK")

    def perform(self, request: Request) -> Any:
        match request:
            case Execute(sql, params):
                return self.execute(sql, params)
            case RunEffect(stored):
                effect = cast("Effect", self._effect)
                return self.run(lambda connection: effect(connection, stored))
            case Begin(_, patience):
                self._connection = self._pool.take(patience)
                self.begin(patience)
            case Commit():
                self.commit()
                self._release(healthy=True)
            case Rollback():
                self._roll_back()
            case Discard():
                self.discard()
            case Pause(most):
                time.sleep(share_of(most))
        return None

    def run(self, function: Callable[[Any], T]) -> T:
        connection = self.connection
        try:
            return function(connection)
        finally:
            self.tidy(connection)

    def _roll_back(self) -> None:
        """Roll back; a connection that can't is closed, which does."""
        if self._connection is None:
            return
        try:
            self.rollback()
        except Exception:
            self.discard()
        else:
            self._release(healthy=True)


class AsyncPooledSession(PooledConnection[C, AsyncPool[C]]):
    """Answers one script's requests in a task."""

    def __init__(self, pool: AsyncPool[C], effect: AsyncEffect | None = None) -> None:
        super().__init__(pool)
        self._effect = effect

    @abstractmethod
    async def execute(self, sql: str, params: Any = ()) -> Answer:
        """One statement of ours, ``?`` standing for each parameter."""

    @abstractmethod
    async def begin(self, patience: float) -> None:
        """Begin; see `PooledSession.begin`."""

    @abstractmethod
    async def still_ours(self) -> None:
        """Raise unless the local transaction is open and can be committed."""

    async def commit(self) -> None:
        """Commit."""
        await self.execute("COMMIT")

    async def rollback(self) -> None:
        """Roll back."""
        await self.execute("ROLLBACK")

    async def perform(self, request: Request) -> Any:
        match request:
            case Execute(sql, params):
                return await self.execute(sql, params)
            case RunEffect(stored):
                effect = cast("AsyncEffect", self._effect)
                return await self.run(lambda connection: effect(connection, stored))
            case Begin(_, patience):
                self._connection = await self._pool.take(patience)
                await self.begin(patience)
            case Commit():
                await self.commit()
                self._release(healthy=True)
            case Rollback():
                await self._roll_back()
            case Discard():
                self.discard()
            case Pause(most):
                await asyncio.sleep(share_of(most))
        return None

    async def run(self, function: Callable[[Any], Awaitable[T]]) -> T:
        connection = self.connection
        try:
            return await function(connection)
        finally:
            self.tidy(connection)

    async def _roll_back(self) -> None:
        """Roll back; a connection that can't is closed, which does."""
        if self._connection is None:
            return
        try:
            await self.rollback()
        except Exception:
            self.discard()
        else:
            self._release(healthy=True)
