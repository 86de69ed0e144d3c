"""Transactions that a block opens: leaving confirms, an exception cancels, and nothing that failed is ever confirmed."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.app.patience import auntil, until
from tests.app.shelves import ALWAYS, Hold, Shelves, at, times
from troth import Cancelled, DefinitionError, NeedsAttention, Refused, StepFailed
from troth.core.words import Fate, State

# --- the two ends


def test_leaving_confirms(shelves: Shelves) -> None:
    """What is tried is held while the block is open, and the hold becomes real when it is left."""
    books, pens = shelves.tcc("books"), shelves.tcc("pens")
    with shelves.troth.transaction("order-1", timeout=30) as tx:
        assert tx(books).try_(2) == Hold("books", 2)
        assert tx(pens).try_(n=1) == Hold("pens", 1)
        assert (shelves.books("books"), shelves.books("pens")) == ((8, 2, 0), (9, 1, 0))
        assert (tx.gid, tx.outcome, tx.rollback_only, tx.reason) == ("order-1", None, False, "")
    assert (shelves.books("books"), shelves.books("pens")) == ((8, 0, 2), (9, 0, 1))
    assert tx.outcome is not None
    assert (tx.outcome.state, tx.outcome.result) == (State.CONFIRMED, [Hold("books", 2), Hold("pens", 1)])
    assert [(b.id, b.fate) for b in tx.outcome.branches] == [("0/books#1", Fate.CONFIRMED), ("0/pens#1", Fate.CONFIRMED)]
    assert not tx.rollback_only


def test_an_exception_cancels_and_goes_on(shelves: Shelves) -> None:
    """Whatever was held is free again before the exception leaves the block, unchanged."""
    books, pens = shelves.tcc("books"), shelves.tcc("pens")
    with pytest.raises(KeyError, match="mine"), shelves.troth.transaction() as tx:
        tx(books).try_(2)
        tx(pens).try_(1)
        raise KeyError("mine")
    assert (shelves.books("books"), shelves.books("pens")) == ((10, 0, 0), (10, 0, 0))
    assert tx.outcome is not None
    assert (tx.outcome.state, tx.outcome.reason) == (State.CANCELLED, "KeyError: 'mine'")
    assert tx.rollback_only
    assert shelves.troth.get(tx.gid).state is State.CANCELLED


def test_a_refused_try_says_why_and_cancels_the_rest(shelves: Shelves) -> None:
    """Refused comes out of the try and of the block; the refused branch has no cancel."""
    books, pens = shelves.tcc("books"), shelves.tcc("pens")
    with pytest.raises(Refused, match="pens has no 11 left") as raised, shelves.troth.transaction() as tx:
        tx(books).try_(2)
        tx(pens).try_(11)
    assert raised.value.step == "0/pens#1"
    assert (shelves.books("books"), shelves.books("pens")) == ((10, 0, 0), (10, 0, 0))
    assert shelves.did("cancel") == [("books", 2)]
    assert tx.outcome is not None
    assert [b.fate for b in tx.outcome.branches] == [Fate.CANCELLED, Fate.REFUSED]


def test_code_that_swallows_a_failed_try_cannot_confirm(shelves: Shelves) -> None:
    """Refused, or given up on: the transaction is rollback-only, says why, calls no more, and its end raises Cancelled."""
    books, pens = shelves.tcc("books"), shelves.tcc("pens")
    broken = shelves.tcc("broken", on_try=times(ALWAYS, OSError("no line")), attempts=2)
    for bad, n, error, reason in [(pens, 11, Refused, "pens has no 11 left"), (broken, 1, StepFailed, "OSError: no line")]:
        with pytest.raises(Cancelled, match=reason) as raised, shelves.troth.transaction() as tx:
            tx(books).try_(2)
            with pytest.raises(error, match=reason):
                tx(bad).try_(n)
            assert tx.rollback_only
            assert reason in tx.reason
            with pytest.raises(Cancelled, match=reason):
                tx(books).try_(1)
        assert raised.value.gid == tx.gid
        assert raised.value.__cause__ is not None
        assert tx.outcome is not None
        assert tx.outcome.state is State.CANCELLED
    assert [shelves.books(name) for name in ("books", "pens", "broken")] == [(10, 0, 0)] * 3
    assert shelves.did("confirm") == []


def test_a_try_of_unknown_fate_is_cancelled_without_a_hold(lone: Shelves) -> None:
    """Nobody knows whether it ran: its cancel is called, and gets None."""
    books, blind = lone.tcc("books"), lone.free("blind", on_try=times(ALWAYS, OSError("no answer")), attempts=2)
    with pytest.raises(StepFailed, match="no answer"), lone.troth.transaction() as tx:
        tx(books).try_(1)
        tx(blind).try_(7)
    assert sorted(lone.did("cancel")) == [("blind", None), ("books", 1)]


def test_an_empty_block_is_confirmed(lone: Shelves) -> None:
    """Nothing was wanted, nothing is owed."""
    with lone.troth.transaction("nothing") as tx:
        pass
    assert tx.outcome is not None
    assert (tx.outcome.state, tx.outcome.branches) == (State.CONFIRMED, ())


# --- side by side


def test_tries_can_be_gathered(shelves: Shelves) -> None:
    """asyncio.gather over tries just works, in either colour; ids follow the order of the calls."""
    books = shelves.tcc("books")
    pens = shelves.atcc("pens") if "async" in shelves.database.colours else shelves.afree("pens")

    async def main() -> Any:
        async with shelves.troth.transaction() as tx:
            held = await asyncio.gather(tx(books).try_.aio(1), tx(pens).try_(2), tx(books).try_.aio(3))
            assert len(held) == 3
        return tx.outcome

    outcome = asyncio.run(main())
    assert outcome.state is State.CONFIRMED
    assert [b.id for b in outcome.branches] == ["0/books#1", "0/pens#1", "0/books#2"]
    assert shelves.books("books") == (6, 0, 4)


def test_one_refused_of_many_gathered_cancels_all(lone: Shelves) -> None:
    """The others are waited for, then cancelled; return_exceptions=True confirms nothing."""
    books, pens = lone.tcc("books"), lone.afree("pens")

    async def main() -> None:
        async with lone.troth, lone.troth.transaction() as tx:
            calls = [tx(books).try_.aio(1), tx(pens).try_(2), tx(books).try_.aio(11), tx(pens).try_(4)]
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert any(isinstance(each, Refused) for each in found)

    with pytest.raises(Cancelled, match="books has no 11 left"):
        asyncio.run(main())
    assert lone.books("books") == (10, 0, 0)
    assert lone.did("confirm") == []


def test_threads_may_call_side_by_side(shelves: Shelves) -> None:
    """tx can be used from several threads; each gets its own hold."""
    books = shelves.tcc("books")
    with ThreadPoolExecutor(4) as pool, shelves.troth.transaction() as tx:
        assert list(pool.map(tx(books).try_, [1, 2, 3, 4])) == [Hold("books", n) for n in (1, 2, 3, 4)]
    assert shelves.books("books") == (0, 0, 10)


def test_a_try_never_awaited_is_made_and_waited_for(lone: Shelves) -> None:
    """A call is a call: the end of the block waits for it."""
    pens = lone.afree("pens")

    async def main() -> None:
        async with lone.troth, lone.troth.transaction() as tx:
            tx(pens).try_(5)  # never awaited

    asyncio.run(main())
    assert lone.deeds == [("try", "pens", 5), ("confirm", "pens", 5)]


# --- leaving early, late, or by force


def test_whoever_stops_waiting_for_a_try_cannot_confirm(lone: Shelves) -> None:
    """A timeout of the caller's own around a try makes the transaction rollback-only, though the try may yet succeed."""

    async def main() -> None:
        gate = asyncio.Event()
        slow = lone.afree("slow", on_try=lambda n: gate.wait())
        async with lone.troth, lone.troth.transaction() as tx:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(tx(slow).try_(1), 0.01)
            await auntil(lambda: tx.rollback_only)
            lone.troth.runtime.started().loop.call_soon_threadsafe(gate.set)

    with pytest.raises(Cancelled, match="its caller stopped waiting for it"):
        asyncio.run(main())
    assert lone.deeds == [("try", "slow", 1), ("cancel", "slow", 1)]


