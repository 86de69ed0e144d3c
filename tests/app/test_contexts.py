"""Context: what a step may know of its call, what it sees of its caller, and what it leaves behind (nothing)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from tests.app.trades import Trade
from troth.app.current import Current

REQUEST: ContextVar[str] = ContextVar("request", default="nobody's")


@pytest.fixture
def trade() -> Iterator[Trade]:
    made = Trade()
    with made.troth:
        yield made


def test_current_names_the_call(trade: Trade) -> None:
    """gid, branch, op, attempt, and a key that is the same for every attempt of this op and for no other."""
    seen: list[Current] = []

    def act(n: int) -> int:
        seen.append(trade.troth.current())
        if len(seen) == 1:
            raise OSError("once more")
        return n

    step = trade.step("known", act, interval=0.01, undo=lambda n: seen.append(trade.troth.current()))

    @trade.troth.saga(name="knowing")
    def saga() -> None:
        step(1)
        trade.buy(-1)

    trade.troth.run(saga, gid="c")
    first, again, undo = seen
    assert (first.gid, first.branch, str(first.op), first.attempt) == ("c", "0/known#1", "action", 1)
    assert again.attempt == 2
    assert again.idempotency_key == first.idempotency_key != undo.idempotency_key
    assert str(undo.op) == "compensate"


def test_current_is_kept_wherever_an_async_step_goes(trade: Trade) -> None:
    """Under asyncio.gather, in a TaskGroup, in asyncio.to_thread and in a timeout of the step's own body."""
    seen: list[str] = []

    async def look() -> None:
        await asyncio.sleep(0)
        seen.append(trade.troth.current().branch)

    async def act(n: int) -> int:
        await asyncio.gather(look(), look())
        async with asyncio.TaskGroup() as group:
            group.create_task(look())
        seen.append(await asyncio.to_thread(lambda: trade.troth.current().branch))
        async with asyncio.timeout(30):
            await look()
        await look()
        return n

    step = trade.astep("wandering", act)

    @trade.troth.saga(name="wandering-saga")
    async def saga() -> None:
        await trade.troth.gather(step(1), step(2))

    saga.wait()
    assert sorted(seen) == ["0/wandering#1"] * 6 + ["0/wandering#2"] * 6


def test_steps_see_their_callers_context(trade: Trade) -> None:
    """Request ids and trace contexts that the caller set are seen in the function and in each step, in every colour."""
    seen: list[str] = []
    look = trade.step("look", lambda n: seen.append(REQUEST.get()) or n)

    async def alook_body(n: int) -> int:
        seen.append(REQUEST.get())
        return n

    alook = trade.astep("alook", alook_body)

    @trade.troth.saga(name="sync-context")
    def saga() -> None:
        seen.append(REQUEST.get())
        look(1)
        alook.wait(2)

    @trade.troth.saga(name="async-context")
    async def asaga() -> None:
        seen.append(REQUEST.get())
        await look.aio(1)
        await alook(2)

    for number, call in enumerate((saga, asaga.wait, lambda: asyncio.run(_awaited(asaga)))):
        token = REQUEST.set(f"request-{number}")
        seen.clear()
        call()
        REQUEST.reset(token)
        assert seen == [f"request-{number}"] * 3


async def _awaited(saga: Any) -> None:
    await saga()


def test_a_step_sees_what_the_function_set_before_it(trade: Trade) -> None:
    """A step runs in the context of its call, not in that of the function's beginning."""
    seen: list[str] = []

    async def alook_body(n: int) -> int:
        seen.append(REQUEST.get())
        return n

    alook = trade.astep("alook", alook_body)
    look = trade.step("look", lambda n: seen.append(REQUEST.get()) or n)

    @trade.troth.saga(name="setting")
    async def asaga() -> None:
        REQUEST.set("one")
        await alook(1)
        REQUEST.set("two")
        await look.aio(1)

    @trade.troth.saga(name="setting-sync")
    def saga() -> None:
        REQUEST.set("three")
        look(1)
        REQUEST.set("four")
        alook.wait(1)

    asaga.wait()
    thread = threading.Thread(target=saga)
    thread.start()
    thread.join()
    assert seen == ["one", "two", "three", "four"]


def test_what_a_step_sets_stays_in_it(trade: Trade) -> None:
    """A context variable set in a step leaks into no other call, no retry, no compensation, nor the function."""
    seen: list[str] = []
    attempts: list[int] = []

    def dirty(n: int) -> int:
        seen.append(REQUEST.get())
        REQUEST.set("dirt")
        attempts.append(n)
        if len(attempts) == 1:
            raise OSError("once more")
        return n

    async def adirty_body(n: int) -> int:
        return dirty(n)

    def asaga_run() -> None:
        asaga.wait.run()

    step = trade.step("dirty", dirty, interval=0.01, undo=lambda n: seen.append(REQUEST.get()))
    astep = trade.astep("adirty", adirty_body, interval=0.01, undo=lambda n: seen.append(REQUEST.get()))

    @trade.troth.saga(name="clean")
    def saga() -> None:
        step(1)
        step(2)
        astep.wait(3)
        seen.append(REQUEST.get())
        trade.buy(-1)

    @trade.troth.saga(name="aclean")
    async def asaga() -> None:
        await astep(1)
        await asyncio.gather(astep(2), astep(3), step.aio(4))
        seen.append(REQUEST.get())
        await trade.abuy(-1)

    for call in (lambda: trade.troth.run(saga), asaga_run):
        seen.clear()
        attempts.clear()
        call()
        assert set(seen) == {"nobody's"}
        assert len(seen) >= 8
    assert REQUEST.get() == "nobody's"


def test_a_graphs_steps_share_no_context(trade: Trade) -> None:
    """Steps of a graph run one after the other in the same task at times: still nothing leaks."""
    seen: list[str] = []

    async def adirty_body(n: int) -> int:
        seen.append(REQUEST.get())
        REQUEST.set("dirt")
        return n

    astep = trade.astep("adirty", adirty_body)
    graph = trade.troth.graph("dirty-graph", input=int)
    graph.step(astep, args={"n": graph.input})
    for _ in range(20):
        graph(1)
    assert set(seen) == {"nobody's"}
