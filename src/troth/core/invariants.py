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
    if doc.state is State.FAILED and not doc.closed:
        open_ends = bool(doc.stuck or doc.resolving) or any(b.stuck for b in draft.branches)
        expect(saga, open_ends, "failed lists what is open")
    if saga.plan.pattern == "tcc":
        check_tcc(saga)
    elif saga.plan.pattern == "two_phase":
        check_two_phase(saga)
    elif saga.plan.pattern == "message":
        check_message(saga)
    else:
        check_saga(saga, draft)


def check_tcc(saga: Saga) -> None:
    """What must hold of a TCC."""
    doc = saga.doc
    fates = [b.fate for b in doc.branches]
    expect(saga, len({b.id for b in doc.branches}) == len(fates), "S4: a branch is registered once")
    if doc.phase is State.CONFIRMING:
        expect(saga, all(f in (Fate.DONE, Fate.CONFIRMED) for f in fates), "S5: confirming means that every try is done")
    else:
        expect(saga, Fate.CONFIRMED not in fates, "S1: nothing is confirmed before that is decided")
    if doc.phase is not State.CANCELLING:
        expect(saga, Fate.CANCELLED not in fates, "S1: nothing is cancelled before that is decided")
    if doc.state is State.CONFIRMED:
        expect(saga, all(f is Fate.CONFIRMED for f in fates), "S1: confirmed means that every branch is")
    if doc.state is State.CANCELLED:
        open_fates = (Fate.DONE, Fate.CALLING)
        owed = any(b.fate in open_fates or (b.fate is Fate.IDLE and b.unknown) for b in doc.branches)
        expect(saga, not owed, "S1: cancelled means that nothing is held")


def check_two_phase(saga: Saga) -> None:
    """What must hold of a two-phase transaction."""
    doc = saga.doc
    fates = [b.fate for b in doc.branches]
    yes, committed = (Fate.DONE, Fate.READ_ONLY, Fate.CONFIRMED), (Fate.READ_ONLY, Fate.CONFIRMED)
    expect(saga, len({b.id for b in doc.branches}) == len(fates), "S4: a branch is enlisted once")
    if doc.phase is State.CONFIRMING:
        expect(saga, all(f in yes for f in fates), "S2: to commit takes every vote")
        expect(saga, doc.recorded or all(f is Fate.READ_ONLY for f in fates), "S2: a decision is written down")
    else:
        expect(saga, Fate.CONFIRMED not in fates, "S1: nothing is committed before that is decided")
    if doc.phase is not State.CANCELLING:
        expect(saga, Fate.CANCELLED not in fates, "S1: nothing is rolled back before that is decided")
    if doc.phase is State.TRYING and doc.recorded:
        others = [f for index, f in enumerate(fates) if index != doc.last]
        expect(saga, doc.last >= 0, "what is undecided in the log has a last resource")
        expect(saga, all(f in (Fate.DONE, Fate.READ_ONLY) for f in others), "the last resource comes after every vote")
    if doc.state is State.CONFIRMED:
        expect(saga, all(f in committed for f in fates), "S1: confirmed means that every branch is committed")
    if doc.state is State.CANCELLED:
        expect(saga, not any(f in (Fate.DONE, Fate.CALLING) for f in fates), "L2: cancelled means that nothing is prepared")


def check_message(saga: Saga) -> None:
    """What must hold of a message."""
    doc = saga.doc
    producer, *deliveries = doc.branches
    if doc.phase is not State.CONFIRMING:
        touched = any(b.attempt or b.due or b.fate is not Fate.IDLE for b in deliveries)
        expect(saga, not touched, "S6: a half message is not seen")
    else:
        expect(saga, producer.fate is Fate.DONE, "S6: delivered means that its local transaction committed")
    if doc.state is State.CONFIRMED:
        expect(saga, bool(deliveries) and all(b.fate is Fate.DONE for b in deliveries), "S6: confirmed means delivered to all")
    if doc.state is State.CANCELLED:
        expect(saga, producer.fate is Fate.NOT_DONE, "S6: cancelled means that its local transaction never commits")


def check_saga(saga: Saga, draft: Draft) -> None:
    """What must hold of a saga."""
    doc = saga.doc
    if doc.state is State.CONFIRMED:
        expect(saga, all_settled(draft), "S1: confirmed means settled")
        if saga.plan.form == "graph":
            expect(saga, all(b.fate is Fate.DONE for b in draft.branches), "S1: a confirmed graph is done throughout")
    if doc.state is State.CANCELLED:
        expect(saga, not any(owes_undo(draft, i) for i in range(len(draft.branches))), "S1: cancelled means nothing is owed")
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
