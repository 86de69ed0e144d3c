"""Answering a script's requests with psycopg, in both colours. What is sent is written once; only sending differs."""

from __future__ import annotations

import asyncio
import os
import time
from functools import lru_cache
from typing import Any, Protocol, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from troth.adapters.databases.pool import AsyncPool, Pool
from troth.adapters.databases.psycopg_connection import AsyncStepConnection, StepConnection
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


class Opening(Protocol):
    """What a session needs of its driver."""

    def begin(self, patience: float) -> bytes:
        """BEGIN with the driver's isolation, and a bound for every lock."""
        ...


@lru_cache(maxsize=64)
def placed(sql: str) -> bytes:
    """A statement of ours with psycopg's placeholders."""
    return sql.replace("?", "%s").encode()


def answer_of(cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any], rows: list[Any]) -> Answer:
    """What a statement did."""
    return Answer(max(cursor.rowcount, 0), rows)


def share_of(most: float) -> float:
    """Seconds between nothing and *most*, by chance."""
    return most * os.urandom(1)[0] / 255


def no_transaction() -> psycopg.ProgrammingError:
    """For a request that needs one."""
    return psycopg.ProgrammingError("no local transaction is open")


class SyncSession:
    """Answers one script's requests in a thread."""

    def __init__(self, opening: Opening, pool: Pool[StepConnection], effect: Effect | None) -> None:
        self._opening = opening
        self._pool = pool
        self._effect = effect
        self._connection: StepConnection | None = None

    @property
    def connection(self) -> StepConnection:
        """The connection of the local transaction that is open."""
        if self._connection is None:
            raise no_transaction()
        return self._connection

    def perform(self, request: Request) -> Any:
        match request:
            case Execute(sql, params):
                return self.execute(placed(sql), params)
            case RunEffect(stored):
                effect = cast("Effect", self._effect)
                connection = self.connection
                try:
                    return effect(connection, stored)
                finally:
                    connection.tidy()
            case Begin(_, patience):
                self._connection = self._pool.take(patience)
                self.execute(self._opening.begin(patience))
            case Commit():
                self.execute(b"COMMIT")
                self._release(healthy=True)
            case Rollback():
                self.rollback()
            case Discard():
                self.discard()
            case Pause(most):
                time.sleep(share_of(most))
        return None

    def execute(self, sql: bytes, params: Any = None) -> Answer:
        """One statement of ours; without parameters it is not prepared, so it may be several."""
        cursor = self.connection.cursor(row_factory=tuple_row)
        cursor.execute(sql, params or None, prepare=None if params else False)
        return answer_of(cursor, cursor.fetchall() if cursor.description else [])

    def rollback(self) -> None:
        """Roll back; a connection that can't is closed, which does."""
        if self._connection is None:
            return
        try:
            self.execute(b"ROLLBACK")
        except psycopg.Error:
            self.discard()
        else:
            self._release(healthy=True)

    def discard(self) -> None:
        """Close the connection, if there is one; if it was broken, what is idle is as old and goes too."""
        if self._connection is not None and self._connection.broken:
            self._pool.clear()
        self._release(healthy=False)

    def _release(self, healthy: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give(connection, healthy and is_idle(connection))


class AsyncSession:
    """Answers one script's requests in a task."""

    def __init__(self, opening: Opening, pool: AsyncPool[AsyncStepConnection], effect: AsyncEffect | None) -> None:
        self._opening = opening
        self._pool = pool
        self._effect = effect
        self._connection: AsyncStepConnection | None = None

    @property
    def connection(self) -> AsyncStepConnection:
        """The connection of the local transaction that is open."""
        if self._connection is None:
            raise no_transaction()
        return self._connection

    async def perform(self, request: Request) -> Any:
        match request:
            case Execute(sql, params):
                return await self.execute(placed(sql), params)
            case RunEffect(stored):
                effect = cast("AsyncEffect", self._effect)
                connection = self.connection
                try:
                    return await effect(connection, stored)
                finally:
                    connection.tidy()
            case Begin(_, patience):
                self._connection = await self._pool.take(patience)
                await self.execute(self._opening.begin(patience))
            case Commit():
                await self.execute(b"COMMIT")
                self._release(healthy=True)
            case Rollback():
                await self.rollback()
            case Discard():
                self.discard()
            case Pause(most):
                await asyncio.sleep(share_of(most))
        return None

    async def execute(self, sql: bytes, params: Any = None) -> Answer:
        """One statement of ours; see `SyncSession.execute`."""
        cursor = self.connection.cursor(row_factory=tuple_row)
        await cursor.execute(sql, params or None, prepare=None if params else False)
        return answer_of(cursor, await cursor.fetchall() if cursor.description else [])

    async def rollback(self) -> None:
        """Roll back; a connection that can't is closed, which does."""
        if self._connection is None:
            return
        try:
            await self.execute(b"ROLLBACK")
        except psycopg.Error:
            self.discard()
        else:
            self._release(healthy=True)

    def discard(self) -> None:
        """Close the connection without waiting; see `SyncSession.discard`."""
        if self._connection is not None and self._connection.broken:
            self._pool.clear()
        self._release(healthy=False)

    def _release(self, healthy: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give(connection, healthy and is_idle(connection))


def is_idle(connection: StepConnection | AsyncStepConnection) -> bool:
    """True if the server waits for a new transaction: only then may another call have the connection."""
    return connection.pgconn.transaction_status == TransactionStatus.IDLE
