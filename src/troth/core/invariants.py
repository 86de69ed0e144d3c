"""What must hold of every state, whatever happened. Examined at each move by the simulator, at each save by a careful node."""

from __future__ import annotations

from troth.core.draft import Draft
from troth.core.driving import all_settled
from troth.core.state import Saga
from troth.core.unwind import owes_undo
from troth.core.words import FINAL, Fate, Role, State


class InvariantBroken(AssertionError):
    """A bug in the rules: the message names the invariant and the state."""


def check(saga: Saga) -> None:
    """Raise `InvariantBroken` if the state can't be."""
    draft = Draft(saga, 0)
    doc = saga.doc
    expect(saga, doc.state in (doc.phase, State.FAILED) or doc.state in FINAL, "the shown state fits the direction")
    expect(saga, (doc.state in FINAL) <= bool(doc.finished), "an outcome has a time")
    if doc.state is State.CONFIRMED:
        expect(saga, all_settled(draft), "S1: confirmed means settled")
        if saga.plan.form == "graph":
            expect(saga, all(b.fate is Fate.DONE for b in draft.branches), "S1: a confirmed graph is done throughout")
    if doc.state is State.CANCELLED:
        expect(saga, not any(owes_undo(draft, i) for i in range(len(draft.branches))), "S1: cancelled means nothing is owed")
    if doc.state is State.FAILED and not doc.closed:
        open_ends = bool(doc.stuck or doc.resolving) or any(b.stuck for b in draft.branches)
        expect(saga, open_ends, "failed lists what is open")
    pivots = [i for i, b in enumerate(draft.branches) if draft.spec(i).role is Role.PIVOT]
    for index in pivots:
        branch = draft.branches[index]
        if branch.fate is Fate.DONE:
            expect(saga, doc.phase is State.CONFIRMING, "law 5: past the pivot there is no way back")
        if branch.fate is Fate.CALLING:
            expect(saga, doc.phase is State.TRYING, "while the pivot is in doubt neither direction is taken")
    alive = [i for i in pivots if draft.branches[i].fate not in (Fate.REFUSED, Fate.NOT_DONE)]
    expect(saga, len(alive) <= 1, "one point of no return")


def expect(saga: Saga, holds: bool, what: str) -> None:
    """Raise unless it holds; kept under ``python -O``."""
    if not holds:
        raise InvariantBroken(f"{what}: {saga.doc}")
