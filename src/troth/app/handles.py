"""Handles: a hold on one transaction, wherever it is driven."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from troth.app.current import in_loop
from troth.app.outcome import AioHandle, Handle, Outcome, Until
from troth.app.telling import Reader, outcome_of, value_of
from troth.app.transactions import Seen, watch
from troth.ports.errors import WrongColour

if TYPE_CHECKING:
    from troth.app.troth import Troth

R = TypeVar("R")


class TrothHandle(Handle[R]):
    """A handle of this process's `Troth` object."""

    def __init__(self, troth: Troth, gid: str, definition: Reader | None) -> None:
        self._troth = troth
        self._gid = gid
        self._definition = definition

    @property
    def gid(self) -> str:
        """The transaction."""
        return self._gid

    def result(self, timeout: float | None = None) -> R:
        """See `Handle.result`."""
        value: R = self._blocking(self.aio.result(timeout), "result")
        return value

    def wait(self, until: Until = "finished", timeout: float | None = None) -> Outcome[R]:
        """See `Handle.wait`."""
        outcome: Outcome[R] = self._blocking(self.aio.wait(until, timeout), "wait")
        return outcome

    @property
    def aio(self) -> TrothAioHandle[R]:
        """The awaitable spellings."""
        return TrothAioHandle(self)

    def _blocking(self, coroutine: Any, name: str) -> Any:
        if in_loop():
            coroutine.close()
            raise WrongColour(f"handle.{name}() would block the event loop that runs here. Write: await handle.aio.{name}(…)")
        return self._troth.runtime.call(coroutine, self._troth.runtime.started().loop)

    async def seen(self, until: str, timeout: float | None) -> tuple[Seen, Reader | None]:
        """Wait for the state, at most ``timeout`` seconds, and find the code that can read its result."""
        node = await self._troth.runtime.anywhere()
        waiting = watch(node, self._gid, until)
        if node.loop is not asyncio.get_running_loop():
            waiting = self._troth.elsewhere(node, waiting)
        seen = await asyncio.wait_for(waiting, timeout)
        return seen, self._definition or self._troth.reader(seen.doc)


class TrothAioHandle(AioHandle[R]):
    """The awaitable spellings of a `TrothHandle`."""

    def __init__(self, handle: TrothHandle[R]) -> None:
        self._handle = handle

    @property
    def gid(self) -> str:
        """The transaction."""
        return self._handle.gid

    async def result(self, timeout: float | None = None) -> R:
        """See `AioHandle.result`."""
        seen, definition = await self._handle.seen("finished", timeout)
        value: R = value_of(seen.doc, definition, seen.cause)
        return value

    async def wait(self, until: Until = "finished", timeout: float | None = None) -> Outcome[R]:
        """See `AioHandle.wait`."""
        seen, definition = await self._handle.seen(until, timeout)
        return outcome_of(seen.doc, definition)
