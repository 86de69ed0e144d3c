"""Driving a script to its end, in either colour: the only difference between the two is ``await``."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from troth.ports.database import Request, Script

T = TypeVar("T")


class Session(Protocol):
    """Answers one script's requests on one connection at a time."""

    def perform(self, request: Request) -> Any: ...
    def discard(self) -> None: ...


class AsyncSession(Protocol):
    """The same in the other colour; discarding never waits, so that a cancelled task can do it."""

    async def perform(self, request: Request) -> Any: ...
    def discard(self) -> None: ...


def drive(script: Script[T], session: Session) -> T:
    """Run a script on a session. Whatever leaves other than by its return discards the connection."""
    try:
        request = next(script)
        while True:
            try:
                answer = session.perform(request)
            except Exception as error:
                request = script.throw(error)
            else:
                request = script.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        session.discard()


async def adrive(script: Script[T], session: AsyncSession) -> T:
    """`drive` in the other colour."""
    try:
        request = next(script)
        while True:
            try:
                answer = await session.perform(request)
            except Exception as error:
                request = script.throw(error)
            else:
                request = script.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        session.discard()
