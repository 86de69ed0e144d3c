"""The point of no return. While the pivot is in doubt neither direction is allowed: ask, check or seal."""

from __future__ import annotations

from troth.core import limits
from troth.core.draft import Draft
from troth.core.driving import ask, fail, send, settle
from troth.core.move import Replied
from troth.core.plan import StepSpec
from troth.core.quick import Fate, Op, Role, State
from troth.core.retry import pause, pause_until
from troth.core.unwind import cancel


def in_doubt(draft: Draft) -> int:
    """The index of the pivot if it was called and is not settled, else -1."""
    for index, branch in enumerate(draft.branches):
        if branch.fate is Fate.CALLING and draft.spec(index).role is Role.PIVOT:
            return index
    return -1


def doom(draft: Draft, reason: str, step: str = "") -> None:
    """Cancel, or settle the pivot first if it is in doubt."""
    index = in_doubt(draft)
    if index < 0:
        cancel(draft, reason, step)
        return
    draft.set(doom=reason, step=step)
    draft.ride()
    if not draft.branches[index].calling:
        settle_doubt(draft, index)


def settle_doubt(draft: Draft, index: int) -> None:
    """Find out, without making it happen, what became of the pivot; only a repeatable one may be asked by repeating it."""
    spec = draft.spec(index)
    if spec.sealable:
        send(draft, index, Op.SEAL)
    elif spec.checkable:
        send(draft, index, Op.CHECK)
    elif spec.guarded:
        send(draft, index, Op.ACTION)
    else:
        fail(draft, index, "nobody can say whether the pivot happened: it has no barrier and no check", retry=False)


def pivot_missed(draft: Draft, event: Replied) -> None:
    """A call of the pivot did not settle it."""
    index = event.branch
    branch, spec, doc = draft.branches[index], draft.spec(index), draft.doc
    used_up = branch.spent >= spec.attempts or not event.reply.retry
    if not branch.unknown and (doc.doom or used_up):
        settle(draft, index, Fate.NOT_DONE, reason=branch.reason)
        return
    asking = branch.op is not Op.ACTION or bool(doc.doom)
    if branch.stuck or (asking and branch.spent >= limits.RETRIES_AFTER_DECISION):
        fail(draft, index, f"the pivot is in doubt: {branch.reason}")
    elif branch.op is Op.ACTION and (doc.doom or used_up) and branch.unknown:
        settle_doubt(draft, index)
    else:
        least = pause(branch.spent, spec.interval, event.jitter)
        draft.put(index, due=draft.at + pause_until(event.reply.after, least, event.jitter))


def ask_pivot(draft: Draft, index: int) -> None:
    """The next call for an unsettled pivot, when its pause is over or its node came back."""
    branch = draft.branches[index]
    if draft.doc.doom:
        settle_doubt(draft, index)
    elif branch.op in (Op.SEAL, Op.CHECK):
        send(draft, index, branch.op)
    else:
        ask(draft, index)


def ask_for_held(draft: Draft, pivot: int) -> None:
    """New code calls something before it comes to a pivot left in doubt: that call waits, so ask for the pivot now."""
    branch = draft.branches[pivot]
    if not (branch.calling or branch.due or branch.stuck or draft.doc.doom):
        ask_pivot(draft, pivot)


def left_out(draft: Draft, place: str) -> int:
    """The index of a recorded call that a part of this task's gathers made and this run did not, or -1.

    A task runs on only when the parts of its gathers have ended: what they left out will not come. Looked at before a new
    pivot, while all can still be undone.
    """
    below = place + "."
    for part, recorded in draft.run.recorded.items():
        if part.startswith(below) and draft.run.cursors.get(part, 0) < len(recorded):
            return recorded[draft.run.cursors.get(part, 0)]
    return -1


def too_early(draft: Draft, spec: StepSpec) -> str:
    """What is wrong with a retriable step called before the point of no return, or "": nothing could undo it (S1)."""
    stays = spec.role is Role.RETRIABLE and not spec.undoable and not spec.waived
    if not stays or draft.doc.phase is not State.TRYING or draft.pivot() >= 0:
        return ""
    return (
        f"{spec.name} is retriable and nothing undoes it, but no pivot stands before it: if the saga is cancelled later, its "
        "effect would stay. Call it after the pivot, attach a compensation, or say that it needs none with compensate=None"
    )
