"""The decision of a TCC, and what becomes of the holds: all confirmed, or all cancelled. See `troth.core.tcc`."""

from __future__ import annotations

from typing import Final

from troth.core.draft import Draft
from troth.core.driving import send, settle
from troth.core.move import Replied, Stop
from troth.core.quick import Fate, Op, State, Word
from troth.core.replies import not_yet

NOTHING_OWED: Final = (Fate.REFUSED, Fate.NOT_DONE, Fate.CANCELLED)


def decide_to_confirm(draft: Draft) -> None:
    """Submitted and every try done: that is the decision, forced before a confirm is sent."""
    doc = draft.doc
    if doc.phase is State.TRYING and doc.returned and not doc.stuck and every_try_is_done(draft):
        draft.set(state=State.CONFIRMING, phase=State.CONFIRMING)
        draft.force()
        confirm_all(draft)


def every_try_is_done(draft: Draft) -> bool:
    """Was each registered try reported done? Not known to have failed is not enough (A8)."""
    return all(b.fate is Fate.DONE for b in draft.branches)


def cancel(draft: Draft, reason: str, step: str = "") -> None:
    """Decide to cancel."""
    draft.set(state=State.CANCELLING, phase=State.CANCELLING, reason=reason, step=step, stuck="")
    for index, branch in enumerate(draft.branches):
        if branch.due:
            draft.put(index, due=0, stuck=False)
    force_first_cancel(draft)
    draft.emit(Stop())
    unwind(draft)


def force_first_cancel(draft: Draft) -> None:
    """Lost in a crash, the tries would be asked again and confirmed beside what was cancelled (A3)."""
    draft.force()


def confirm_all(draft: Draft) -> None:
    """Confirm side by side what isn't confirmed; with nothing left, that is the outcome."""
    go_on(draft, (Fate.CONFIRMED,), Op.CONFIRM, State.CONFIRMED)


def unwind(draft: Draft) -> None:
    """Cancel side by side all that was tried, or may have been; with nothing left, that is the outcome."""
    go_on(draft, NOTHING_OWED, Op.CANCEL, State.CANCELLED)


def go_on(draft: Draft, ended: tuple[Fate, ...], op: Op, outcome: State) -> None:
    """Make every call that is owed and not under way. A try under way is waited for: its cancel must not overtake it here."""
    doc = draft.doc
    if doc.resolving:
        return
    over = True
    for index, branch in enumerate(draft.branches):
        if branch.fate in ended or (branch.fate is Fate.IDLE and not branch.unknown):
            continue
        over = False
        if not branch.calling and not branch.due:
            send(draft, index, op)
    if over:
        if outcome is State.CONFIRMED:
            draft.set(reason="", step="")  # of what a confirm waited for meanwhile
        draft.set(state=outcome, finished=draft.at, stuck="")
        draft.ride()


def end_replied(draft: Draft, event: Replied) -> None:
    """A confirm or a cancel was answered: done, or asked for again; never the other direction."""
    index, reply = event.branch, event.reply
    branch = draft.branches[index]
    if reply.word is not Word.DONE:
        not_yet(draft, event)
        return
    fate = Fate.CONFIRMED if event.op is Op.CONFIRM else Fate.CANCELLED
    settle(draft, index, fate, result=branch.result, reason=branch.reason)
    if event.op is Op.CONFIRM:
        confirm_all(draft)
    else:
        unwind(draft)
