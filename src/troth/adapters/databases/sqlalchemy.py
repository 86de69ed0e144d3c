"""Databases behind SQLAlchemy 2: an engine or a session factory of the user's, in the engine's own colour."""

from __future__ import annotations

import copy
import ctypes
import os
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from troth.adapters.databases import driving, raw
from troth.adapters.databases.pool import PerLoop
from troth.adapters.databases.sqlalchemy_faults import SqlalchemyFaults
from troth.adapters.databases.sqlalchemy_guard import StepConnection, guarded_async_session, guarded_session
from troth.adapters.databases.sqlalchemy_kinds import kind_of
from troth.adapters.databases.sqlalchemy_session import AsyncSqlalchemySession, SyncSession
from troth.adapters.forks import nothing_rested, rests_at_forks
from troth.ports.database import AsyncEffect, Dialect, Effect, Script
from troth.ports.errors import ConfigurationError, DefinitionError

T = TypeVar("T")
_JOINED = {"join_transaction_mode": "rollback_only"}
"""A session of a step takes part in the local transaction, and can only break it."""


class _Behind:
    """What both colours share.

    :param engine: the blocking engine, or the one inside an async engine.
    """

    def __init__(self, engine: Engine) -> None:
        self.kind = kind_of(engine)
        self.faults = SqlalchemyFaults(self.kind.faults)
        self.dialect: Dialect = self.kind.dialect(self.kind.default)
        self._learnt = False
        self._graveyard: list[Any] = []
        self._pid = os.getpid()

    def learn(self, connection: StepConnection) -> None:
        """Look at the first connection: what is its isolation level?

        :raises ConfigurationError: if it has no transactions.
        """
        if self._learnt or self.kind.default == "serializable":
            return
        level = connection.get_isolation_level().lower().replace("_", " ")
        if level == "autocommit" or _commits_by_itself(connection):
            raise ConfigurationError(
                "the engine's isolation_level is AUTOCOMMIT: each statement would be a transaction of its own. Give an"
                ' engine without it, e.g. engine.execution_options(isolation_level="READ COMMITTED").'
            )
        self.dialect = self.kind.dialect(level)
        self._learnt = True


def _commits_by_itself(connection: StepConnection) -> bool:
    """True if the engine, its options or a listener have switched transactions off."""
    dialect: Any = connection.dialect
    declared = connection.get_execution_options().get("isolation_level")
    if "AUTOCOMMIT" in (declared, getattr(dialect, "_on_connect_isolation_level", None)):
        return True
    detect = getattr(dialect, "detect_autocommit_setting", None)  # of SQLAlchemy 2.0.43 and later
    return bool(detect is not None and detect(connection.connection.dbapi_connection))


class SqlalchemyDriver(_Behind):
    """A database behind a blocking engine; see `troth.ports.database.Driver`. Its pool stays the user's.

    :param engine: where connections come from.
    :param factory: the user's sessionmaker; None if steps get connections.
    """

    colours = frozenset({"sync"})

    def __init__(self, engine: Engine, factory: sessionmaker[Any] | None = None) -> None:
        super().__init__(engine)
        self._engine = engine
        self._factory = factory
        if engine.dialect.name == "sqlite":
            rests_at_forks(self)

    def rest(self, patience: float) -> Callable[[], None] | None:
        """Close what the engine's pool has idle while the process forks; see `troth.adapters.forks`.

        What is in use is the user's own, or a step's: it is inherited.
        """
        if os.getpid() == self._pid:
            self._engine.dispose()
        return nothing_rested

    @property
    def engine(self) -> Engine:
        """This process's engine."""
        if os.getpid() != self._pid:
            self.abandon()
        return self._engine

    def session(self, bind: Any) -> Session | None:
        """A guarded session on the connection; None if the target is an engine."""
        factory: Any = self._factory
        if factory is None:
            return None
        return guarded_session(factory.class_)(**{**factory.kw, **_JOINED, "bind": bind})

    def drive(self, script: Script[T], effect: Effect | None = None) -> T:
        """Run a script to its end."""
        return driving.drive(script, SyncSession(self, self.engine, effect))

    async def adrive(self, script: Script[T], effect: AsyncEffect | None = None) -> NoReturn:
        """Refused: a blocking engine blocks the event loop.

        :raises DefinitionError: always.
        """
        raise _wrong_colour("blocks the event loop: make the step a plain def, or give troth.database an AsyncEngine")

    def plain(self, function: Callable[[Any], T]) -> T:
        """Run the function in a local transaction without a barrier."""
        return driving.plain(SyncSession(self, self.engine), function)

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> NoReturn:
        """Refused: a blocking engine blocks the event loop.

        :raises DefinitionError: always.
        """
        raise _wrong_colour("blocks the event loop: make the step a plain def, or give troth.database an AsyncEngine")

    def close(self) -> None:
        """Nothing: every connection is back in the user's pool, which is the user's to dispose of."""

    async def aclose(self) -> None:
        """The same."""

    def abandon(self) -> None:
        """In a forked child: start with an empty pool, and keep the inherited connections unused and unclosed.

        They are kept for ever, by one reference more than Python counts: at the interpreter's end a driver that is
        freed would say goodbye to the server in the parent's name.
        """
        inherited = os.getpid() != self._pid
        self._pid = os.getpid()
        if inherited:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._engine.pool))
            self._graveyard.append(self._engine.pool)
        self._engine.dispose(close=not inherited)
        self.kind = kind_of(self._engine)


