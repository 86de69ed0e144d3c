"""Driving a script to its end, in either colour: the only difference between the two is ``await``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from troth.core import limits
from troth.ports.database import Begin, Commit, Request, Rollback, Script
from troth.ports.scripts import arun, run

T = TypeVar("T")
BEGIN: Final = Begin(write=True, patience=limits.PARTICIPANT_TIMEOUT)
"""How a local transaction without a barrier begins."""


class Session(Protocol):
    """Answers one script's requests on one connection at a time."""

    def perform(self, request: Request) -> Any: ...
    def run(self, function: Callable[[Any], T]) -> T:
        """Run the user's function on the connection, and leave the connection as if it hadn't been."""
        ...

    def still_ours(self) -> None:
        """Raise unless the local transaction that was begun is open and can be committed."""
        ...

    def discard(self) -> None: ...


class AsyncSession(Protocol):
    """The same in the other colour; discarding never waits, so that a cancelled task can do it."""

    async def perform(self, request: Request) -> Any: ...
    async def run(self, function: Callable[[Any], Awaitable[T]]) -> T: ...
    async def still_ours(self) -> None: ...
    def discard(self) -> None: ...


def drive(script: Script[T], session: Session) -> T:
    """Run a script on a session. Whatever leaves other than by its return discards the connection."""
    try:
        return run(script, session.perform)
    finally:
        session.discard()


async def adrive(script: Script[T], session: AsyncSession) -> T:
    """`drive` in the other colour."""
    try:
        return await arun(script, session.perform)
    finally:
        session.discard()


def plain(session: Session, function: Callable[[Any], T]) -> T:
    """Run the function in a local transaction without a barrier."""
    try:
        session.perform(BEGIN)
        result = session.run(function)
        session.still_ours()
        session.perform(Commit())
        return result
    except Exception:
        session.perform(Rollback())
        raise
    finally:
        session.discard()


async def aplain(session: AsyncSession, function: Callable[[Any], Awaitable[T]]) -> T:
    """`plain` in the other colour."""
    try:
        await session.perform(BEGIN)
        result = await session.run(function)
        await session.still_ours()
        await session.perform(Commit())
        return result
    except Exception:
        await session.perform(Rollback())
        raise
    finally:
        session.discard()
