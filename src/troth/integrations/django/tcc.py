"""TCC in a Django project: blocks and declared transactions, inside tests too."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from troth.app.aio import AioTroth
from troth.app.handles import TrothHandle
from troth.app.outcome import Handle, Outcome
from troth.app.tcc_block import TccBlock
from troth.app.tcc_form import Branch

if TYPE_CHECKING:
    from troth.integrations.django.embedded import DjangoTroth


class DjangoBlock(TccBlock):
    """A TCC transaction opened by a block; in a test the block waits for whatever it calls, so it lends throughout."""

    _troth: DjangoTroth

    def __enter__(self) -> Self:
        self._lease = ExitStack()
        with ExitStack() as stack:
            stack.enter_context(self._troth.trial.waiting())
            super().__enter__()
            self._lease = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lease:
            super().__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        self._alease = AsyncExitStack()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._troth.trial.awaiting())
            await super().__aenter__()
            self._alease = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._alease:
            await super().__aexit__(kind, error, trace)


class DjangoAioTroth(AioTroth):
    """The awaitable spellings."""

    _troth: DjangoTroth

    async def run_tcc(self, gid: str | None, branches: Sequence[Branch], **options: Any) -> Outcome[list[Any]]:
        """As `AioTroth.run_tcc`."""
        async with self._troth.trial.awaiting():
            return await super().run_tcc(gid, branches, **options)

    async def start_tcc(self, gid: str | None, branches: Sequence[Branch], **options: Any) -> Handle[list[Any]]:
        """As `AioTroth.start_tcc`; in a TestCase it has ended when this returns."""
        async with self._troth.trial.awaiting() as in_test:
            if not in_test:
                return await super().start_tcc(gid, branches, **options)
            outcome = await super().run_tcc(gid, branches, **options)
        return TrothHandle(self._troth, outcome.gid, self._troth.holds)
