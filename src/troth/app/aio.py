"""The awaitable spellings of the Troth object's verbs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from troth.app.host import Definition, Options, Spelling
from troth.app.message_explicit import AwaitsMessages
from troth.app.naming import checked_gid
from troth.app.outcome import Handle, Outcome, TransactionView
from troth.app.tcc_running import AwaitsTcc

if TYPE_CHECKING:
    from troth.app.troth import Troth


class AioTroth(AwaitsTcc, AwaitsMessages):
    """The awaitable spellings of `Troth`'s verbs."""

    def __init__(self, troth: Troth) -> None:
        self._troth = troth

    async def run(self, saga: Any, *args: Any, gid: str | None = None, timeout: float | None = None, **kwargs: Any) -> Outcome[Any]:
        """As `Troth.run`."""
        outcome: Outcome[Any] = await self._troth.invoke_saga(
            saga, args, kwargs, "run", awaited(saga), options_of(gid, timeout)
        )
        return outcome

    async def start(
        self, saga: Any, *args: Any, gid: str | None = None, timeout: float | None = None, **kwargs: Any
    ) -> Handle[Any]:
        """As `Troth.start`."""
        handle: Handle[Any] = await self._troth.invoke_saga(
            saga, args, kwargs, "start", awaited(saga), options_of(gid, timeout)
        )
        return handle

    def attach(self, gid: str) -> Any:
        """As `Troth.attach`, with awaitable verbs."""
        return self._troth.attach(gid).aio

    async def get(self, gid: str) -> TransactionView:
        """As `Troth.get`."""
        return await asyncio.to_thread(self._troth.get, gid)

    async def find(self, **filters: Any) -> list[TransactionView]:
        """As `Troth.find`."""
        return await asyncio.to_thread(lambda: self._troth.find(**filters))

    async def retry(self, gid: str) -> None:
        """As `Troth.retry`."""
        await asyncio.to_thread(self._troth.retry, gid)

    async def resolve(self, gid: str, *, reason: str) -> None:
        """As `Troth.resolve`."""
        await asyncio.to_thread(lambda: self._troth.resolve(gid, reason=reason))


def blocking(saga: Definition) -> Spelling:
    """The spelling of a definition that blocks."""
    return "wait" if saga.is_async else "own"


def awaited(saga: Definition) -> Spelling:
    """The spelling of a definition that is awaited."""
    return "own" if saga.is_async else "aio"


def options_of(gid: str | None, timeout: float | None) -> Options:
    """The options of one call, checked."""
    return Options(None if gid is None else checked_gid(gid), timeout)
