"""Handles, gids and what a caller is told: accepted, decided, finished, needs attention, conflict, begun long ago."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.patience import auntil, until
from tests.app.trades import Trade, after
from troth import Cancelled, NeedsAttention
from troth.core import limits
from troth.core.words import State
from troth.ports.errors import (
    AlreadyBegun,
    ConfigurationError,
    GidConflict,
    LimitExceeded,
    PayloadError,
    UnknownTransaction,
)


@pytest.fixture
def trade() -> Iterator[Trade]:
    made = Trade()
    with made.troth:
        yield made


def finished(trade: Trade, gid: str) -> bool:
    """Has it ended?"""
    return trade.troth.get(gid).finished is not None


# --- started and attached


def test_a_started_saga_goes_on_without_its_caller(trade: Trade) -> None:
    """start() returns once it is durable; the handle waits, with or without a timeout."""
    gate = threading.Event()
    step = trade.step("gated", after(gate))

    @trade.troth.saga(name="slow")
    def saga(n: int) -> int:
        return int(step(n))

    handle = trade.troth.start(saga, 5, gid="slow-5")
    assert handle.gid == "slow-5"
    assert str(trade.troth.get("slow-5").state) == "trying"
    with pytest.raises(TimeoutError):
        handle.wait(timeout=0.01)
    with pytest.raises(TimeoutError):
        handle.result(timeout=0.01)
    attached = trade.troth.attach("slow-5")
    gate.set()
    assert handle.result(timeout=30) == attached.result(timeout=30) == 5
    assert attached.wait().state is State.CONFIRMED
    assert trade.troth.attach("slow-5").result() == 5


def test_decided_is_told_before_finished(trade: Trade) -> None:
    """wait(until="decided") returns at the decision, while compensations still run."""
    gate = threading.Event()
    slow = trade.step("slow-undo", undo=lambda n: gate.wait(30))
    pivot = trade.step("pivot", role="pivot")
    late = trade.step("late", after(gate), role="retriable")

    @trade.troth.saga(name="no")
    def no() -> None:
        slow(1)
        trade.buy(-1)

    @trade.troth.saga(name="yes")
    def yes() -> None:
        pivot(1)
        late(1)

    handles = trade.troth.start(no), trade.troth.start(yes)
    assert [str(h.wait(until="decided", timeout=30).state) for h in handles] == ["cancelling", "confirming"]
    gate.set()
    assert [str(h.wait(timeout=30).state) for h in handles] == ["cancelled", "confirmed"]


def test_the_same_gid_is_the_same_transaction(trade: Trade) -> None:
    """Called again with the same input, at once or later, a saga runs once and all get its value."""

    @trade.troth.saga(name="once", gid=lambda n: f"once-{n}")
    def saga(n: int) -> int:
        return int(trade.buy(n))

    @trade.troth.saga(name="aonce", gid=lambda n: f"aonce-{n}")
    async def asaga(n: int) -> int:
        return int(await trade.abuy(n))

    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(saga(3))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [30] * 8
    assert saga(3) == 30
    assert trade.did("buy") == [3]

    async def main() -> None:
        assert await asyncio.gather(*[asaga(4) for _ in range(8)]) == [40] * 8

    asyncio.run(main())
    assert trade.did("abuy") == [4]


def test_a_gid_with_other_content_is_a_conflict(trade: Trade) -> None:
    """Same gid, other input or another saga: GidConflict, in flight and afterwards, and nothing runs."""
    gate = threading.Event()
    step = trade.step("gated", after(gate))

    @trade.troth.saga(name="one")
    def one(n: int) -> int:
        return int(step(n))

    @trade.troth.saga(name="two")
    def two(n: int) -> int:
        return int(trade.buy(n))

    handle = trade.troth.start(one, 1, gid="g")
    for _ in range(2):
        with pytest.raises(GidConflict, match="input differs"):
            trade.troth.run(one, 2, gid="g")
        with pytest.raises(GidConflict, match="it runs one"):
            trade.troth.run(two, 1, gid="g")
        with pytest.raises(GidConflict):
            trade.troth.start(two, 1, gid="g")
        gate.set()
        handle.wait(timeout=30)
    assert trade.did("gated") == [1]
    assert trade.did("buy") == []


def test_a_generated_gid_is_a_gid_like_any_other(trade: Trade) -> None:
    """It can be attached to, and used again with the same input only."""

    @trade.troth.saga(name="any")
    def saga(n: int) -> int:
        return int(trade.buy(n))

    gid = trade.troth.run(saga, 1).gid
    assert trade.troth.attach(gid).result() == 10
    assert trade.troth.run(saga, 1, gid=gid).result == 10
    with pytest.raises(GidConflict):
        trade.troth.run(saga, 2, gid=gid)


@pytest.mark.parametrize("gid", ["", " ", "a b", "..", ".hidden", "-x", "ä", "a/b", "a#b"])
def test_a_gid_that_is_none_is_refused_at_the_door(trade: Trade, gid: str) -> None:
    """Nothing is begun with it, looked up by it or waited for."""

    @trade.troth.saga(name="never")
    def saga() -> None:
        trade.buy(1)

    for call in (lambda: trade.troth.run(saga, gid=gid), lambda: trade.troth.attach(gid), lambda: trade.troth.get(gid)):
        with pytest.raises(PayloadError, match="gid"):
            call()
    with pytest.raises(LimitExceeded, match="GID_LENGTH"):
        trade.troth.run(saga, gid="x" * 129)
    assert trade.deeds == []


def test_what_the_log_does_not_have_is_unknown(trade: Trade) -> None:
    """Reading, waiting and operating all say so."""
    troth = trade.troth
    for call in (lambda: troth.get("x"), lambda: troth.attach("x").result(), lambda: troth.retry("x")):
        with pytest.raises(UnknownTransaction, match="no transaction x"):
            call()
    with pytest.raises(UnknownTransaction):
        troth.resolve("x", reason="gone")
    with pytest.raises(ConfigurationError, match="reason"):
        troth.resolve("x", reason=" ")


def test_what_only_the_ledger_knows_is_already_begun(trade: Trade) -> None:
    """After retention only the outcome is known: nothing runs again under that gid."""

    @trade.troth.saga(name="old")
    def saga(n: int) -> int:
        return int(trade.buy(n))

    trade.troth.run(saga, 1, gid="old-1")
    store = trade.troth.runtime.store
    assert store is not None
    day = 86_400_000_000
    far = trade.troth.runtime.node.now() + 8 * day  # type: ignore[union-attr]
    assert store.purge(far, 7 * day, 90 * day, 100) == 1
    for call in (
        lambda: trade.troth.run(saga, 1, gid="old-1"),
        lambda: trade.troth.start(saga, 1, gid="old-1"),
        lambda: trade.troth.attach("old-1").result(),
        lambda: trade.troth.get("old-1"),
    ):
        with pytest.raises(AlreadyBegun, match="old-1 was already begun; it ended confirmed"):
            call()
    with pytest.raises((GidConflict, AlreadyBegun)):
        trade.troth.run(saga, 2, gid="old-1")
    assert trade.did("buy") == [1]


def test_a_saga_begun_in_a_step_has_a_derived_gid(trade: Trade) -> None:
    """A step that is repeated finds the saga that its first attempt began."""
    attempts: list[int] = []

    @trade.troth.saga(name="child")
    def child(n: int) -> int:
        return int(trade.buy(n))

    def act(n: int) -> int:
        attempts.append(n)
        value = int(child(n))
        if len(attempts) == 1:
            raise OSError("once more")
        return value

    step = trade.step("parent-step", act, interval=0.01)

    @trade.troth.saga(name="parent")
    def parent(n: int) -> int:
        return int(step(n))

    assert parent.options(gid="family").run(2).result == 20
    assert attempts == [2, 2]
    assert trade.did("buy") == [2]
    assert len([view for view in trade.troth.find() if view.definition == "child"]) == 1


# --- attention


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts are used up fast, and slow retries are slow."""
    monkeypatch.setattr(limits, "RETRIES_AFTER_DECISION", 3)


