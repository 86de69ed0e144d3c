"""Answering a script's requests with psycopg, in both colours."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from troth.adapters.databases.pool import AsyncPool, Pool
from troth.adapters.databases.postgres import opening
from troth.adapters.databases.psycopg_connection import AsyncStepConnection, StepConnection
from troth.adapters.databases.session import AsyncPooledSession, PooledSession, ended
from troth.ports.database import Answer, AsyncEffect, Effect
from troth.ports.scripts import placed


@lru_cache(maxsize=64)
def encoded(sql: str) -> bytes:
    """A statement of ours as psycopg takes it."""
    return placed(sql, "format").encode()


def answer_of(cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any], rows: list[Any]) -> Answer:
    """What a statement did."""
    return Answer(max(cursor.rowcount, 0), rows)


def is_idle(connection: StepConnection | AsyncStepConnection) -> bool:
    """True if the server waits for a new transaction."""
    return connection.pgconn.transaction_status == TransactionStatus.IDLE


def check_open(connection: StepConnection | AsyncStepConnection) -> None:
    """Raise unless the local transaction can be committed; PostgreSQL would answer a COMMIT otherwise, in silence."""
    status = connection.pgconn.transaction_status
    if status == TransactionStatus.INERROR:
        raise psycopg.errors.InFailedSqlTransaction("an error of the database was swallowed: nothing can be kept")
    if status != TransactionStatus.INTRANS:
        raise ended()


class SyncSession(PooledSession[StepConnection]):
    """Answers one script's requests in a thread."""

    def __init__(self, isolation: str, pool: Pool[StepConnection], effect: Effect | None = None) -> None:
        super().__init__(pool, effect)
        self._isolation = isolation

    def execute(self, sql: str, params: Any = ()) -> Answer:
        """One statement of ours; without parameters it is not prepared, so it may be several."""
        cursor = self.connection.cursor(row_factory=tuple_row)
        cursor.execute(encoded(sql), params or None, prepare=None if params else False)
        return answer_of(cursor, cursor.fetchall() if cursor.description else [])

    def begin(self, patience: float) -> None:
        """In one round trip."""
        self.connection.cursor().execute(opening(self._isolation, patience).encode(), prepare=False)

    def still_ours(self) -> None:
        check_open(self.connection)

    def idle(self, connection: StepConnection) -> bool:
        return is_idle(connection)

    def broken(self, connection: StepConnection) -> bool:
        return connection.broken

    def tidy(self, connection: StepConnection) -> None:
        """Undo what the step set on the connection."""
        connection.tidy()


class AsyncSession(AsyncPooledSession[AsyncStepConnection]):
    """Answers one script's requests in a task."""

    def __init__(self, isolation: str, pool: AsyncPool[AsyncStepConnection], effect: AsyncEffect | None = None) -> None:
        super().__init__(pool, effect)
        self._isolation = isolation

    async def execute(self, sql: str, params: Any = ()) -> Answer:
        """One statement of ours; see `SyncSession.execute`."""
        cursor = self.connection.cursor(row_factory=tuple_row)
        await cursor.execute(encoded(sql), params or None, prepare=None if params else False)
        return answer_of(cursor, await cursor.fetchall() if cursor.description else [])

    async def begin(self, patience: float) -> None:
        """In one round trip."""
        await self.connection.cursor().execute(opening(self._isolation, patience).encode(), prepare=False)

    async def still_ours(self) -> None:
        check_open(self.connection)

    def idle(self, connection: AsyncStepConnection) -> bool:
        return is_idle(connection)

    def broken(self, connection: AsyncStepConnection) -> bool:
        return connection.broken

    def tidy(self, connection: AsyncStepConnection) -> None:
        """Undo what the step set on the connection."""
        connection.tidy()
