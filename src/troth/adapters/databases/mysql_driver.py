"""MariaDB and MySQL in both colours: PyMySQL in threads, asyncmy in tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from troth.adapters.databases import asyncmy, dialects, driving, mysql, pymysql, raw
from troth.adapters.databases.pooled import TwoPools
from troth.adapters.databases.postgres import check_options
from troth.ports.database import AsyncEffect, Effect, Script

T = TypeVar("T")


class CannotConnectError(ConnectionError):
    """No connection could be made: nothing was sent."""


class MysqlDriver(TwoPools[pymysql.StepConnection, asyncmy.AsyncStepConnection]):
    """A MariaDB or MySQL database; see `troth.ports.database.Driver`.

    :param target: ``mysql://user:password@host:port/database``; ``mariadb://`` means the same.
    :param pool_size: connections at a time, for threads, and for each event loop.
    :param isolation: ``repeatable read`` (default, as the server's), ``read committed`` or ``serializable``.
    :param ssl: an `ssl.SSLContext` to connect by, if any.
    :raises ConfigurationError: if one of them can't be used.
    """

    colours = frozenset({"sync", "async"})
    dialect = dialects.MYSQL
    faults = mysql.NumberFaults()

    def __init__(
        self, target: str, *, pool_size: int = mysql.POOL_SIZE, isolation: str = "repeatable read", ssl: Any = None
    ) -> None:
        check_options(pool_size, isolation, mysql.ISOLATIONS)
        self._settings = mysql.settings_of(target)
        if ssl is not None:
            self._settings["ssl"] = ssl
        self._isolation = isolation
        super().__init__(pool_size)

    def connect(self) -> pymysql.StepConnection:
        try:
            return pymysql.connect(self._settings, self._isolation)
        except Exception as error:
            raise CannotConnectError(f"{type(error).__name__}: {error}") from error

    async def aconnect(self) -> asyncmy.AsyncStepConnection:
        try:
            return await asyncmy.connect(self._settings, self._isolation)
        except Exception as error:
            raise CannotConnectError(f"{type(error).__name__}: {error}") from error

    def end(self, connection: Any) -> None:
        if isinstance(connection, pymysql.StepConnection):
            connection.really_close()
        else:
            raw.end(connection)

    def drop(self, connection: Any) -> None:
        if isinstance(connection, pymysql.StepConnection):
            connection.drop()
        else:
            raw.drop(connection)

    def drive(self, script: Script[T], effect: Effect | None = None) -> T:
        """Run a script to its end."""
        return driving.drive(script, pymysql.SyncSession(self.pool, effect))

    async def adrive(self, script: Script[T], effect: AsyncEffect | None = None) -> T:
        """The same in the other colour."""
        return await driving.adrive(script, asyncmy.AsyncSession(self.loop_pool, effect))

    def plain(self, function: Callable[[Any], T]) -> T:
        """Run the function in a local transaction without a barrier."""
        return driving.plain(pymysql.SyncSession(self.pool), function)

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> T:
        """The same in the other colour."""
        return await driving.aplain(asyncmy.AsyncSession(self.loop_pool), function)