def stuck(trade: Trade, cured: threading.Event) -> Any:
    """A saga whose compensation fails until it is cured."""

    def undo(n: int) -> None:
        if not cured.is_set():
            raise OSError("the bank is closed")

    step = trade.step("hold", undo=undo, interval=0.005)

    @trade.troth.saga(name="stuck")
    def saga() -> None:
        step(1)
        trade.buy(-1)

    return saga


def test_needs_attention_names_what_is_open(trade: Trade, soon: None) -> None:
    """A compensation that keeps failing: the caller is told NeedsAttention with the open branches; outcome: failed."""
    saga = stuck(trade, threading.Event())
    with pytest.raises(NeedsAttention, match="the bank is closed") as caught:
        saga.options(gid="s").__call__()
    assert caught.value.gid == "s"
    assert [line.split()[0] for line in caught.value.open] == ["0/hold#1"]
    assert str(trade.troth.run(saga, gid="s").state) == "failed"
    assert str(trade.troth.attach("s").wait(until="decided").state) == "failed"
    assert not finished(trade, "s")


def test_retry_takes_it_up_again(trade: Trade, soon: None) -> None:
    """Once the cause is gone, retry() ends it as it was decided."""
    cured = threading.Event()
    saga = stuck(trade, cured)
    with pytest.raises(NeedsAttention):
        saga.options(gid="s").__call__()
    cured.set()
    trade.troth.retry("s")
    until(lambda: finished(trade, "s"), "the end of the retried transaction")
    assert str(trade.troth.get("s").state) == "cancelled"
    assert trade.undid("hold") == [1]
    with pytest.raises(Cancelled):
        trade.troth.attach("s").result()
    with pytest.raises(AlreadyBegun):
        trade.troth.retry("s")


