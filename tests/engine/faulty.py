"""A store that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.app.trades import Trade
from troth.adapters.stores.memory import MemoryLog, MemoryStore
from troth.ports.store import Batch, BatchOutcome


class FaultyStore(MemoryStore):
    """The memory store, with a say before each commit and settle.

    :ivar before_commit: called first; what it raises is the answer, and nothing is written.
    :ivar after_commit: called once it is written; what it raises is the answer.
    :ivar before_settle: called first; what it raises is the answer.
    """

    before_commit: Callable[[Batch], None] | None = None
    after_commit: Callable[[Batch], None] | None = None
    before_settle: Callable[[int], None] | None = None

    def commit(self, batch: Batch) -> BatchOutcome:
        if self.before_commit is not None:
            self.before_commit(batch)
        outcome = super().commit(batch)
        if self.after_commit is not None:
            self.after_commit(batch)
        return outcome

    def settle(self, number: int) -> BatchOutcome | None:
        if self.before_settle is not None:
            self.before_settle(number)
        return super().settle(number)


def faulty_trade(**options: Any) -> tuple[Trade, FaultyStore]:
    """A trade whose log is a faulty store."""
    trade = Trade(**options)
    store = FaultyStore(MemoryLog())
    trade.troth.runtime.make_store = lambda: store
    return trade, store


def raising(error: Exception) -> Callable[[object], None]:
    """Something that always raises it."""

    def say(_: object) -> None:
        raise error

    return say