class AsyncSqlalchemyDriver(_Behind):
    """A database behind an async engine; see `troth.ports.database.Driver`.

    SQLAlchemy's pools can't be shared between event loops, and steps may run in another loop than the user's own. So
    each loop has a pool of its own here, with the engine's settings.

    :param engine: whose settings and listeners hold.
    :param factory: the user's async_sessionmaker; None if steps get connections.
    """

    colours = frozenset({"async"})

    def __init__(self, engine: AsyncEngine, factory: async_sessionmaker[Any] | None = None) -> None:
        super().__init__(engine.sync_engine)
        self._original = engine
        self._factory = factory
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._loops: PerLoop[_Twin] = PerLoop(lambda: _Twin(self._original), _Twin.end)

    @property
    def engine(self) -> AsyncEngine:
        """The running event loop's engine."""
        if os.getpid() != self._pid:
            self.abandon()
        return self._loops.here().engine

    def session(self, bind: Any) -> AsyncSession | None:
        """A guarded session on the connection; None if the target is an engine."""
        factory: Any = self._factory
        if factory is None:
            return None
        given = dict(factory.kw)
        behind = given.pop("sync_session_class", None) or factory.class_.sync_session_class
        made = guarded_async_session(factory.class_)
        return made(**{**given, **_JOINED, "bind": bind, "sync_session_class": guarded_session(behind)})

    def drive(self, script: Script[T], effect: Effect | None = None) -> NoReturn:
        """Refused: an async engine has no blocking half.

        :raises DefinitionError: always.
        """
        raise _wrong_colour("can't be used without await: make the step an async def, or give an Engine")

    async def adrive(self, script: Script[T], effect: AsyncEffect | None = None) -> T:
        """Run a script to its end."""
        return await driving.adrive(script, AsyncSqlalchemySession(self, self.engine, effect))

    def plain(self, function: Callable[[Any], T]) -> NoReturn:
        """Refused: an async engine has no blocking half.

        :raises DefinitionError: always.
        """
        raise _wrong_colour("can't be used without await: make the step an async def, or give an Engine")

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> T:
        """Run the function in a local transaction without a barrier."""
        return await driving.aplain(AsyncSqlalchemySession(self, self.engine), function)

    def close(self) -> None:
        """Close the connections of event loops that have ended."""
        self._loops.bury_ended()

    async def aclose(self) -> None:
        """Close the running loop's idle connections too, and what is in use when it is given back."""
        self.close()
        await self.engine.dispose()

    def abandon(self) -> None:
        """In a forked child: start with empty pools, and keep the inherited connections unused and unclosed."""
        inherited = os.getpid() != self._pid
        twins = self._loops.everything()
        self._fresh()
        for twin in twins:
            if inherited:
                self._graveyard.append(twin)
                twin.drop()
            else:
                twin.end()


class _Twin:
    """An async engine again, with an empty pool of its own for one event loop."""

    def __init__(self, original: AsyncEngine) -> None:
        twin = copy.copy(original.sync_engine)
        twin.pool = original.sync_engine.pool.recreate()
        self.engine = AsyncEngine(twin)
        self._open: dict[int, Any] = {}
        event.listen(twin.pool, "connect", self._opened)
        event.listen(twin.pool, "close", self._closed)

    def _opened(self, connection: Any, record: Any) -> None:
        self._open[id(connection)] = connection.driver_connection

    def _closed(self, connection: Any, record: Any) -> None:
        self._open.pop(id(connection), None)

    def end(self) -> None:
        """Close its connections without waiting."""
        while self._open:
            raw.end(self._open.popitem()[1])

    def drop(self) -> None:
        """In a forked child: close the inherited file descriptors only."""
        for connection in self._open.values():
            raw.drop(connection)


def _wrong_colour(what: str) -> DefinitionError:
    return DefinitionError(f"the database's SQLAlchemy engine {what}")


def open_sqlalchemy(target: Any) -> SqlalchemyDriver | AsyncSqlalchemyDriver:
    """The driver for an engine or a session factory.

    :raises ConfigurationError: if it is neither, or can't be used.
    """
    factory = None
    if isinstance(target, (sessionmaker, async_sessionmaker)):
        factory, target = target, _engine_of(target)
    if isinstance(target, Engine):
        if target.dialect.is_async:
            raise ConfigurationError(f"{target!r} is an async dialect's: make it by create_async_engine")
        return SqlalchemyDriver(target, factory if isinstance(factory, sessionmaker) else None)
    if isinstance(target, AsyncEngine):
        if target.dialect.name == "sqlite":
            raise ConfigurationError(
                "an async SQLite engine takes its write lock in another thread's time. Use a plain Engine and make the"
                " steps plain defs; an async saga calls them with `.aio(…)`."
            )
        return AsyncSqlalchemyDriver(target, factory if isinstance(factory, async_sessionmaker) else None)
    raise ConfigurationError(
        f"{target!r} is no Engine, AsyncEngine, sessionmaker or async_sessionmaker. Of a scoped_session give its"
        " session_factory: a step uses the session that it is given."
    )


def _engine_of(factory: sessionmaker[Any] | async_sessionmaker[Any]) -> Any:
    """The one engine of a session factory.

    :raises ConfigurationError: if it has none, or several.
    """
    name = type(factory).__name__
    if factory.kw.get("binds"):
        raise ConfigurationError(f"the {name} has binds=: one local transaction has one engine. Give {name}(engine).")
    if factory.kw.get("twophase"):
        raise ConfigurationError(f"the {name} has twophase=True: a step is one local transaction. Leave it out.")
    engine = factory.kw.get("bind")
    if not isinstance(engine, (Engine, AsyncEngine)):
        raise ConfigurationError(f"the {name} is bound to {engine!r}. Give {name}(engine).")
    return engine
