"""Many at once: threads that call, sagas that nobody waits for, steps that hang."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.patience import until
from tests.app.trades import Trade, after
from troth import Cancelled, Ongoing
from troth.core import limits


@pytest.fixture
def trade() -> Iterator[Trade]:
    made = Trade()
    with made.troth:
        yield made


def test_many_threads_call_sync_sagas_at_once(trade: Trade) -> None:
    """Each gets its own value or its own cancellation, and steps run in their own callers' threads."""
    where: dict[int, str] = {}

    def note(n: int) -> int:
        where[n] = threading.current_thread().name
        return n

    step = trade.step("note", note)

    @trade.troth.saga(name="many")
    def saga(n: int) -> int:
        if n % 3 == 0:
            trade.buy(1)
            trade.sell(-n)
        return int(step(n) + trade.buy(n))

    told: dict[int, Any] = {}

    def call(thread: int) -> None:
        for k in range(10):
            n = thread * 10 + k + 1
            try:
                told[n] = saga(n)
            except Cancelled as error:
                told[n] = error.reason

    threads = [threading.Thread(target=call, args=(number,), name=f"caller-{number}") for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == {n: f"sell of {-n}" if n % 3 == 0 else n * 11 for n in range(1, 401)}
    assert where == {n: f"caller-{(n - 1) // 10}" for n in range(1, 401) if n % 3}
    assert len(trade.undid("buy")) == 133


def test_sagas_that_pause_hold_no_thread(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 started sync sagas whose step is ongoing: their runs are dropped, so others run; each goes on when it can."""
    gate = threading.Event()
    asked: set[int] = set()
    runs: list[int] = []

    def poll(n: int) -> int:
        asked.add(n)
        if not gate.is_set():
            raise Ongoing(0.3)
        return n

    step = trade.step("poll", poll)

    @trade.troth.saga(name="pausing", timeout=600)
    def saga(n: int) -> int:
        runs.append(n)
        return int(step(n) + trade.buy(n))

    @trade.troth.saga(name="quick")
    def quick(n: int) -> int:
        return int(trade.sell(n))

    handles = [trade.troth.start(saga, n) for n in range(200)]
    until(lambda: len(asked) == 200, "every saga's first question")
    assert [trade.troth.start(quick, n).result(timeout=30) for n in range(20)] == [n * 10 for n in range(20)]
    gate.set()
    assert [handle.result(timeout=30) for handle in handles] == [n * 11 for n in range(200)]
    assert len(runs) > 200
    assert sorted(trade.did("buy")) == list(range(200))


def test_a_long_pause_before_a_retry_holds_no_thread(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    """More sagas than threads wait for a step's next attempt; others are not kept waiting."""
    monkeypatch.setattr("troth.engine.node.LONG_PAUSE", 1_000)
    monkeypatch.setattr("troth.app.threads.LONG_PAUSE", 1_000)
    failed: set[int] = set()
    gate = threading.Event()

    def act(n: int) -> int:
        failed.add(n)
        if not gate.is_set():
            raise OSError("not yet")
        return n

    step = trade.step("failing", act, attempts=1_000, interval=0.2)

    @trade.troth.saga(name="retrying", timeout=600)
    def saga(n: int) -> int:
        return int(step(n))

    @trade.troth.saga(name="quick")
    def quick(n: int) -> int:
        return int(trade.sell(n))

    count = limits.SAGA_THREADS + 40
    handles = [trade.troth.start(saga, n) for n in range(count)]
    until(lambda: len(failed) == count, "every saga's first failure")
    assert trade.troth.start(quick, 1).result(timeout=30) == 10
    gate.set()
    assert [handle.result(timeout=30) for handle in handles] == list(range(count))


def test_a_hung_step_keeps_no_other_waiting(trade: Trade) -> None:
    """A sync step that hangs holds its own share of the pool; calls of other steps go on (L4)."""
    gate = threading.Event()
    hung = trade.step("hung", after(gate))

    async def main() -> None:
        @trade.troth.saga(name="hanging", timeout=600)
        async def hanging(n: int) -> int:
            return int(await hung.aio(n))

        @trade.troth.saga(name="lively")
        async def lively(n: int) -> int:
            return int(await trade.buy.aio(n))

        handles = [await hanging.start(n) for n in range(limits.SYNC_THREADS + 8)]
        assert await asyncio.gather(*[lively(n) for n in range(50)]) == [n * 10 for n in range(50)]
        gate.set()
        assert await asyncio.gather(*[handle.aio.result(30) for handle in handles]) == list(range(len(handles)))

    asyncio.run(main())


def test_one_sagas_runs_leave_threads_to_others(trade: Trade) -> None:
    """A sync saga that hangs in its own code, without a caller, holds its share of the saga threads and no more (L4)."""
    gate = threading.Event()

    @trade.troth.saga(name="stuck-code", timeout=600)
    def stuck(n: int) -> int:
        assert gate.wait(30)
        return int(trade.buy(n))

    @trade.troth.saga(name="quick")
    def quick(n: int) -> int:
        return int(trade.sell(n))

    handles = [trade.troth.start(stuck, n) for n in range(limits.SAGA_THREADS + 8)]
    assert trade.troth.start(quick, 1).result(timeout=20) == 10
    gate.set()
    assert [handle.result(timeout=30) for handle in handles] == [n * 10 for n in range(len(handles))]


def test_parallel_works_in_many_started_sagas(trade: Trade) -> None:
    """Parts have threads of their own: no saga waits for a thread that another saga holds."""

    @trade.troth.saga(name="parting")
    def saga(n: int) -> int:
        return int(sum(trade.troth.parallel(lambda: trade.buy(n), lambda: trade.sell(n), lambda: trade.abuy.wait(n))))

    handles = [trade.troth.start(saga, n) for n in range(limits.SAGA_THREADS + 36)]
    assert [handle.result(timeout=30) for handle in handles] == [n * 30 for n in range(len(handles))]
