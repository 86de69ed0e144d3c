"""The connections and sessions that a step gets from SQLAlchemy: its own, except for what would end our transaction.

``begin_nested()`` is a savepoint inside the local transaction and works as ever. Each class is a subclass of the user's
own, so that ``isinstance``, listeners and overridden methods stay as they are.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, NoReturn, cast

from sqlalchemy.engine import Connection, RootTransaction
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from troth.adapters.databases.guard import refuse


class StepConnection(Connection):
    """SQLAlchemy's connection inside a step."""

    def really_begin(self) -> RootTransaction:
        """Begin the local transaction; troth's own."""
        return super().begin()

    def really_invalidate(self) -> None:
        """Close the DBAPI's connection and take it out of the pool; the database rolls back."""
        super().invalidate()

    def really_close(self) -> None:
        """Give it back to the engine's pool."""
        super().close()

    def commit(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("commit")

    def rollback(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("rollback")

    def close(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def begin(self) -> NoReturn:
        """Refused: there is one, and leaving it would end it."""
        refuse("begin")

    def begin_twophase(self, xid: Any = None) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("two-phase commit")

    def invalidate(self, exception: BaseException | None = None) -> None:
        """Refused, unless SQLAlchemy itself does it, for an exception: it would end the local transaction."""
        if exception is None:
            refuse("close")
        super().invalidate(exception)

    def detach(self) -> NoReturn:
        """Refused: it would take the connection away from its pool."""
        refuse("close")

    def __enter__(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("with db")


class AsyncStepConnection(AsyncConnection):
    """The same in the other colour. What is refused is refused at the call, awaited or not."""

    __slots__ = ()

    def commit(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("commit")

    def rollback(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("rollback")

    def close(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def aclose(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def begin(self) -> NoReturn:
        """Refused: there is one, and leaving it would end it."""
        refuse("begin")

    def invalidate(self, exception: BaseException | None = None) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def __aenter__(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("with db")


class _Guard:
    """What a session refuses; mixed in before the user's own class."""

    def commit(self) -> NoReturn:
        refuse("commit")

    def rollback(self) -> NoReturn:
        refuse("rollback")

    def close(self) -> NoReturn:
        refuse("close")

    def reset(self) -> NoReturn:
        refuse("close")

    def invalidate(self) -> NoReturn:
        refuse("close")


class _SessionGuard(_Guard):
    """In threads, and behind an async session."""

    def begin(self, nested: bool = False) -> SessionTransaction:
        if not nested:
            refuse("begin")
        made: SessionTransaction = super().begin(nested=True)  # type: ignore[misc]
        return made

    def prepare(self) -> NoReturn:
        refuse("two-phase commit")

    def __enter__(self) -> NoReturn:
        refuse("with db")


class _AsyncSessionGuard(_Guard):
    """In tasks."""

    def begin(self) -> NoReturn:
        refuse("begin")

    def aclose(self) -> NoReturn:
        refuse("close")

    def __aenter__(self) -> NoReturn:
        refuse("with db")


@cache
def guarded_session(session: Hashable) -> type[Session]:
    """A session class that refuses what would end the local transaction."""
    kind = cast("type[Session]", session)
    return type(f"Step{kind.__name__}", (_SessionGuard, kind), {})


@cache
def guarded_async_session(session: Hashable) -> type[AsyncSession]:
    """The same in the other colour."""
    kind = cast("type[AsyncSession]", session)
    return type(f"Step{kind.__name__}", (_AsyncSessionGuard, kind), {})
