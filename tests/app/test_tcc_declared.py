"""Declared transactions: all branches known at the start, tried side by side, confirmed or cancelled as one."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from tests.app.patience import until
from tests.app.shelves import ALWAYS, Hold, Shelves, at, times
from troth import Cancelled, DefinitionError, GidConflict, LimitExceeded, NeedsAttention, PayloadError, Refused, Troth
from troth.core import limits
from troth.core.words import Fate, Op, State, Word
from troth.ports.caller import Call

# --- ends


def test_all_are_confirmed_or_none(shelves: Shelves) -> None:
    """Every try done: all confirmed, and the holds are the result. One refused: all cancelled, and the reason is told."""
    books, pens = shelves.tcc("books"), shelves.tcc("pens")
    outcome = shelves.troth.run_tcc("yes", [books.branch(2), pens.branch(n=1), books.branch(3)])
    assert outcome.state is State.CONFIRMED
    assert outcome.result == [Hold("books", 2), Hold("pens", 1), Hold("books", 3)]
    assert [b.id for b in outcome.branches] == ["0/books#1", "0/pens#1", "0/books#2"]
    assert (shelves.books("books"), shelves.books("pens")) == ((5, 0, 5), (9, 0, 1))
    outcome = shelves.troth.run_tcc(None, [books.branch(2), pens.branch(10)])
    assert (outcome.state, outcome.result) == (State.CANCELLED, None)
    assert "pens has no 10 left" in outcome.reason
    assert outcome.gid.startswith("tx-")
    assert (shelves.books("books"), shelves.books("pens")) == ((5, 0, 5), (9, 0, 1))


def test_both_colours_run_and_start_them(shelves: Shelves) -> None:
    """run_tcc, start_tcc, and their awaited twins; a handle gives the holds, or raises what became of it."""
    books = shelves.tcc("books")
    pens = shelves.atcc("pens") if "async" in shelves.database.colours else shelves.afree("pens")
    branches = [books.branch(1), pens.branch(2)]
    handle = shelves.troth.start_tcc("h", branches)
    assert (handle.gid, handle.wait().state) == ("h", State.CONFIRMED)
    assert handle.result()[0] == shelves.troth.attach("h").result()[0] == Hold("books", 1)
    with pytest.raises(Cancelled, match="books has no 11 left"):
        shelves.troth.start_tcc(None, [books.branch(11)]).result()

    async def main() -> None:
        outcome = await shelves.troth.aio.run_tcc("a", branches)
        assert (outcome.state, outcome.result and outcome.result[0]) == (State.CONFIRMED, Hold("books", 1))
        handle = await shelves.troth.aio.start_tcc("b", branches)
        assert (await handle.aio.wait()).state is State.CONFIRMED

    asyncio.run(main())  # the node is on a loop of its own
    assert shelves.books("books") == (7, 0, 3)


def test_on_the_nodes_own_loop_too(tmp_path: Path) -> None:
    """async with troth: the node runs on the caller's loop."""
    other = Shelves(f"sqlite:///{tmp_path}/shelves.db")
    pens = other.afree("pens")

    async def main() -> Any:
        async with other.troth:
            return await other.troth.aio.run_tcc(None, [pens.branch(2), pens.branch(3)])

    assert asyncio.run(main()).result == [2, 3]


def test_tries_go_side_by_side(lone: Shelves) -> None:
    """No try waits for another one's end."""
    both = threading.Barrier(2, timeout=30)
    one, two = lone.free("one", on_try=lambda n: both.wait()), lone.free("two", on_try=lambda n: both.wait())
    assert lone.troth.run_tcc(None, [one.branch(1), two.branch(2)]).state is State.CONFIRMED


def test_a_try_that_fails_for_a_moment_is_made_again(lone: Shelves) -> None:
    """attempts= bounds the calls; within them a rolled-back try costs nothing."""
    books = lone.tcc("books", on_try=times(2, OSError("no line")))
    assert lone.troth.run_tcc(None, [books.branch(2)]).state is State.CONFIRMED
    outcome = lone.troth.run_tcc(None, [lone.tcc("pens", on_try=times(3, OSError("no line"))).branch(2)])
    assert (outcome.state, outcome.branches[0].fate) == (State.CANCELLED, Fate.NOT_DONE)
    assert lone.books("books") == (8, 0, 2)


def test_a_users_own_exception_can_refuse(lone: Shelves) -> None:
    """refuse_on= makes it a definite no of the try: one call, its words are the reason, and the hold is not kept."""
    books = lone.tcc("books", on_try=times(ALWAYS, KeyError("blocked")), refuse_on=(KeyError,))
    outcome = lone.troth.run_tcc(None, [books.branch(1)])
    assert (outcome.state, outcome.branches[0].fate) == (State.CANCELLED, Fate.REFUSED)
    assert "blocked" in outcome.reason


def test_a_confirm_that_refuses_is_repeated_and_a_person_told(lone: Shelves, caplog: pytest.LogCaptureFixture) -> None:
    """After the decision a no is a broken promise: alerted at once, and asked again; never the other direction."""
    books = lone.tcc("books", on_confirm=times(1, Refused("changed my mind")))
    assert lone.troth.run_tcc(None, [books.branch(1)]).state is State.CONFIRMED
    assert "refused_not_allowed" in caplog.text
    assert lone.books("books") == (9, 0, 1)


