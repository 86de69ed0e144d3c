"""Colour is static: each spelling works where it can, and raises at once, naming the right one, where it can't."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.app.trades import Trade
from troth import Cancelled
from troth.ports.errors import DefinitionError, WrongColour


@pytest.fixture
def trade() -> Trade:
    return Trade()


@pytest.fixture
def sagas(trade: Trade) -> Iterator[Any]:
    """The same saga in both colours, and a graph."""

    class Sagas:
        @staticmethod
        @trade.troth.saga(name="sync")
        def sync(n: int) -> int:
            return int(trade.sell(trade.buy(n)))

        @staticmethod
        @trade.troth.saga(name="coro")
        async def coro(n: int) -> int:
            return int(await trade.asell(await trade.abuy(n)))

        @staticmethod
        @trade.troth.saga(name="sync-awaited")
        def mixed(n: int) -> int:
            return int(trade.asell.wait(trade.buy(n)))

        @staticmethod
        @trade.troth.saga(name="coro-blocking")
        async def amixed(n: int) -> int:
            return int(await trade.sell.aio(await trade.abuy(n)))

    yield Sagas
    trade.troth.close()


# --- every right spelling


@pytest.mark.parametrize("name", ["sync", "mixed"])
def test_a_sync_saga_is_called_like_a_function(sagas: Any, name: str) -> None:
    """A plain call returns the value; sync and (by .wait) async steps both work in it."""
    assert getattr(sagas, name)(1) == 100


@pytest.mark.parametrize("name", ["coro", "amixed"])
def test_an_async_saga_blocks_by_wait(sagas: Any, name: str) -> None:
    """.wait is the blocking spelling of what is awaited; in it .aio awaits what blocks."""
    assert getattr(sagas, name).wait(1) == 100
    assert getattr(sagas, name).wait.run(2).result == 200
    assert getattr(sagas, name).wait.start(3).result(timeout=30) == 300


def test_both_colours_work_on_the_nodes_own_loop(trade: Trade, sagas: Any) -> None:
    """`async with` puts the node on the running loop; sync sagas are awaited by .aio there."""

    async def main() -> None:
        async with trade.troth:
            assert trade.troth.runtime.node is not None
            assert trade.troth.runtime.node.loop is asyncio.get_running_loop()
            assert await sagas.coro(1) == 100
            assert await sagas.sync.aio(1) == 100
            assert (await sagas.sync.aio.run(2)).result == 200
            assert await (await sagas.coro.start(3)).aio.result() == 300
            assert (await trade.troth.aio.run(sagas.sync, 4)).result == 400
            assert await (await trade.troth.aio.start(sagas.coro, 5)).aio.result() == 500

    asyncio.run(main())


def test_both_colours_work_from_another_loop_than_the_nodes(trade: Trade, sagas: Any) -> None:
    """A node in a thread of its own serves any number of loops, one after the other and at once."""

    async def main() -> None:
        assert await sagas.coro(1) == 100
        assert await sagas.sync.aio(1) == 100
        assert await asyncio.gather(*[sagas.coro(n) for n in range(20)]) == [n * 100 for n in range(20)]

    asyncio.run(main())
    asyncio.run(main())
    assert trade.troth.runtime.node is not None
    assert trade.troth.runtime.node.loop.is_running()


def test_a_notebook_needs_no_with(trade: Trade, sagas: Any) -> None:
    """In a loop that runs all the time each cell awaits what it wants; the node starts in its own thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        cells: list[Callable[[], Any]] = [lambda: sagas.coro(1), lambda: sagas.sync.aio(2), lambda: sagas.coro.run(3)]
        values = [asyncio.run_coroutine_threadsafe(_cell(cell), loop).result(30) for cell in cells]
        assert values[:2] == [100, 200]
        assert values[2].result == 300
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cell(code: Callable[[], Any]) -> Any:
    return await code()


def test_a_sync_saga_runs_in_its_callers_thread(trade: Trade) -> None:
    """So do its sync steps; without a caller both run in one of the node's threads."""
    threads: list[str] = []
    here = threading.current_thread().name
    look = trade.step("look", lambda n: threads.append(threading.current_thread().name) or n)

    @trade.troth.saga(name="threads")
    def saga(n: int) -> int:
        threads.append(threading.current_thread().name)
        return int(look(n))

    with trade.troth:
        saga(1)
        assert threads == [here, here]
        threads.clear()
        trade.troth.start(saga, 2).result(timeout=30)
        assert len(threads) == 2
        assert threads[0] == threads[1]
        assert threads[0].startswith("troth-saga")


