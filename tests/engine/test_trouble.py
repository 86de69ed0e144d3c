"""What callers are told while the log can't be written: accepted means kept, not accepted means nothing was written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.app.patience import until
from tests.app.trades import Trade, after
from tests.engine.faulty import FaultyStore, faulty_trade, raising
from troth import InDoubt, NotAccepted
from troth.core import limits
from troth.ports.errors import CommitUnknown, RowRejected, StoreFull, StoreReadOnly, StoreUnavailable
from troth.ports.store import Batch, Record


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are told soon."""
    monkeypatch.setattr(limits, "ACCEPT_SECONDS", 0.05)


def spellings(trade: Trade) -> list[Callable[[], Any]]:
    """Every way to begin a transaction."""

    @trade.troth.saga(name="coro")
    async def coro(n: int) -> int:
        return int(await trade.abuy(n))

    @trade.troth.saga(name="sync")
    def sync(n: int) -> int:
        return int(trade.buy(n))

    graph = trade.troth.graph("graph", input=int)
    graph.returns(graph.step(trade.abuy, args={"n": graph.input}).result)

    async def awaited(awaitable: Any) -> Any:
        return await awaitable

    return [
        lambda: sync.options(gid="sync").run(1),
        lambda: asyncio.run(awaited(sync.options(gid="sync-aio").aio.run(1))),
        lambda: coro.options(gid="coro").wait.run(1),
        lambda: graph.options(gid="graph").run(1),
        lambda: trade.troth.start(sync, 1, gid="sync-start").wait(timeout=30),
        lambda: trade.troth.start(coro, 1, gid="coro-start").wait(timeout=30),
        lambda: trade.troth.run(coro, 1),
    ]


def pick(number: int) -> tuple[Trade, FaultyStore, Callable[[], Any]]:
    """A trade on a faulty store, and one way to begin."""
    trade, store = faulty_trade()
    return trade, store, spellings(trade)[number]


EVERY_SPELLING = range(7)


@pytest.mark.parametrize("number", EVERY_SPELLING)
@pytest.mark.parametrize("error", [StoreFull("no space left"), StoreReadOnly("read-only")], ids=["full", "read-only"])
def test_a_log_that_takes_nothing_accepts_nothing(error: Exception, number: int) -> None:
    """Full or read-only: NotAccepted at once; no step ran, nothing was written, and nothing is written later."""
    trade, store, begin = pick(number)
    with trade.troth:
        store.before_commit = raising(error)
        for _ in range(2):
            with pytest.raises(NotAccepted, match="nothing was written"):
                begin()
        node = trade.troth.runtime.node
        assert node is not None
        assert node.driver.open == {}
        store.before_commit = None
        until(lambda: node.driver.journal.trouble is None, "the log's recovery")
        assert trade.troth.find() == []
        assert trade.deeds == []
        assert begin().result == 10


@pytest.mark.parametrize("number", EVERY_SPELLING)
def test_a_log_that_stays_away_accepts_nothing(impatient: None, number: int) -> None:
    """Unavailable for longer than the bound: NotAccepted, and nothing is written when it comes back."""
    trade, store, begin = pick(number)
    with trade.troth:
        store.before_commit = raising(StoreUnavailable("gone"))
        with pytest.raises(NotAccepted):
            begin()
        store.before_commit = None
        node = trade.troth.runtime.node
        assert node is not None
        until(lambda: node.driver.journal.trouble is None, "the log's recovery")
        assert trade.troth.find() == []
        assert trade.deeds == []
        assert begin().result == 10


@pytest.mark.parametrize("number", EVERY_SPELLING)
def test_a_short_absence_is_waited_out(number: int) -> None:
    """Nobody is told anything of a log that comes back within the bound."""
    trade, store, begin = pick(number)
    times: list[int] = []

    def away(batch: Batch) -> None:
        if batch.writes and len(times) < 3:
            times.append(batch.number)
            raise StoreUnavailable("busy")

    with trade.troth:
        store.before_commit = away
        assert begin().result == 10
    assert len(times) == 3


@pytest.mark.parametrize("number", EVERY_SPELLING)
@pytest.mark.parametrize("applied", [True, False])
def test_an_unanswered_commit_is_asked_about(number: int, applied: bool) -> None:
    """Written or not, the transaction begins exactly once and ends."""
    trade, store, begin = pick(number)
    lost: list[int] = []

    def lose(batch: Batch) -> None:
        if batch.writes and not lost:
            lost.append(batch.number)
            raise CommitUnknown("no answer")

    with trade.troth:
        if applied:
            store.after_commit = lose
        else:
            store.before_commit = lose
        assert begin().result == 10
        assert len(trade.troth.find()) == 1
    assert len(lost) == 1
    assert trade.did("buy") + trade.did("abuy") == [1]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("applied", [True, False])
