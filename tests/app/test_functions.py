"""Function sagas: parts side by side, other ways taken, sagas in sagas, remembered values, pivots."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.trades import Trade
from troth import Cancelled, Refused, StepFailed
from troth.ports.errors import DefinitionError


@pytest.fixture
def trade() -> Iterator[Trade]:
    made = Trade()
    with made.troth:
        yield made


def ids(trade: Trade, gid: str) -> list[str]:
    """The branch ids of a transaction, as recorded."""
    return [branch.id for branch in trade.troth.get(gid).branches]


# --- side by side


def test_parallel_gives_each_part_a_place(trade: Trade) -> None:
    """Parts of troth.parallel run at once, in threads of their own; ids tell their places, whatever the timing."""
    import threading

    meet = threading.Barrier(2, timeout=30)

    def together(n: int) -> int:
        meet.wait()
        return n

    slow = trade.step("meet", together)

    @trade.troth.saga(name="parts")
    def saga() -> list[int]:
        trade.buy(0)
        return list(trade.troth.parallel(lambda: slow(1) + trade.buy(2), lambda: slow(3) + trade.buy(4)))

    assert saga.options(gid="p").run().result == [21, 43]
    assert sorted(ids(trade, "p")) == [
        "0.1_0/buy#1", "0.1_0/meet#1", "0.1_1/buy#1", "0.1_1/meet#1", "0/buy#1",
    ]  # fmt: skip


def test_gathers_nest(trade: Trade) -> None:
    """A part may gather again; each level has its own places."""

    @trade.troth.saga(name="nested")
    async def saga() -> list[Any]:
        async def part(n: int) -> list[int]:
            return await trade.troth.gather(trade.abuy(n), inner(n + 1))

        async def inner(n: int) -> int:
            first = await trade.abuy(n)
            return int(first + await trade.asell(n))

        return await trade.troth.gather(part(1), part(10), inner(20))

    outcome = saga.options(gid="g").wait.run()
    assert outcome.result == [[10, 40], [100, 220], 400]
    places = sorted({each.rpartition("/")[0] for each in ids(trade, "g")})
    assert places == ["0.1_0", "0.1_0.1_1", "0.1_1", "0.1_1.1_1", "0.1_2"]


def test_parallels_nest(trade: Trade) -> None:
    """A thread of a part may part again."""

    @trade.troth.saga(name="nested-threads")
    def saga() -> list[Any]:
        return list(
            trade.troth.parallel(
                lambda: trade.troth.parallel(lambda: trade.buy(1), lambda: trade.buy(2)),
                lambda: trade.buy(3),
            )
        )

    assert saga() == [[10, 20], 30]


def test_asyncio_gather_and_taskgroup_take_step_calls(trade: Trade) -> None:
    """Step calls that the function makes itself may be awaited by gather, a TaskGroup or a timeout."""

    @trade.troth.saga(name="gathering")
    async def saga() -> list[int]:
        first = await asyncio.gather(trade.abuy(1), trade.asell(2), trade.buy.aio(3))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(trade.abuy(n)) for n in (4, 5)]
        async with asyncio.timeout(30):
            last = await trade.abuy(6)
        return [*first, *[task.result() for task in tasks], last]

    outcome = saga.options(gid="tg").wait.run()
    assert outcome.result == [10, 20, 30, 40, 50, 60]
    assert ids(trade, "tg") == ["0/abuy#1", "0/asell#1", "0/buy#1", "0/abuy#2", "0/abuy#3", "0/abuy#4"]


def test_a_step_call_never_awaited_is_made_and_waited_for(trade: Trade) -> None:
    """Forgetting an await loses nothing: the call is made, and the outcome waits for it. No warning is due."""

    @trade.troth.saga(name="forgetful")
    async def saga() -> str:
        trade.abuy(7)  # never awaited, on purpose
        return "done"

    outcome = saga.options(gid="f").wait.run()
    assert outcome.result == "done"
    assert trade.did("abuy") == [7]
    assert [str(branch.fate) for branch in outcome.branches] == ["done"]


def test_a_failing_part_leaves_no_other_behind(trade: Trade) -> None:
    """All parts end before the first error is raised; then everything is undone."""

    @trade.troth.saga(name="half")
    async def saga() -> None:
        await trade.troth.gather(trade.abuy(-1), trade.asell(2), trade.asell(3))

    @trade.troth.saga(name="half-threads")
    def saga2() -> None:
        trade.troth.parallel(lambda: trade.buy(-1), lambda: trade.sell(2), lambda: trade.sell(3))

    with pytest.raises(Cancelled):
        saga.wait()
    assert sorted(trade.did("asell")) == sorted(trade.undid("asell")) == [2, 3]
    with pytest.raises(Cancelled):
        saga2()
    assert sorted(trade.did("sell")) == sorted(trade.undid("sell")) == [2, 3]


# --- what reaches the function


def test_cancelled_names_the_step_and_carries_the_cause(trade: Trade) -> None:
    """A refusal that leaves the function cancels it; Cancelled has gid, step, reason and the exception itself."""

    @trade.troth.saga(name="refused")
    def saga(n: int) -> None:
        trade.sell(1)
        trade.buy(n)

    with pytest.raises(Cancelled) as caught:
        saga.options(gid="r").__call__(-3)
    assert (caught.value.gid, caught.value.step, caught.value.reason) == ("r", "0/buy#1", "buy of -3")
    assert isinstance(caught.value.__cause__, Refused)
    assert trade.undid("sell") == [1]
    assert trade.undid("buy") == []


def test_a_callers_own_exception_is_the_cause(trade: Trade) -> None:
    """Whatever exception leaves the function cancels it and is the cause of Cancelled."""

    class TooDear(Exception):
        pass

    @trade.troth.saga(name="own")
    def saga() -> None:
        trade.buy(1)
        raise TooDear("far too dear")

    with pytest.raises(Cancelled, match="TooDear: far too dear") as caught:
        saga()
    assert isinstance(caught.value.__cause__, TooDear)
    assert trade.undid("buy") == [1]


def test_run_never_raises_a_business_no(trade: Trade) -> None:
    """run() gives an Outcome with state, reason and branches instead."""

    @trade.troth.saga(name="no")
    def saga() -> None:
        trade.sell(1)
        trade.buy(-1)

    outcome = trade.troth.run(saga, gid="no-1")
    assert (str(outcome.state), outcome.result, outcome.reason) == ("cancelled", None, "buy of -1")
    assert [(b.id, str(b.fate)) for b in outcome.branches] == [("0/sell#1", "compensated"), ("0/buy#1", "refused")]


def test_a_caught_refusal_takes_another_way(trade: Trade) -> None:
    """A refusal may be caught: the branch owes nothing and the saga goes on."""

    @trade.troth.saga(name="another")
    async def saga() -> int:
        try:
            return int(await trade.abuy(-1))
        except Refused:
            return int(await trade.asell(2))

    assert saga.wait() == 20
    assert trade.deeds == [("did", "asell", 2)]


def test_a_step_that_gives_up_raises_stepfailed_once_undone(trade: Trade) -> None:
    """Attempts used up in doubt: StepFailed may be caught; that branch is compensated before the saga confirms."""

    def broken(n: int) -> int:
        raise OSError("the line is dead")

    unsure = trade.step("unsure", broken, attempts=2, interval=0.01)

    @trade.troth.saga(name="other-way")
    def saga() -> int:
        try:
            return int(unsure(1))
        except StepFailed as error:
            assert error.step == "0/unsure#1"
            assert isinstance(error.__cause__, OSError)
            return int(trade.buy(2))

    assert saga.options(gid="sf").run().result == 20
    assert trade.undid("unsure") == [1]
    assert [str(b.fate) for b in trade.troth.get("sf").branches] == ["compensated", "done"]


# --- sagas in sagas


def test_a_saga_inside_a_saga_is_a_part_of_it(trade: Trade) -> None:
    """Called plainly it is inlined: its branches are the outer's, and the outer's end undoes them."""

    @trade.troth.saga(name="inner")
    async def inner(n: int) -> int:
        return int(await trade.abuy(n))

    @trade.troth.saga(name="outer")
    async def outer(n: int) -> int:
        return int(await inner(1) + await trade.asell(n))

    assert outer.options(gid="o").wait.run(1).result == 20
    assert ids(trade, "o") == ["0/abuy#1", "0/asell#1"]
    with pytest.raises(Cancelled):
        outer.wait(-1)
    assert trade.undid("abuy") == [1]


def test_an_inner_saga_left_by_an_exception_is_given_up(trade: Trade) -> None:
    """Its branches are compensated; the outer saga may go on and confirms without them."""

    @trade.troth.saga(name="inner")
    def inner() -> None:
        trade.buy(1)
        trade.buy(2)
        trade.sell(-1)

    @trade.troth.saga(name="outer")
    def outer() -> str:
        trade.sell(3)
        try:
            inner()
        except Refused:
            return "another way"
        return "no"

    @trade.troth.saga(name="ainner")
    async def ainner() -> None:
        await trade.abuy(1)
        raise KeyError("lost")

    @trade.troth.saga(name="aouter")
    async def aouter() -> str:
        try:
            await ainner()
        except KeyError:
            return "another way"
        return "no"

    assert outer.options(gid="give-up").run().result == "another way"
    assert trade.undid("buy") == [2, 1]
    assert trade.undid("sell") == []
    assert [str(b.fate) for b in trade.troth.get("give-up").branches] == [
        "done",
        "compensated",
        "compensated",
        "refused",
    ]
    assert aouter.wait() == "another way"
    assert trade.undid("abuy") == [1]


# --- remembered values


def test_a_remembered_value_is_drawn_once(trade: Trade) -> None:
    """A run that begins again gets the value that the first run drew."""
    drawn = itertools.count(1)
    runs = []

    @trade.troth.saga(name="remembering")
    async def saga() -> int:
        value = trade.troth.remember(lambda: next(drawn), type=int)
        runs.append(value)
        await trade.abuy(value)
        if len(runs) == 1:
            raise asyncio.CancelledError  # as by a crash: no Exception, so the function is run again
        return int(value)

    assert saga.wait() == 1
    assert runs == [1, 1]
    assert trade.did("abuy") == [1]


def test_a_sync_saga_remembers_too(trade: Trade) -> None:
    """troth.remember works in both colours, and its value is decoded by its type."""
    from uuid import UUID

    @trade.troth.saga(name="remembering-sync")
    def saga() -> bool:
        value = trade.troth.remember(lambda: UUID(int=5), type=UUID)
        trade.buy(1)
        return isinstance(value, UUID) and value.int == 5

    assert saga() is True


# --- pivots


def test_a_second_pivot_is_refused(trade: Trade) -> None:
    """A saga has one point of no return; calling a second one raises, and past the first nothing is undone."""
    first = trade.step("first", role="pivot")
    second = trade.step("second", role="pivot")
    seen: list[BaseException] = []

    @trade.troth.saga(name="two")
    def saga() -> str:
        trade.buy(1)
        first(1)
        try:
            second(1)
        except DefinitionError as error:
            seen.append(error)
        return "kept"

    assert saga() == "kept"
    assert "second pivot" in str(seen[0])
    assert trade.did("second") == []
    assert trade.undid("buy") == []


def test_a_refused_pivot_cancels_and_another_may_be_tried(trade: Trade) -> None:
    """A pivot that was refused decided nothing: the next card may be charged."""
    charge = trade.step("charge", role="pivot")

    @trade.troth.saga(name="cards")
    def saga() -> int:
        trade.buy(1)
        try:
            return int(charge(-1))
        except Refused:
            return int(charge(2))

    assert saga() == 20
    assert trade.undid("buy") == []


def test_past_the_pivot_an_exception_of_the_function_runs_it_again(trade: Trade) -> None:
    """There is no way back: the function is repeated until it ends."""
    charge = trade.step("charge", role="pivot")
    runs = []

    @trade.troth.saga(name="stubborn")
    def saga() -> str:
        charge(1)
        runs.append(1)
        if len(runs) < 2:
            raise ValueError("a bug behind the pivot")
        trade.buy(1)
        return "done"

    assert saga() == "done"
    assert trade.did("charge") == [1]
    assert len(runs) == 2
