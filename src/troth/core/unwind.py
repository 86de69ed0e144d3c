"""Backward recovery: the decision to cancel, and compensating in reverse order all that ran or may have run."""

from __future__ import annotations

from troth.core.draft import Draft
from troth.core.driving import FORWARD, NOTHING_OWED, finish, send, settle
from troth.core.move import Stop
from troth.core.quick import Fate, Op, State
from troth.core.state import NO_RUN


def owes_undo(draft: Draft, index: int) -> bool:
    """Must the branch be undone? It ran, or nobody knows that it did not."""
    branch = draft.branches[index]
    if branch.fate in NOTHING_OWED or not draft.spec(index).undoable:
        return False
    return branch.fate is not Fate.IDLE or branch.unknown


def anything_called(draft: Draft) -> bool:
    """Was any participant called, as far as anyone knows?"""
    return any(b.fate not in (Fate.IDLE, Fate.HELD) or b.unknown for b in draft.branches)


def cancel(draft: Draft, reason: str, step: str = "") -> None:
    """Decide to cancel: forced before the first undo, for afterwards there is no way back."""
    draft.set(state=State.CANCELLING, phase=State.CANCELLING, reason=reason, step=step, doom="", due=0, stuck="")
    for index, branch in enumerate(draft.branches):
        if branch.due and branch.op in FORWARD:
            if branch.fate is Fate.CALLING and not branch.unknown:  # it waits for its retry, and none of its calls happened
                settle(draft, index, Fate.NOT_DONE, reason=branch.reason)
            else:
                draft.put(index, due=0, stuck=False)
    force_cancel(draft)
    stop_run(draft)
    unwind(draft)


def stop_run(draft: Draft) -> None:
    """The present run of the function is over; nothing it does counts any more."""
    if draft.plan.form == "function":
        draft.run = NO_RUN
        draft.emit(Stop())


def force_cancel(draft: Draft) -> None:
    """The first cancel is always forced: a lost one would let a restart go forward after an undo."""
    draft.force()


def unwind(draft: Draft) -> None:
    """Go on compensating: each branch once everything that came after it is clear; then write the outcome."""
    if draft.doc.resolving:
        return
    clear = [False] * len(draft.branches)
    for index in undo_order(draft):
        if not later_is_clear(draft, index, clear):
            continue
        branch = draft.branches[index]
        if branch.calling and branch.op in FORWARD:
            continue
        if not owes_undo(draft, index):
            clear[index] = True
        elif not branch.calling and not branch.due:
            send(draft, index, Op.COMPENSATE)
    if all(clear):
        finish(draft, State.CANCELLED)


def undo_order(draft: Draft) -> range:
    """Newest first: branches stand in the order of their calls, a graph's in an order of its dependencies."""
    return range(len(draft.branches) - 1, -1, -1)


def later_is_clear(draft: Draft, index: int, clear: list[bool]) -> bool:
    """Is everything undone that depended on this branch?"""
    if draft.plan.form == "graph":
        return all(clear[later] for later in draft.plan.steps[index].before)
    return index + 1 == len(clear) or clear[index + 1]


def undo_given_up(draft: Draft) -> None:
    """Compensate, newest first and one by one, what the function's own code gave up."""
    if draft.doc.resolving:
        return
    for index in range(len(draft.branches) - 1, -1, -1):
        branch = draft.branches[index]
        if branch.fate is not Fate.GAVE_UP or not draft.spec(index).undoable:
            continue
        if not branch.calling and not branch.due:
            send(draft, index, Op.COMPENSATE)
        return