def test_a_step_outside_any_saga_is_an_ordinary_call(trade: Trade) -> None:
    """Each spelling of a step works outside a saga and raises what the function raises."""

    async def main() -> None:
        assert await trade.abuy(1) == 10
        assert await trade.buy.aio(2) == 20

    with trade.troth:
        assert trade.buy(3) == 30
        assert trade.abuy.wait(4) == 40
        asyncio.run(main())


def test_steps_outside_sagas_can_be_refused() -> None:
    """With outside="refuse" a step call that no saga sees is an error, whatever its spelling."""
    trade = Trade(outside="refuse")
    for call in (trade.buy, trade.abuy, trade.abuy.wait, trade.buy.aio):
        with pytest.raises(DefinitionError, match=r"outside any saga.*outside='refuse'"):
            call(1)

    @trade.troth.saga(name="inside")
    def saga(n: int) -> int:
        return int(trade.buy(n))

    with trade.troth:
        assert saga(1) == 10
    assert trade.did("buy") == [1]


# --- every wrong one

WRONG_IN_A_LOOP: list[tuple[str, str]] = [
    ("sagas.sync(1)", "await sync.aio(…)"),
    ("sagas.sync.run(1)", "await sync.aio(…)"),
    ("sagas.sync.start(1)", "await sync.aio(…)"),
    ("sagas.coro.wait(1)", "await coro(…)"),
    ("trade.troth.run(sagas.sync, 1)", "await sync.aio(…)"),
    ("trade.troth.start(sagas.coro, 1)", "await coro(…)"),
    ("trade.troth.attach('x').result()", "await handle.aio.result(…)"),
    ("trade.troth.attach('x').wait()", "await handle.aio.wait(…)"),
    ("trade.troth.get('x')", "troth.aio.get(…)"),
    ("trade.troth.find()", ".find(…)"),
    ("trade.troth.retry('x')", ".retry(…)"),
    ("trade.troth.resolve('x', reason='by hand')", ".resolve(…)"),
    ("trade.troth.close()", "await troth.aclose()"),
    ("trade.troth.__enter__()", "async with troth"),
    ("trade.buy(1)", "await fn.aio(…)"),
    ("trade.abuy.wait(1)", "await fn(…)"),
]


@pytest.mark.parametrize(("code", "right"), WRONG_IN_A_LOOP, ids=[code for code, _ in WRONG_IN_A_LOOP])
def test_what_blocks_raises_in_a_running_loop(trade: Trade, sagas: Any, code: str, right: str) -> None:
    """A blocking spelling never blocks a loop: it raises before anything is begun and names the awaited one."""

    async def main() -> None:
        with pytest.raises(WrongColour, match=re.escape(right)):
            eval(code, {"trade": trade, "sagas": sagas})

    asyncio.run(main())
    assert trade.deeds == []


WRONG_ALWAYS: list[tuple[str, str]] = [
    ("sagas.sync.wait", "blocks already"),
    ("sagas.coro.aio", "awaited already"),
    ("trade.buy.wait", "blocks already"),
    ("trade.abuy.aio", "awaited already"),
]


@pytest.mark.parametrize(("code", "right"), WRONG_ALWAYS, ids=[code for code, _ in WRONG_ALWAYS])
def test_a_spelling_that_makes_no_sense_is_no_spelling(trade: Trade, sagas: Any, code: str, right: str) -> None:
    """What blocks has no .wait, what is awaited has no .aio; the message says what there is."""
    with pytest.raises(DefinitionError, match=right):
        eval(code, {"trade": trade, "sagas": sagas})


WRONG_IN_SYNC = [
    ("trade.buy.aio(1)", WrongColour, "fn(…)"),
    ("trade.abuy(1)", WrongColour, "fn.wait(…)"),
    ("sagas.coro.wait(1)", WrongColour, "make it a def"),
    ("sagas.sync.aio(1)", WrongColour, "is awaited here"),
    ("sagas.sync.run(1)", DefinitionError, "inside another saga"),
    ("sagas.sync.start(1)", DefinitionError, "inside another saga"),
]
WRONG_IN_ASYNC = [
    ("trade.buy(1)", WrongColour, "await fn.aio(…)"),
    ("trade.abuy.wait(1)", WrongColour, "await fn(…)"),
    ("sagas.sync(1)", WrongColour, "make it async def"),
    ("sagas.coro.wait(1)", WrongColour, "await"),
    ("sagas.coro.run(1)", DefinitionError, "inside another saga"),
    ("trade.troth.parallel()", DefinitionError, "await troth.gather(…)"),
]


