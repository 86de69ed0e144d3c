"""Answering a script's requests through SQLAlchemy.

Everything is written once, blocking. In a task it runs as SQLAlchemy's own async twins do, in a greenlet whose waits the
event loop does; only the user's function and what must not wait differ.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy.engine import Engine, RootTransaction
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import greenlet_spawn

from troth.adapters.databases.session import PLAIN, NoTransactionError, ended, share_of
from troth.adapters.databases.sqlalchemy_faults import CannotConnectError, SwallowedError
from troth.adapters.databases.sqlalchemy_guard import AsyncStepConnection, StepConnection
from troth.adapters.databases.sqlalchemy_kinds import Kind, Undo, nothing
from troth.ports.database import (
    Answer,
    AsyncEffect,
    Begin,
    Commit,
    Discard,
    Effect,
    Execute,
    Faults,
    Pause,
    Request,
    Rollback,
    RunEffect,
)
from troth.ports.errors import DefinitionError, Ongoing
from troth.ports.scripts import placed

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Owner(Protocol):
    """What a session needs of its driver."""

    @property
    def kind(self) -> Kind: ...
    @property
    def faults(self) -> Faults: ...
    def learn(self, connection: StepConnection) -> None:
        """Look at the first connection: what is its isolation level?"""
        ...

    def session(self, bind: Any) -> Any:
        """A guarded session on the connection, of the driver's colour; None if the target is an engine."""
        ...


class Core:
    """One local transaction: the blocking half of both colours.

    :param plain: True without a barrier: then a savepoint of ours tells whether the transaction is still there.
    """

    def __init__(self, owner: Owner, engine: Engine, plain: bool) -> None:
        self._owner = owner
        self._engine = engine
        self._plain = plain
        self.spoiled = False
        self._connection: StepConnection | None = None
        self._root: RootTransaction | None = None
        self._session: Session | None = None
        self._restore: Undo = nothing
        self._leave_line: Undo = nothing

    @property
    def connection(self) -> StepConnection:
        """The connection of the local transaction that is open."""
        if self._connection is None:
            raise NoTransactionError("no local transaction is open")
        return self._connection

    def perform(self, request: Request) -> Any:
        """Answer a request that needs nothing of the user's."""
        match request:
            case Execute(sql, params):
                return self.execute(sql, params)
            case Begin(write, patience):
                self.begin(write, patience)
            case Commit():
                self.commit()
            case Rollback():
                self.rollback()
            case _:
                raise TypeError(f"{request!r} is answered elsewhere")
        return None

    def execute(self, sql: str, params: Any) -> Answer:
        """One statement of ours, beside SQLAlchemy's own on the same connection."""
        connection = self.connection
        made = connection.exec_driver_sql(placed(sql, connection.dialect.paramstyle), tuple(params) or None)
        if made.returns_rows:
            return Answer(0, [tuple(row) for row in made.fetchall()])
        changed = max(made.rowcount, 0)
        made.close()
        return Answer(changed)

    def begin(self, write: bool, patience: float) -> None:
        """Take a connection of the engine's and begin."""
        if write:
            self._leave_line = self._owner.kind.wait(patience)
        try:
            self._connection = self._connected()
            self._owner.learn(self._connection)
            self._root = self._connection.really_begin()
            self._restore = self._owner.kind.opened(self._connection, write, patience)
            if self._plain:
                self.execute(f"SAVEPOINT {PLAIN}", ())
        except BaseException:
            self.spoiled = True
            raise

    def _connected(self) -> StepConnection:
        try:
            return StepConnection(self._engine)
        except NoConnectionFreeError:
            raise
        except Exception as error:  # not every library's is wrapped
            raise CannotConnectError(f"{type(error).__name__}: {error}") from error

    # -- the user's function --------------------------------------------------------------------------------------

    def join(self, session: Session) -> None:
        """Let a session take part in the transaction; it never ends it.

        It works inside a savepoint of SQLAlchemy's: a flush that fails rolls back to there, and not what the barrier
        wrote before.
        """
        self.connection.begin_nested()
        self._session = session

    def leave(self) -> None:
        """The function has returned: what its session holds goes to the database now, as a part of the effect."""
        session = self._session
        if session is None:
            if self.connection.in_nested_transaction():
                raise _left_open()
            return
        if session.in_nested_transaction():
            raise _left_open()
        if not session.is_active:
            raise SwallowedError("a flush failed, its error was swallowed, and the session was rolled back with it")
        session.dispatch.before_commit(session)
        session.flush()

    def drop(self) -> None:
        """The function has raised: what its session holds must not reach the database."""
        session, self._session = self._session, None
        if session is None:
            return
        try:
            Session.rollback(session)
            Session.close(session)
        except Exception as error:  # the barrier goes back to its own savepoint, and finds out what is left
            _log.debug("rolling back a step's session: %s", error)

    def still_ours(self) -> None:
        """Raise unless the local transaction is open and can be committed."""
        faults = self._owner.faults
        try:
            self.execute(f"RELEASE SAVEPOINT {PLAIN}", ())
        except DBAPIError as error:
            if faults.poisoned(error) or faults.lost(error) or faults.transient(error):
                raise
            raise ended() from error

    # -- the end --------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Commit, then tell the session's listeners, then give the connection back."""
        assert self._root is not None
        self._root.commit()
        session, self._session = self._session, None
        self._give_back()
        if session is not None:
            try:
                session.dispatch.after_commit(session)
                Session.close(session)
            except Exception:  # it is committed, whatever a listener says
                _log.exception("a listener failed after the commit of a step's session")

    def rollback(self) -> None:
        """Roll back; a connection that can't is closed, which does."""
        if self._connection is None or self.spoiled:
            return self.discard()
        self._session = None
        try:
            if self._root is not None:
                self._root.rollback()
            self._give_back()
        except Exception:
            self.discard()
        return None

    def _give_back(self) -> None:
        connection = self.connection
        restore, self._restore = self._restore, nothing
        try:
            restore()
        except Exception as error:
            _log.debug("a connection could not be restored and is closed: %s", error)
            self.discard()
            return
        self._connection = self._root = None
        try:
            connection.really_close()
        finally:
            self._out_of_line()

    def discard(self) -> None:
        """Close the connection without another word."""
        connection, self._connection = self._connection, None
        self._root = self._session = None
        self._restore, self.spoiled = nothing, False
        try:
            if connection is not None:
                sever(connection)
        finally:
            self._out_of_line()

    def _out_of_line(self) -> None:
        leave, self._leave_line = self._leave_line, nothing
        leave()


