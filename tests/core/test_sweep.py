"""Sweeps: which prepared branches are settled, how, and in which order that is found out."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from troth.core import sweep
from troth.core.state import Transaction
from troth.core.sweep import Abort, ListPrepared, LookUp, ReadAlive, Said, Settle, Verdict
from troth.core.words import State

LOG, OTHER_LOG = "1" * 32, "2" * 32
ALIVE, DEAD = "a" * 32, "d" * 32
VOTE_BY = 1_000


class Name(NamedTuple):
    """A prepared branch."""

    incarnation: str = ALIVE
    log: str = LOG
    uid: bytes = b"u" * 16
    vote_by: int = VOTE_BY


EARLY, LATE = VOTE_BY - 1, VOTE_BY


@pytest.mark.parametrize(
    ("said", "incarnation", "now", "verdict"),
    [
        (Said.NOTHING, ALIVE, EARLY, Verdict.LEAVE),
        (Said.NOTHING, ALIVE, LATE, Verdict.ABORT_FIRST),
        (Said.NOTHING, DEAD, EARLY, Verdict.ROLLBACK),
        (Said.NOTHING, DEAD, LATE, Verdict.ROLLBACK),
        (Said.COMMIT, ALIVE, EARLY, Verdict.LEAVE),
        (Said.COMMIT, ALIVE, LATE, Verdict.COMMIT),
        (Said.COMMIT, DEAD, EARLY, Verdict.COMMIT),
        (Said.ABORT, ALIVE, EARLY, Verdict.ROLLBACK),
        (Said.ABORT, DEAD, LATE, Verdict.ROLLBACK),
        (Said.UNDECIDED, DEAD, LATE, Verdict.LEAVE),
        (Said.UNDECIDED, ALIVE, EARLY, Verdict.LEAVE),
        (Said.UNCLEAR, DEAD, LATE, Verdict.LEAVE),
    ],
)
def test_a_branch_is_judged(said: Said, incarnation: str, now: int, verdict: Verdict) -> None:
    """By what the log says, by whether its node lives, and by the clock."""
    assert sweep.judge(Name(incarnation), log=LOG, alive={ALIVE}, said=said, now=now) is verdict


def test_another_logs_branch_is_left_alone() -> None:
    """Whatever this log says of such a uid."""
    for said in Said:
        assert sweep.judge(Name(DEAD, OTHER_LOG), log=LOG, alive=set(), said=said, now=LATE) is Verdict.LEAVE


def test_a_row_says_its_direction() -> None:
    """Also while a person is needed; what is undecided is its last resource's."""
    doc = Transaction("g", b"u" * 16, "d", "two_phase", b"1", 0, 0)  # type: ignore[arg-type]
    said = {phase: sweep.said_by(Transaction(*[getattr(doc, f) for f in doc.__struct_fields__[:7]], State.FAILED, phase))
            for phase in (State.TRYING, State.CONFIRMING, State.CANCELLING)}  # fmt: skip
    assert list(said.values()) == [Said.UNDECIDED, Said.COMMIT, Said.ABORT]
    outcomes = [sweep.said_by_outcome(name) for name in ("confirmed", "cancelled", "aborted", "failed", "purged")]
    assert outcomes == [Said.COMMIT, Said.ABORT, Said.ABORT, Said.UNCLEAR, Said.UNCLEAR]


def swept(prepared: list[Name], said: dict[bytes, Said], stands: bool = True, now: int = LATE) -> tuple[list[Any], int]:
    """The questions of one sweep, and how many it counted."""
    asked: list[Any] = []
    run = sweep.sweep(LOG, now)
    answer: Any = None
    while True:
        try:
            question = run.send(answer)
        except StopIteration as stop:
            return asked, stop.value
        asked.append(question)
        match question:
            case ListPrepared():
                answer = prepared
            case ReadAlive():
                answer = {ALIVE}
            case LookUp():
                answer = said
            case Abort():
                answer = stands
            case _:
                answer = None


def test_a_sweep_lists_first_then_looks_up() -> None:
    """Who lives is read after the list, and the log after that (B20)."""
    mine = Name(DEAD)
    asked, count = swept([mine, Name(DEAD, OTHER_LOG)], {})
    assert asked == [ListPrepared(), ReadAlive(), LookUp((mine.uid,)), Settle(mine, Verdict.ROLLBACK)]
    assert count == 1


def test_a_sweep_that_finds_nothing_asks_nothing() -> None:
    """The log isn't read for strangers."""
    assert swept([], {}) == ([ListPrepared()], 0)
    assert swept([Name(DEAD, OTHER_LOG)], {}) == ([ListPrepared()], 0)


@pytest.mark.parametrize(("stands", "last"), [(True, [Settle(Name(), Verdict.ROLLBACK)]), (False, [])])
def test_an_abort_is_written_before_a_living_nodes_branch_is_rolled_back(stands: bool, last: list[Any]) -> None:
    """Where the node was first, the branch is left to it (P3)."""
    asked, _ = swept([Name()], {}, stands)
    assert asked[3:] == [Abort(b"u" * 16, ALIVE), *last]


def test_each_branch_is_settled_as_its_transaction_was() -> None:
    """Two branches of one transaction are looked up once."""
    one, two, other = Name(DEAD), Name(ALIVE), Name(DEAD, uid=b"v" * 16)
    asked, count = swept([one, two, other], {one.uid: Said.COMMIT})
    assert asked[2] == LookUp((one.uid, other.uid))
    assert asked[3:] == [Settle(one, Verdict.COMMIT), Settle(two, Verdict.COMMIT), Settle(other, Verdict.ROLLBACK)]
    assert count == 3