def test_resolve_closes_it_by_hand(trade: Trade, soon: None) -> None:
    """A person settled it: it stays failed, is closed, and nothing of it is called any more."""
    saga = stuck(trade, threading.Event())
    with pytest.raises(NeedsAttention):
        saga.options(gid="s").__call__()
    trade.troth.resolve("s", reason="refunded by phone")
    until(lambda: finished(trade, "s"), "the end of the resolved transaction")
    assert str(trade.troth.get("s").state) == "failed"
    assert trade.undid("hold") == []
    with pytest.raises(AlreadyBegun):
        trade.troth.resolve("s", reason="again")


def test_the_awaited_verbs_do_the_same(trade: Trade, soon: None) -> None:
    """troth.aio mirrors get, find, retry, resolve, attach."""
    saga = stuck(trade, threading.Event())
    again = trade.troth.saga(name="fine")(_fine)

    async def main() -> None:
        aio = trade.troth.aio
        with pytest.raises(NeedsAttention):
            await saga.options(gid="s").aio()
        assert [view.gid for view in await aio.find(state="failed")] == ["s"]
        await aio.retry("s")
        await auntil(lambda: trade.troth.stats()["alerts"] == 2, "the failure of the next round")
        await aio.resolve("s", reason="settled")
        while (await aio.get("s")).finished is None:
            await asyncio.sleep(0.01)
        assert (await aio.run(again, gid="f")).result is None
        assert (await aio.attach("f").wait()).state is State.CONFIRMED

    asyncio.run(main())


def _fine() -> None:
    """A saga that calls nothing: its outcome is written all the same."""


def test_attach_finds_what_another_process_drives(tmp_path: Path) -> None:
    """Two nodes on one log: each can wait for, and join by gid, what the other drives."""
    url = f"sqlite:///{tmp_path}/log.db"
    first, second = Trade(url), Trade(url)
    gate = threading.Event()
    sagas = []
    for trade in (first, second):
        step = trade.step("gated", after(gate))
        sagas.append(trade.troth.saga(name="gated-saga")(_with(step)))
    with first.troth, second.troth:
        handle = first.troth.start(sagas[0], 7, gid="shared")
        elsewhere = second.troth.attach("shared")
        with pytest.raises(TimeoutError):
            elsewhere.wait(timeout=0.05)
        with pytest.raises(GidConflict):
            second.troth.run(sagas[1], 8, gid="shared")
        joined: list[Any] = []
        thread = threading.Thread(target=lambda: joined.append(second.troth.run(sagas[1], 7, gid="shared").result))
        thread.start()
        gate.set()
        thread.join()
        assert handle.result(timeout=30) == elsewhere.result(timeout=30) == joined[0] == 7
        assert first.did("gated") == [7]
        assert second.did("gated") == []


def _with(step: Any) -> Any:
    def body(n: int) -> int:
        return int(step(n))

    return body