def test_a_failed_confirm_needs_a_person_and_retry_ends_it(lone: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are confirmed meanwhile; a person's retry ends what was open; resolve closes what can't be ended."""
    monkeypatch.setattr("troth.core.limits.RETRIES_AFTER_DECISION", 2)
    cured = threading.Event()

    def confirm(hold: Any) -> None:
        if not cured.is_set():
            raise OSError("no line")

    books, pens = lone.tcc("books", on_confirm=confirm), lone.tcc("pens")
    outcome = lone.troth.run_tcc("stuck", [books.branch(1), pens.branch(2)])
    assert [b.fate for b in outcome.branches] == [Fate.DONE, Fate.CONFIRMED]
    assert (outcome.state, lone.books("pens")) == (State.FAILED, (8, 0, 2))
    with pytest.raises(NeedsAttention, match=r"0/books#1 .*no line"):
        lone.troth.attach("stuck").result()
    lone.troth.run_tcc("given-up", [books.branch(1)])
    lone.troth.resolve("given-up", reason="booked by hand")
    until(lambda: lone.troth.get("given-up").finished is not None)
    cured.set()
    lone.troth.retry("stuck")
    until(lambda: lone.troth.get("stuck").state is State.CONFIRMED)
    assert lone.books("books") == (8, 1, 1)


# --- the barrier's share


def call_of(shelves: Shelves, op: Op, name: str = "books", n: int = 1) -> Any:
    """One op on a branch of its own, as a coordinator calls it."""
    participant = shelves.troth.participant(name)
    assert participant is not None
    args = Raw(b'{"n":%d}' % n)
    return participant.call(Call(b"u" * 16, "g", f"0/{name}#1", op, name, 1, args, None, 1, 0, "log", 10.0))


def test_a_cancel_before_its_try_is_empty_and_the_late_try_refused(shelves: Shelves) -> None:
    """Empty cancel: nothing runs, done. Hanging: the try that comes after it is refused, and holds nothing."""
    shelves.tcc("books")
    assert call_of(shelves, Op.CANCEL).word is Word.DONE
    assert shelves.deeds == []
    late = call_of(shelves, Op.TRY)
    assert (late.word, "sealed" in late.reason) == (Word.REFUSED, True)
    assert shelves.books("books") == (10, 0, 0)


def test_repeated_calls_have_one_effect_and_one_answer(shelves: Shelves) -> None:
    """Try, confirm: each runs once, and a duplicate gets the first answer; another payload is a conflict."""
    shelves.tcc("books")
    first = call_of(shelves, Op.TRY)
    assert [bytes(call_of(shelves, Op.TRY).result) for _ in range(2)] == [bytes(first.result)] * 2
    assert call_of(shelves, Op.TRY, n=2).word is Word.CONFLICT
    assert [call_of(shelves, Op.CONFIRM).word for _ in range(2)] == [Word.DONE] * 2
    assert shelves.deeds == [("try", "books", 1), ("confirm", "books", 1)]
    assert shelves.books("books") == (9, 0, 1)
    against = call_of(shelves, Op.CANCEL)
    assert (against.word, against.reason.startswith("alert: ")) == (Word.REFUSED, True)
    assert shelves.books("books") == (9, 0, 1)


def test_a_confirm_without_its_try_confirms_nothing(shelves: Shelves) -> None:
    """It never ran, was refused, or was cancelled: refused, and a person is told. The cancel of a refused try is empty."""
    shelves.tcc("books")
    assert call_of(shelves, Op.CONFIRM).word is Word.REFUSED
    assert call_of(shelves, Op.TRY, n=11).word is Word.REFUSED
    assert call_of(shelves, Op.CONFIRM, n=11).word is Word.REFUSED
    assert call_of(shelves, Op.CANCEL, n=11).word is Word.DONE
    assert shelves.deeds == []
    assert shelves.books("books") == (10, 0, 0)


def test_a_cancel_gets_what_its_try_held(shelves: Shelves) -> None:
    """From the barrier's row, though no coordinator knows it."""
    seen: list[Any] = []
    shelves.tcc("books", on_cancel=seen.append)
    call_of(shelves, Op.TRY)
    assert [call_of(shelves, Op.CANCEL).word for _ in range(2)] == [Word.DONE] * 2
    assert seen == [Hold("books", 1)]
    assert call_of(shelves, Op.TRY).word is not Word.REFUSED  # a duplicate: the first answer, which no longer holds
    assert call_of(shelves, Op.CONFIRM).word is Word.REFUSED
    assert shelves.books("books") == (10, 0, 0)


# --- gids


def test_the_same_gid_and_branches_are_the_same_transaction(shelves: Shelves) -> None:
    """Again, at once or later: waited for, run once. Other branches under the gid are a conflict."""
    books, pens = shelves.tcc("books"), shelves.tcc("pens")
    branches = [books.branch(1), pens.branch(2)]

    async def main() -> None:
        outcomes = await asyncio.gather(*[shelves.troth.aio.run_tcc("same", branches) for _ in range(6)])
        assert {o.state for o in outcomes} == {State.CONFIRMED}

    asyncio.run(main())
    assert shelves.troth.run_tcc("same", [books.branch(1), pens.branch(2)]).result == [Hold("books", 1), Hold("pens", 2)]
    for other in ([books.branch(1)], [books.branch(2), pens.branch(2)], [pens.branch(1), books.branch(2)]):
        with pytest.raises(GidConflict, match="its branches differ"):
            shelves.troth.run_tcc("same", other)
    with pytest.raises(GidConflict, match="it runs tcc"):
        shelves.troth.run_tcc("same", branches, name="other")
    assert (shelves.books("books"), shelves.books("pens")) == ((9, 0, 1), (8, 0, 2))
    generated = shelves.troth.run_tcc(None, branches).gid
    assert shelves.troth.run_tcc(generated, branches).state is State.CONFIRMED
    with pytest.raises(GidConflict):
        shelves.troth.run_tcc(generated, [pens.branch(1)])
    assert shelves.books("books") == (8, 0, 2)


def test_a_renamed_class_is_the_same_content(tmp_path: Path) -> None:
    """A client's repeat across a deploy that renames a class attaches, where the class keeps its old name as an alias."""
    for name, aliases in (("old", ()), ("new", ("old",))):
        troth = Troth(f"sqlite:///{tmp_path}/log.db")

        @troth.tcc(guarded=True, name=name, aliases=aliases)
        class Any_:
            def try_(self, n: int) -> int:
                return n

            def confirm(self, hold: int) -> None: ...
            def cancel(self, hold: int | None) -> None: ...

        with troth:
            branches: Any = [Any_.branch(1), Any_.branch(2)]  # type: ignore[attr-defined]
            assert troth.run_tcc("g", branches).result == [1, 2]
            assert troth.attach("g").result() == [1, 2]


def test_a_step_may_run_one(lone: Shelves) -> None:
    """Its gid is derived from the step's branch, so a repeat of the step finds the same transaction."""
    books = lone.tcc("books")
    gids: list[str] = []

    def reserve(n: int) -> int:
        outcome = lone.troth.run_tcc(None, [books.branch(n)])
        gids.append(outcome.gid)
        if len(gids) == 1:
            raise OSError("after it")
        return n

    step = lone.troth.step(name="reserve", guarded=True, compensate=None, interval=0.01)(reserve)

    @lone.troth.saga(name="order")
    def order(n: int) -> int:
        return int(step(n))

    assert lone.troth.run(order, 2, gid="o").state is State.CONFIRMED
    assert gids == ["o.0:reserve-1.action"] * 2
    assert lone.books("books") == (8, 0, 2)


# --- misuse


def test_what_is_no_list_of_branches_is_refused(lone: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the door, naming the cure; nothing is written."""
    books = lone.tcc("books")
    with pytest.raises(DefinitionError, match="no branch is declared"):
        lone.troth.run_tcc("g", [])
    with pytest.raises(DefinitionError, match=r"is no branch\. Declare a try: Stock\.branch"):
        lone.troth.run_tcc("g", [books])
    with pytest.raises(PayloadError, match="n"):
        books.branch("two")
    with pytest.raises(TypeError, match="tcc class books: try_"):
        books.branch()
    with pytest.raises(PayloadError, match="gid"):
        lone.troth.run_tcc("no gid", [books.branch(1)])
    with pytest.raises(DefinitionError, match="not \\(or no longer\\) known"):
        Troth("memory://").run_tcc("g", [books.branch(1)])
    monkeypatch.setattr(limits, "BRANCHES", 2)
    with pytest.raises(LimitExceeded, match="BRANCHES"):
        lone.troth.run_tcc("g", [books.branch(1)] * 3)
    assert lone.troth.find() == []


def test_decided_is_told_while_confirms_run(lone: Shelves) -> None:
    """until="decided" returns at the decision."""
    gate = threading.Event()
    books = lone.tcc("books", on_confirm=at(gate))
    outcome = lone.troth.run_tcc("soon", [books.branch(1)], until="decided")
    assert (outcome.state, [b.fate for b in outcome.branches]) == (State.CONFIRMING, [Fate.DONE])
    gate.set()
    assert lone.troth.attach("soon").wait().state is State.CONFIRMED


def test_the_deadline_cancels(lone: Shelves) -> None:
    """timeout= bounds the undecided part; a try under way is waited for, then cancelled."""
    gate = threading.Event()
    books, slow = lone.tcc("books"), lone.free("slow", on_try=at(gate))
    handle = lone.troth.start_tcc(None, [books.branch(1), slow.branch(2)], timeout=0.05)
    assert handle.wait(until="decided").state is State.CANCELLING
    gate.set()
    outcome = handle.wait()
    assert (outcome.state, outcome.reason) == (State.CANCELLED, "timeout: undecided at its deadline")
    assert lone.books("books") == (10, 0, 0)
    assert ("slow", 2) in lone.did("cancel")
