"""A node's life in its process: started by use, drained by the last leave, bounded, begun again."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.app.patience import auntil, until
from tests.app.trades import Trade, after
from troth import NotAccepted, Ongoing
from troth.ports.errors import DefinitionError


def test_nothing_is_opened_before_first_use(tmp_path: Path) -> None:
    """Construction, definitions and checks touch no file and start no thread."""
    before = threading.active_count()
    trade = Trade(f"sqlite:///{tmp_path}/log.db")
    trade.troth.database("stock", f"sqlite:///{tmp_path}/stock.db")
    trade.troth.check()
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before
    assert trade.troth.stats() == {}


def test_a_compensable_step_without_compensation_stops_the_start() -> None:
    """Definitions are checked when a node starts, and nothing is left running."""
    trade = Trade()

    @trade.troth.step(name="bad")
    def bad() -> None: ...

    for _ in range(2):
        with pytest.raises(DefinitionError, match="step bad is compensable"), trade.troth:
            raise AssertionError
    assert trade.troth.runtime.node is None
    assert trade.troth.runtime.entered == 0


def test_blocks_are_counted() -> None:
    """The node stops at the last leave, in whatever colour the blocks are."""
    trade = Trade()
    troth = trade.troth

    async def main() -> None:
        async with troth:
            async with troth:
                assert troth.runtime.node is not None
            assert not troth.runtime.node.stopping

    with troth:
        with troth:
            node = troth.runtime.node
        assert troth.runtime.node is node
        asyncio.run(main())
        assert troth.runtime.node is node
        assert trade.buy(1) == 10
    assert troth.runtime.node is None
    assert node is not None
    assert node.dead


def test_many_enter_at_once_one_node_starts() -> None:
    """Threads and tasks that come at the same moment share one node."""
    trade = Trade()
    nodes: set[int] = set()
    gate = threading.Barrier(8, timeout=30)

    def use() -> None:
        gate.wait()
        nodes.add(id(trade.troth.runtime.started()))

    async def main() -> None:
        async def enter() -> None:
            async with trade.troth:
                nodes.add(id(trade.troth.runtime.node))
                await auntil(left.is_set, "the threads")

        async with trade.troth:
            await asyncio.gather(*[enter() for _ in range(5)])

    left = threading.Event()
    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    loop = threading.Thread(target=asyncio.run, args=(main(),))
    loop.start()
    for thread in threads:
        thread.join()
    left.set()
    loop.join()
    trade.troth.close()
    assert len(nodes) == 1


def test_a_stop_drains_what_is_in_flight() -> None:
    """Leaving lets started sagas end; meanwhile new ones are NotAccepted, and nothing of them is written."""
    trade = Trade()
    gate, refused = threading.Event(), []
    step = trade.step("gated", after(gate))

    @trade.troth.saga(name="draining")
    def saga(n: int) -> int:
        return int(step(n))

    with trade.troth:
        handles = [trade.troth.start(saga, n, gid=f"d-{n}") for n in range(5)]
        node = trade.troth.runtime.node
        assert node is not None

        def late() -> None:
            until(lambda: node.stopping, "the stop")
            for call in (lambda: saga(9), lambda: trade.troth.start(saga, 9), lambda: asyncio.run(_await(saga.aio(9)))):
                try:
                    call()
                except NotAccepted as error:
                    refused.append(error)
            gate.set()

        thread = threading.Thread(target=late)
        thread.start()
    thread.join()
    assert len(refused) == 3
    assert "stopping" in str(refused[0])
    assert sorted(trade.did("gated")) == list(range(5))
    assert [handle.result(timeout=30) for handle in handles] == list(range(5))
    assert len(trade.troth.find()) == 5
    trade.troth.close()


async def _await(awaitable: Any) -> Any:
    return await awaitable


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_drain_has_a_bound(tmp_path: Path, colour: str, caplog: pytest.LogCaptureFixture) -> None:
    """What doesn't end within it is left to the next node; whoever still waits is told, and nothing hangs."""
    url = f"sqlite:///{tmp_path}/log.db"
    trade = Trade(url, drain=0.1)
    gate = threading.Event()
    calls: list[int] = []

    def poll(n: int) -> int:
        calls.append(n)
        if not gate.is_set():
            raise Ongoing(0.01)
        return n

    step = trade.step("poll", poll)
    told: list[BaseException] = []

    @trade.troth.saga(name="endless", timeout=600)
    def saga(n: int) -> int:
        return int(step(n))

    def wait(call: Any) -> None:
        try:
            call()
        except (TimeoutError, NotAccepted) as error:
            told.append(error)

    def waiters() -> list[threading.Thread]:
        calls = [
            lambda: saga.options(gid="own-thread")(1),
            lambda: trade.troth.attach("started").result(),
            lambda: asyncio.run(_await(saga.options(gid="awaited").aio(3))),
        ]
        threads = [threading.Thread(target=wait, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        return threads

    def in_flight() -> bool:
        node = trade.troth.runtime.node
        return node is not None and {"own-thread", "started", "awaited"} <= set(node.driver.by_gid) and len(calls) > 6

    if colour == "sync":
        with trade.troth:
            trade.troth.start(saga, 2, gid="started")
            threads = waiters()
            until(in_flight, "three sagas in flight")
    else:
        threads = []

        async def main() -> None:
            async with trade.troth:
                await trade.troth.aio.start(saga, 2, gid="started")
                threads.extend(waiters())
                await auntil(in_flight, "three sagas in flight")

        asyncio.run(main())
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert len(told) == 3
    assert {type(error) for error in told} == {TimeoutError}
    gate.set()
    assert trade.troth.attach("started").result(timeout=30) == 2
    assert trade.troth.attach("own-thread").result(timeout=30) == 1
    assert trade.troth.attach("awaited").result(timeout=30) == 3
    trade.troth.close()


def test_a_drain_that_is_interrupted_still_stops_the_node() -> None:
    """Cancelling the leave cuts the drain short; the node is stopped in order all the same."""
    trade = Trade()
    gate = threading.Event()
    step = trade.step("gated", after(gate))

    @trade.troth.saga(name="held-up")
    def saga(n: int) -> int:
        return int(step(n))

    async def main() -> None:
        async def live() -> None:
            async with trade.troth:
                await trade.troth.aio.start(saga, 1)

        task = asyncio.create_task(live())
        await auntil(lambda: (node := trade.troth.runtime.node) is not None and node.stopping, "the stop")
        node = trade.troth.runtime.node
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert node is not None
        assert node.dead
        gate.set()

    asyncio.run(main())
    assert trade.troth.runtime.node is None


def test_a_loop_closed_over_the_nodes_head_is_a_crash(tmp_path: Path) -> None:
    """asyncio.run ends without a leave: the next use starts a new node, which takes over what was open."""
    trade = Trade(f"sqlite:///{tmp_path}/log.db")
    gate: list[bool] = []

    async def poll(n: int) -> int:
        if not gate:
            await asyncio.sleep(3600)
        return n

    step = trade.astep("poll", poll)

    @trade.troth.saga(name="orphaned", timeout=600)
    async def saga(n: int) -> int:
        return int(await step(n))

    async def main() -> None:
        await trade.troth.__aenter__()
        await trade.troth.aio.start(saga, 5, gid="orphan")

    asyncio.run(main())
    first = trade.troth.runtime.node
    gate.append(True)
    assert trade.troth.attach("orphan").result(timeout=30) == 5
    assert trade.troth.runtime.node is not first
    assert saga.wait(6) == 6

    async def again() -> None:
        async with trade.troth:
            assert await saga(7) == 7

    asyncio.run(again())
    trade.troth.close()
    assert sorted(trade.did("poll")) == [5, 6, 7]


def test_waiters_of_a_closed_loop_are_told(tmp_path: Path) -> None:
    """A thread whose saga was driven on a loop that is gone doesn't hang: TimeoutError says where it goes on."""
    trade = Trade(f"sqlite:///{tmp_path}/log.db")
    step = trade.astep("poll", lambda n: asyncio.sleep(3600))
    told: list[BaseException] = []

    @trade.troth.saga(name="orphaned-sync", timeout=600)
    def saga(n: int) -> int:
        return int(step.wait(n))

    def call(function: Any) -> None:
        try:
            function()
        except TimeoutError as error:
            told.append(error)

    calls = [lambda: saga.options(gid="a")(1), lambda: trade.troth.attach("b").result()]
    threads = [threading.Thread(target=call, args=(each,)) for each in calls]

    async def main() -> None:
        await trade.troth.__aenter__()
        await trade.troth.aio.start(saga, 2, gid="b")
        for thread in threads:
            thread.start()
        node = trade.troth.runtime.node
        assert node is not None
        await auntil(lambda: len(node.driver.by_gid) == 2 and node.calls.active == 2, "both in flight")

    asyncio.run(main())
    for thread in threads:
        thread.join(30)
    assert [type(error) for error in told] == [TimeoutError, TimeoutError]
    trade.troth.close()