def test_in_doubt_when_the_log_is_gone_with_the_answer(impatient: None, number: int, applied: bool) -> None:
    """InDoubt names the gid; called again with it once the log is back, the saga runs once, whatever had happened."""
    trade, store, begin = pick(number)
    lost: list[int] = []

    def lose(batch: Batch) -> None:
        if batch.writes and not lost:
            lost.append(batch.number)
            raise CommitUnknown("no answer")

    with trade.troth:
        store.before_settle = raising(StoreUnavailable("gone"))
        if applied:
            store.after_commit = lose
        else:
            store.before_commit = lose
        with pytest.raises(InDoubt) as caught:
            begin()
        assert caught.value.gid in {"sync", "sync-aio", "coro", "graph", "sync-start", "coro-start"}
        assert trade.deeds == []
        with pytest.raises(NotAccepted):
            trade.troth.run(trade.troth.definition("sync"), 5)
        store.before_settle = None
        assert begin().result == 10
        assert trade.did("buy") + trade.did("abuy") == [1]
        assert len(trade.troth.find()) == 1


@pytest.mark.parametrize("number", EVERY_SPELLING)
def test_a_row_that_can_not_be_stored_fails_alone(number: int) -> None:
    """Poison in a batch is turned away; the others of the batch are written."""
    trade, store, begin = pick(number)

    @trade.troth.saga(name="other")
    async def other(n: int) -> int:
        return int(await trade.asell(n))

    def judge(batch: Batch) -> None:
        if any(write.definition != "other" for write in batch.writes):
            raise RowRejected("a value can't be stored")

    with trade.troth:
        store.before_commit = judge
        handles = [trade.troth.start(other, n) for n in range(5)]
        with pytest.raises(NotAccepted):
            begin()
        assert [handle.result(timeout=30) for handle in handles] == [0, 10, 20, 30, 40]
    assert trade.did("buy") == trade.did("abuy") == []


def test_what_was_accepted_outlives_any_trouble(impatient: None) -> None:
    """A log that fails in the middle of a transaction delays it, however long; its waiters are told its end."""
    trade, store = faulty_trade()
    gate = threading.Event()
    step = trade.step("gated", after(gate))

    @trade.troth.saga(name="accepted")
    def saga(n: int) -> int:
        return int(step(n)) + int(trade.buy(n))

    with trade.troth:
        handle = trade.troth.start(saga, 1, gid="kept")
        node = trade.troth.runtime.node
        assert node is not None
        until(lambda: node.driver.by_gid["kept"].durable_rev >= 2, "the first intent")
        store.before_commit = raising(StoreFull("no space left"))
        gate.set()
        until(lambda: node.driver.journal.failures >= 2, "failures of the log")
        with pytest.raises(NotAccepted):
            trade.troth.run(saga, 2)
        with pytest.raises(TimeoutError):
            handle.result(timeout=0.02)
        store.before_commit = None
        assert handle.result(timeout=30) == 11


def test_nothing_is_told_before_it_is_durable() -> None:
    """While the log holds its breath, no step runs and no caller hears anything; what was written is what was told."""
    trade, store = faulty_trade()
    gate = threading.Event()

    def hold(batch: Batch) -> None:
        if batch.writes:
            assert gate.wait(30)

    @trade.troth.saga(name="held")
    async def saga(n: int) -> int:
        return int(await trade.abuy(n))

    with trade.troth:
        store.before_commit = hold
        results: list[int] = []
        thread = threading.Thread(target=lambda: results.append(saga.options(gid="h").wait(1)))
        thread.start()
        node = trade.troth.runtime.node
        assert node is not None
        until(lambda: node.driver.journal.under_way, "the batch under way")
        assert trade.deeds == []
        assert results == []
        gate.set()
        thread.join(30)
        assert results == [10]
        found = store.get("h")
        assert isinstance(found, Record)
        assert found.state == "confirmed"


def test_a_stop_in_the_middle_of_trouble_ends(impatient: None) -> None:
    """A node whose log is gone stops within its drain; accepted work is left to the next node."""
    trade, store = faulty_trade(drain=0.05)
    gate = threading.Event()
    step = trade.step("gated", after(gate))

    @trade.troth.saga(name="left")
    def saga(n: int) -> int:
        return int(step(n))

    told: list[BaseException] = []

    def wait() -> None:
        try:
            trade.troth.attach("left").result()
        except TimeoutError as error:
            told.append(error)

    with trade.troth:
        trade.troth.start(saga, 1, gid="left")
        thread = threading.Thread(target=wait)
        thread.start()
        node = trade.troth.runtime.node
        assert node is not None
        until(lambda: len(node.driver.by_gid["left"].waiters) == 1, "the waiter")
        store.before_commit = raising(StoreUnavailable("gone"))
        gate.set()
        until(lambda: node.driver.journal.failures, "a failure of the log")
    thread.join(30)
    assert len(told) == 1
    store.before_commit = None
    assert trade.troth.attach("left").result(timeout=30) == 1
    trade.troth.close()