@pytest.mark.parametrize(("code", "kind", "right"), WRONG_IN_SYNC, ids=[row[0] for row in WRONG_IN_SYNC])
def test_wrong_colours_in_a_sync_saga(trade: Trade, sagas: Any, code: str, kind: type[Exception], right: str) -> None:
    """In a plain def nothing is awaited: the call raises where it stands, and the saga is cancelled by it."""

    @trade.troth.saga(name="wrong")
    def wrong() -> None:
        eval(code, {"trade": trade, "sagas": sagas})

    with trade.troth, pytest.raises(Cancelled) as caught:
        wrong()
    assert isinstance(caught.value.__cause__, kind)
    assert right in str(caught.value.__cause__)
    assert trade.deeds == []


@pytest.mark.parametrize(("code", "kind", "right"), WRONG_IN_ASYNC, ids=[row[0] for row in WRONG_IN_ASYNC])
def test_wrong_colours_in_an_async_saga(trade: Trade, sagas: Any, code: str, kind: type[Exception], right: str) -> None:
    """In an async def nothing blocks: the call raises where it stands, and the saga is cancelled by it."""

    @trade.troth.saga(name="wrong")
    async def wrong() -> None:
        eval(code, {"trade": trade, "sagas": sagas})

    with trade.troth, pytest.raises(Cancelled) as caught:
        wrong.wait()
    assert isinstance(caught.value.__cause__, kind)
    assert right in str(caught.value.__cause__)
    assert trade.deeds == []


# --- steps where no step may be


def test_a_step_inside_a_step_is_refused(trade: Trade) -> None:
    """A step is one local transaction: calling another in it raises and names the plain function."""
    outer = trade.step("outer", trade.buy, attempts=1)
    aouter = trade.astep("aouter", trade.abuy, attempts=1)

    @trade.troth.saga(name="nested")
    def nested(n: int) -> None:
        outer(n)

    @trade.troth.saga(name="anested")
    async def anested(n: int) -> None:
        await aouter(n)

    with trade.troth:
        for call in (nested, anested.wait):
            with pytest.raises(Cancelled, match=r"called inside of step a?outer.*\.fn\(…\)"):
                call(1)
    assert trade.did("buy") == trade.did("abuy") == []


def test_a_step_from_a_thread_of_the_functions_own_is_refused(trade: Trade) -> None:
    """A thread that carries the saga's context may not call steps: it is told of troth.parallel."""
    from contextvars import copy_context

    said: list[BaseException] = []

    def helper() -> None:
        try:
            trade.buy(1)
        except DefinitionError as error:
            said.append(error)

    @trade.troth.saga(name="threading")
    def saga() -> None:
        thread = threading.Thread(target=copy_context().run, args=(helper,))
        thread.start()
        thread.join()

    with trade.troth:
        saga()
    assert "troth.parallel" in str(said[0])
    assert trade.deeds == []


def test_a_step_from_a_task_of_the_functions_own_is_refused(trade: Trade) -> None:
    """A helper coroutine in a task of its own may not call steps: it is told of troth.gather."""

    async def helper() -> None:
        await trade.abuy(1)

    @trade.troth.saga(name="tasking")
    async def saga() -> None:
        with pytest.raises(DefinitionError, match=r"troth\.gather"):
            await asyncio.create_task(helper())
        with pytest.raises(DefinitionError, match=r"troth\.gather"):
            await asyncio.to_thread(asyncio.run, helper())

    with trade.troth:
        saga.wait()
    assert trade.deeds == []


def test_places_of_parts_need_a_saga(trade: Trade) -> None:
    """troth.parallel, troth.remember and troth.current say where they work."""
    with pytest.raises(DefinitionError, match=r"sync saga"):
        trade.troth.parallel(lambda: 1)
    with pytest.raises(DefinitionError, match=r"only in a saga"):
        trade.troth.remember(lambda: 1)
    with pytest.raises(DefinitionError, match=r"inside a step"):
        trade.troth.current()