def test_a_cancelled_task_cancels_its_transaction(lone: Shelves) -> None:
    """Left by CancelledError, the block asks for the cancel and doesn't hold the task up."""
    books = lone.tcc("books")

    async def main() -> None:
        async with lone.troth:
            entered = asyncio.Event()

            async def work() -> None:
                async with lone.troth.transaction("left") as tx:
                    await tx(books).try_.aio(1)
                    entered.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(work())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await lone.troth.attach("left").aio.wait()).state is State.CANCELLED

    asyncio.run(main())
    assert lone.books("books") == (10, 0, 0)


def test_a_signal_cancels_its_transaction(lone: Shelves) -> None:
    """KeyboardInterrupt inside a try or between two leaves nothing held."""

    def interrupt(n: int) -> None:
        raise KeyboardInterrupt

    books, rude = lone.tcc("books"), lone.tcc("rude", on_try=interrupt)
    with pytest.raises(KeyboardInterrupt), lone.troth.transaction("inside") as tx:
        tx(books).try_(1)
        tx(rude).try_(1)
    with pytest.raises(KeyboardInterrupt), lone.troth.transaction("between") as tx:
        tx(books).try_(1)
        raise KeyboardInterrupt
    for gid in ("inside", "between"):
        assert lone.troth.attach(gid).wait().state is State.CANCELLED
    assert lone.books("books") == (10, 0, 0)


