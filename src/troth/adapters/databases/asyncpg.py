"""PostgreSQL through asyncpg, for async steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

import asyncpg

from troth.adapters.databases import dialects, driving, postgres, raw
from troth.adapters.databases.faults import caused_by
from troth.adapters.databases.guard import refuse
from troth.adapters.databases.pool import AsyncPool
from troth.adapters.databases.pooled import LoopPools
from troth.adapters.databases.session import PLAIN, AsyncPooledSession, ended
from troth.ports.database import Answer, AsyncEffect, Effect, Script
from troth.ports.errors import DefinitionError
from troth.ports.scripts import placed

T = TypeVar("T")
STATEMENTS: Final = 100
"""Prepared statements kept per connection, asyncpg's own default."""


class CannotConnectError(ConnectionError):
    """No connection could be made: nothing was sent."""


class StepConnection(asyncpg.Connection):  # type: ignore[misc]
    """asyncpg's connection inside a step. ``async with db.transaction():`` is a savepoint there."""

    __slots__ = ()

    def really_close(self) -> None:
        """Close it without waiting, so that a cancelled task can; the server rolls back."""
        super().terminate()

    def close(self, *, timeout: float | None = None) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def terminate(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def reset(self, *, timeout: float | None = None) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("rollback")


class AsyncpgFaults(postgres.StateFaults):
    """What asyncpg's exceptions mean."""

    def lost(self, error: BaseException) -> bool:
        if isinstance(error, CannotConnectError):
            return False
        closed = isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)
        return closed or isinstance(error, OSError) or super().lost(error)

    def own(self, error: BaseException) -> bool:
        return caused_by(error, asyncpg.PostgresError, asyncpg.InterfaceError)


class AsyncpgSession(AsyncPooledSession[StepConnection]):
    """Answers one script's requests in a task. The local transaction is asyncpg's own, so that a step's are nested."""

    def __init__(self, isolation: str, pool: AsyncPool[StepConnection], effect: AsyncEffect | None = None) -> None:
        super().__init__(pool, effect)
        self._isolation = isolation.replace(" ", "_")
        self._plain = effect is None
        self._transaction: Any = None

    async def execute(self, sql: str, params: Any = ()) -> Answer:
        """One statement of ours. asyncpg tells either the rows or how many were changed."""
        if sql.startswith("SELECT"):
            return Answer(0, await self.connection.fetch(placed(sql, "numeric_dollar"), *params))
        status: str = await self.connection.execute(placed(sql, "numeric_dollar"), *params)
        count = status.rpartition(" ")[2]
        return Answer(int(count) if count.isdecimal() else 0)

    async def begin(self, patience: float) -> None:
        self._transaction = self.connection.transaction(isolation=self._isolation)
        await self._transaction.start()
        savepoint = f"; SAVEPOINT {PLAIN}" if self._plain else ""
        await self.connection.execute(postgres.lock_bound(patience) + savepoint)

    async def commit(self) -> None:
        """Commit."""
        await self._transaction.commit()

    async def rollback(self) -> None:
        """Roll back."""
        await self._transaction.rollback()

    async def still_ours(self) -> None:
        try:
            await self.connection.execute(f"RELEASE SAVEPOINT {PLAIN}")
        except (asyncpg.NoActiveSQLTransactionError, asyncpg.InvalidSavepointSpecificationError) as error:
            raise ended() from error

    def idle(self, connection: StepConnection) -> bool:
        return not connection.is_closed() and not connection.is_in_transaction()

    def broken(self, connection: StepConnection) -> bool:
        return bool(connection.is_closed())


class AsyncpgDriver(LoopPools[StepConnection]):
    """A PostgreSQL database behind asyncpg; see `troth.ports.database.Driver`.

    :param target: a ``postgresql+asyncpg://`` URL; what follows the ``?`` is asyncpg's and the server's.
    :param pool_size: connections at a time for each event loop.
    :param isolation: ``read committed`` (default), ``repeatable read`` or ``serializable``.
    :param statement_cache_size: prepared statements kept per connection; 0 behind a pooler that hands a connection on
        between transactions.
    :raises ConfigurationError: if one of them can't be used.
    """

    colours = frozenset({"async"})
    faults = AsyncpgFaults()

    def __init__(
        self,
        target: str,
        *,
        pool_size: int = postgres.POOL_SIZE,
        isolation: str = "read committed",
        statement_cache_size: int = STATEMENTS,
    ) -> None:
        postgres.check_options(pool_size, isolation)
        self._dsn = f"postgresql://{target.partition('://')[2]}"
        self._isolation = isolation
        self._statements = statement_cache_size
        self.dialect = dialects.postgres(isolation)
        super().__init__(pool_size)

    async def aconnect(self) -> StepConnection:
        try:
            made: StepConnection = await asyncpg.connect(
                self._dsn,
                timeout=postgres.CONNECT_TIMEOUT,
                connection_class=StepConnection,
                statement_cache_size=self._statements,
            )
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise CannotConnectError(f"{type(error).__name__}: {error}") from error
        return made

    def end(self, connection: StepConnection) -> None:
        raw.end(connection)

    def drop(self, connection: StepConnection) -> None:
        raw.drop(connection)

    def drive(self, script: Script[T], effect: Effect | None = None) -> NoReturn:
        """Refused: asyncpg has no blocking half.

        :raises DefinitionError: always.
        """
        raise _async_only()

    async def adrive(self, script: Script[T], effect: AsyncEffect | None = None) -> T:
        """Run a script to its end."""
        return await driving.adrive(script, AsyncpgSession(self._isolation, self.loop_pool, effect))

    def plain(self, function: Callable[[Any], T]) -> NoReturn:
        """Refused: asyncpg has no blocking half.

        :raises DefinitionError: always.
        """
        raise _async_only()

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> T:
        """Run the function in a local transaction without a barrier."""
        return await driving.aplain(AsyncpgSession(self._isolation, self.loop_pool), function)


def _async_only() -> DefinitionError:
    return DefinitionError("asyncpg can't be used without await: make the step an async def, or use postgresql://…")