def _left_open() -> DefinitionError:
    return DefinitionError(
        "a savepoint of the step was left open: nobody knows whether it is wanted. Write: with db.begin_nested(): …"
    )


def sever(connection: StepConnection) -> None:
    """Close the DBAPI's connection and take it out of the pool, without waiting.

    An async library whose connections know ``terminate`` is asked for that outside a greenlet, where it doesn't wait.
    The others (psycopg) close without waiting, but only inside one.
    """

    def close() -> None:
        connection.really_invalidate()
        connection.really_close()

    if connection.closed:
        return
    if connection.dialect.is_async and not connection.dialect.has_terminate:
        at_once(greenlet_spawn(close))
    else:
        close()


def at_once(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine up to its first wait, which it shouldn't have."""
    try:
        coroutine.send(None)
    except StopIteration:
        pass
    finally:
        coroutine.close()


class SyncSession:
    """Answers one script's requests in a thread."""

    def __init__(self, owner: Owner, engine: Engine, effect: Effect | None = None) -> None:
        self.core = Core(owner, engine, plain=effect is None)
        self._owner = owner
        self._effect = effect

    def perform(self, request: Request) -> Any:
        match request:
            case RunEffect(stored):
                effect = cast("Effect", self._effect)
                return self.run(lambda db: effect(db, stored))
            case Discard():
                self.discard()
            case Pause(most):
                time.sleep(share_of(most))
            case _:
                return self.core.perform(request)
        return None

    def run(self, function: Callable[[Any], T]) -> T:
        core = self.core
        db = session = self._owner.session(core.connection)
        if session is None:
            db = core.connection
        else:
            core.join(session)
        try:
            result = function(db)
            core.leave()
            return result
        except Ongoing:
            core.leave()
            raise
        except BaseException:
            core.drop()
            raise

    def still_ours(self) -> None:
        self.core.still_ours()

    def discard(self) -> None:
        self.core.discard()


class AsyncSqlalchemySession:
    """Answers one script's requests in a task."""

    def __init__(self, owner: Owner, engine: AsyncEngine, effect: AsyncEffect | None = None) -> None:
        self.core = Core(owner, engine.sync_engine, plain=effect is None)
        self._owner = owner
        self._engine = engine
        self._effect = effect

    async def perform(self, request: Request) -> Any:
        match request:
            case RunEffect(stored):
                effect = cast("AsyncEffect", self._effect)
                return await self.run(lambda db: effect(db, stored))
            case Discard():
                self.discard()
            case Rollback() if self.core.spoiled:  # outside the greenlet, where closing doesn't wait
                self.discard()
            case Pause(most):
                await asyncio.sleep(share_of(most))
            case _:
                return await greenlet_spawn(self.core.perform, request)
        return None

    async def run(self, function: Callable[[Any], Awaitable[T]]) -> T:
        core = self.core
        db = await greenlet_spawn(self._enter)
        try:
            result = await function(db)
            await greenlet_spawn(core.leave)
            return result
        except Ongoing:
            await greenlet_spawn(core.leave)
            raise
        except Exception:
            await greenlet_spawn(core.drop)
            raise

    def _enter(self) -> Any:
        db = AsyncStepConnection(self._engine, self.core.connection)
        session: AsyncSession | None = self._owner.session(db)
        if session is None:
            return db
        self.core.join(session.sync_session)
        return session

    async def still_ours(self) -> None:
        await greenlet_spawn(self.core.still_ours)

    def discard(self) -> None:
        self.core.discard()