def test_the_deadline_cancels_an_open_block(lone: Shelves) -> None:
    """Past it nothing can be called, and the end of the block says so."""
    books = lone.tcc("books")
    with pytest.raises(Cancelled, match="timeout"), lone.troth.transaction(timeout=0.05) as tx:
        tx(books).try_(1)
        until(lambda: tx.rollback_only)
        with pytest.raises(Cancelled, match="timeout"):
            tx(books).try_(1)
    assert lone.books("books") == (10, 0, 0)


def test_decided_is_told_before_the_confirms_are_done(lone: Shelves) -> None:
    """until="decided" leaves the block at the decision; the confirms go on, and can be waited for."""
    gate = threading.Event()
    books = lone.tcc("books", on_confirm=at(gate))
    with lone.troth.transaction("soon", until="decided") as tx:
        tx(books).try_(1)
    assert tx.outcome is not None
    assert tx.outcome.state is State.CONFIRMING
    gate.set()
    assert lone.troth.attach("soon").wait().state is State.CONFIRMED
    assert lone.books("books") == (9, 0, 1)


def test_a_confirm_that_fails_for_good_needs_a_person(lone: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving raises NeedsAttention; nothing turns round; `retry` confirms once the cause is cured."""
    monkeypatch.setattr("troth.core.limits.RETRIES_AFTER_DECISION", 2)
    cured = threading.Event()

    def confirm(hold: Hold) -> None:
        if not cured.is_set():
            raise OSError("no line")

    books, pens = lone.tcc("books", on_confirm=confirm), lone.tcc("pens")
    with pytest.raises(NeedsAttention, match=r"0/books#1 .*no line"), lone.troth.transaction("stuck") as tx:
        tx(books).try_(1)
        tx(pens).try_(1)
    assert tx.outcome is not None
    assert tx.outcome.state is State.FAILED
    assert (lone.books("books"), lone.books("pens")) == ((9, 1, 0), (9, 0, 1))
    cured.set()
    lone.troth.retry("stuck")
    until(lambda: lone.troth.get("stuck").state is State.CONFIRMED)
    assert lone.books("books") == (9, 0, 1)


def test_a_loop_of_another_thread_is_as_good(lone: Shelves) -> None:
    """The node runs on its own loop, the block on the caller's: calls, waits and cancelled waits cross over."""
    gate = threading.Event()
    books, slow = lone.tcc("books"), lone.free("slow", on_try=at(gate))

    async def main() -> None:
        async with lone.troth.transaction("far") as tx:
            await asyncio.gather(tx(books).try_.aio(1), tx(books).try_.aio(2))
        with pytest.raises(Cancelled):
            async with lone.troth.transaction("left") as tx:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(tx(slow).try_.aio(1), 0.01)
                await auntil(lambda: tx.rollback_only)
                gate.set()

    asyncio.run(main())
    assert lone.books("books") == (7, 0, 3)
    assert lone.did("confirm") == [("books", 1), ("books", 2)]


def test_a_node_that_stops_takes_its_open_blocks_along(tmp_path: Path) -> None:
    """Closed under a block, the transaction can't be confirmed: tries and the end raise Cancelled, and the next start cancels."""
    world = Shelves(f"sqlite:///{tmp_path}/shelves.db", f"sqlite:///{tmp_path}/log.db", drain=0.01)
    books = world.tcc("books")
    for gid, calls in (("calls", True), ("ends", False)):
        with pytest.raises(Cancelled, match="its node stopped driving it"), world.troth.transaction(gid) as tx:
            tx(books).try_(1)
            world.troth.close()
            assert tx.rollback_only
            if calls:
                tx(books).try_(1)
    for gid in ("calls", "ends"):
        assert world.troth.attach(gid).wait().state is State.CANCELLED
    assert world.books("books") == (10, 0, 0)
    world.troth.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork: this system has none")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_can_neither_use_nor_end_its_parents_block(lone: Shelves) -> None:
    """In the child both raise; the parent goes on to confirm."""
    books = lone.tcc("books")
    with lone.troth.transaction("parent") as tx:
        tx(books).try_(1)
        child = os.fork()
        if not child:
            code = 1
            try:
                with pytest.raises(DefinitionError, match="belongs to the parent"):
                    tx(books).try_(1)
                with pytest.raises(DefinitionError, match="belongs to the parent"):
                    tx.__exit__(None, None, None)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
    assert lone.books("books") == (9, 0, 1)
