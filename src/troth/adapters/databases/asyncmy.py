"""MariaDB and MySQL through asyncmy, in tasks."""

from __future__ import annotations

from typing import Any, NoReturn

from asyncmy.connection import Connection
from asyncmy.cursors import Cursor
from asyncmy.errors import MySQLError

from troth.adapters.databases import mysql
from troth.adapters.databases.guard import refuse
from troth.adapters.databases.pool import AsyncPool
from troth.adapters.databases.pymysql import FOUND_ROWS
from troth.adapters.databases.session import PLAIN, AsyncPooledSession, ended
from troth.ports.database import Answer, AsyncEffect
from troth.ports.scripts import placed

_Connection: Any = Connection  # its stubs leave out most of what it has


class QuietCursor(Cursor):
    """For statements of ours: a key that is there already is no news, and asking about it would be a round trip."""

    async def _show_warnings(self, conn: Any) -> None:
        pass


class AsyncStepConnection(_Connection):  # type: ignore[misc]
    """asyncmy's connection inside a step. What is refused is refused at the call, awaited or not."""

    patience = 0
    """Seconds that it waits for a lock, as it was told last."""
    in_step = False

    def really_close(self) -> None:
        """Close it without waiting, so that a cancelled task can; the server rolls back."""
        self.in_step = False
        super().close()

    def _close_on_cancel(self) -> None:
        self.in_step = False  # asyncmy closes a connection whose answer nobody waits for any more
        super()._close_on_cancel()

    def close(self) -> None:
        """Refused while a step has it, unless it is broken already: it would end the local transaction."""
        if self.in_step and self._transport is not None and not self._transport.is_closing():
            refuse("close")
        super().close()

    def ensure_closed(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def commit(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("commit")

    def rollback(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("rollback")

    def begin(self) -> NoReturn:
        """Refused: there is one, and it would end it."""
        refuse("begin")

    def autocommit(self, value: Any) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("autocommit")

    def __aenter__(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("with db")


async def connect(settings: dict[str, Any], isolation: str) -> AsyncStepConnection:
    """A new connection."""
    connection = AsyncStepConnection(
        **settings, autocommit=None, charset="utf8mb4", binary_prefix=True, client_flag=FOUND_ROWS,
        connect_timeout=mysql.CONNECT_TIMEOUT,
    )  # fmt: skip
    try:
        await connection.connect()
        async with connection.cursor() as cursor:
            for statement in mysql.opening(isolation):
                await cursor.execute(statement)
    except BaseException:
        connection.really_close()
        raise
    return connection


class AsyncSession(AsyncPooledSession[AsyncStepConnection]):
    """Answers one script's requests in a task."""

    def __init__(self, pool: AsyncPool[AsyncStepConnection], effect: AsyncEffect | None = None) -> None:
        super().__init__(pool, effect)
        self._plain = effect is None

    async def execute(self, sql: str, params: Any = ()) -> Answer:
        """One statement of ours."""
        async with self.connection.cursor(QuietCursor) as cursor:
            await cursor.execute(placed(sql, "format"), tuple(params) or None)
            if cursor.description:
                return Answer(0, await cursor.fetchall())
            return Answer(max(cursor.rowcount, 0))

    async def begin(self, patience: float) -> None:
        wait = mysql.lock_bound(patience)
        if wait != self.connection.patience:
            await self.execute(f"SET SESSION innodb_lock_wait_timeout = {wait}")
            self.connection.patience = wait
        await self.execute("START TRANSACTION")
        if self._plain:
            await self.execute(f"SAVEPOINT {PLAIN}")
        self.connection.in_step = True

    async def still_ours(self) -> None:
        try:
            await self.execute(f"RELEASE SAVEPOINT {PLAIN}")
        except MySQLError as error:
            if mysql.number_of(error) == mysql.NO_SAVEPOINT:
                raise ended() from error
            raise

    def idle(self, connection: AsyncStepConnection) -> bool:
        return bool(connection.connected) and not connection.server_status & mysql.IN_TRANSACTION

    def broken(self, connection: AsyncStepConnection) -> bool:
        return not connection.connected
