"""The decision of a two-phase transaction and its second phase: all committed, or all rolled back. See `troth.core.twophase`."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from troth.core import limits
from troth.core.draft import Draft
from troth.core.driving import fail, send, unstick
from troth.core.move import NO, Replied, Stop
from troth.core.quick import Fate, Op, State, Word
from troth.core.replies import pause_after
from troth.core.retry import ongoing_pause

READ_ONLY: Final = Raw(b'"read_only"')
"""The result of a prepare that found nothing written: the branch has ended and drops out."""
VOTED_YES: Final = (Fate.DONE, Fate.READ_ONLY)
COMMITTED: Final = (Fate.CONFIRMED, Fate.READ_ONLY)
NOTHING_OWED: Final = (Fate.REFUSED, Fate.NOT_DONE, Fate.CANCELLED, Fate.READ_ONLY, Fate.IDLE)
"""Idle: never asked to prepare; giving the connection back rolls it back."""


def keep(draft: Draft) -> None:
    """What has a row in the log goes there with the next write; of what has none, nothing is ever written (presumed abort)."""
    if draft.doc.recorded:
        draft.ride()


# --- deciding


def decide_to_commit(draft: Draft) -> None:
    """Every vote is a yes: that is the decision, or the last resource is asked for it."""
    doc = draft.doc
    if not doc.returned or doc.doom or doc.stuck or not every_vote_is_yes(draft):
        return
    if doc.last >= 0:
        name_last(draft)
    elif all(b.fate is Fate.READ_ONLY for b in draft.branches):
        finish(draft, State.CONFIRMED)
    else:
        draft.set(state=State.CONFIRMING, phase=State.CONFIRMING, recorded=True)
        force_decision(draft)
        commit_all(draft)


def every_vote_is_yes(draft: Draft) -> bool:
    """Has each branch but the last resource prepared, or ended without having written?"""
    return all(b.fate in VOTED_YES for i, b in enumerate(draft.branches) if i != draft.doc.last)


def too_late(draft: Draft) -> bool:
    """A vote counts only while all is open: after an abort, a branch that has prepared is rolled back like the others."""
    return draft.doc.phase is not State.TRYING


def force_decision(draft: Draft) -> None:
    """The decision is durable before anyone commits: its absence means abort."""
    draft.force()


# --- the last resource


def name_last(draft: Draft) -> None:
    """Name it in the log, then ask it to commit: from now on it alone decides."""
    last = draft.doc.last
    draft.set(doom=f"{draft.branches[last].name} decides: it commits last", recorded=True)
    draft.force()
    send(draft, last, Op.COMMIT)


def last_replied(draft: Draft, event: Replied) -> None:
    """The last resource has committed, or it never will, or nobody knows: then it is asked, in a way that settles it."""
    index, reply = event.branch, event.reply
    word = reply.word
    if word is Word.DONE:
        draft.put(index, fate=Fate.CONFIRMED, unknown=False, due=0, stuck=False, reason="")
        draft.set(state=State.CONFIRMING, phase=State.CONFIRMING, doom="", reason="", step="")
        keep(draft)
        commit_all(draft)
    elif word is Word.REFUSED or word is Word.SEALED or (word is Word.NOT_DONE and event.op is Op.COMMIT):
        fate = Fate.REFUSED if word is Word.REFUSED else Fate.NOT_DONE
        reason = reply.reason or draft.branches[index].reason or "it was never committed"
        draft.put(index, fate=fate, unknown=False, due=0, stuck=False, reason=reason)
        cancel(draft, f"{draft.branches[index].name}: {reason}", draft.branches[index].id)
    elif event.op is Op.COMMIT:
        draft.put(index, unknown=True, reason=reply.reason)
        settle_last(draft)
    else:
        still_in_doubt(draft, event)


def settle_last(draft: Draft) -> None:
    """What became of the last resource? Looking is not enough: it might commit a moment later, so it is sealed (A10)."""
    send(draft, draft.doc.last, Op.SEAL)


def still_in_doubt(draft: Draft, event: Replied) -> None:
    """The seal said nothing: neither direction is allowed, so it is asked again."""
    index, reply = event.branch, event.reply
    if reply.word is Word.ONGOING:
        draft.put(index, due=draft.at + ongoing_pause(reply.after))
        return
    branch = draft.branches[index]
    spent = branch.spent + (not reply.free)
    draft.put(index, spent=spent, reason=reply.reason)
    if branch.stuck or spent >= limits.RETRIES_AFTER_DECISION or not reply.retry:
        fail(draft, index, f"whether it has committed is in doubt: {reply.reason}")
    else:
        draft.put(index, due=draft.at + pause_after(draft, event))


# --- the second phase


def resume(draft: Draft) -> None:
    """Do everything that is owed and not under way. Undecided in the log means: the last resource decides."""
    doc = draft.doc
    if doc.phase is State.CONFIRMING:
        commit_all(draft)
    elif doc.phase is State.CANCELLING:
        unwind(draft)
    elif doc.last < 0:
        cancel(draft, "it was never decided")
    elif not draft.branches[doc.last].calling and not draft.branches[doc.last].due:
        settle_last(draft)


def commit_all(draft: Draft) -> None:
    """Commit side by side what is prepared; with nothing left, that is the outcome."""
    go_on(draft, COMMITTED, Op.COMMIT, State.CONFIRMED)


def cancel(draft: Draft, reason: str, step: str = "", doom: str = "") -> None:
    """Roll back. Nothing is written for it, unless the log knows of the transaction: its absence there says the same.

    :param doom: why the log will never have a row of it.
    """
    draft.set(state=State.CANCELLING, phase=State.CANCELLING, reason=reason, step=step, doom=doom, stuck="")
    for index, branch in enumerate(draft.branches):
        if branch.due:
            draft.put(index, due=0, stuck=False)
    keep(draft)
    draft.emit(Stop())
    unwind(draft)


def unwind(draft: Draft) -> None:
    """Roll back side by side all that is prepared, or may be; with nothing left, that is the outcome."""
    go_on(draft, NOTHING_OWED, Op.ROLLBACK, State.CANCELLED)


def go_on(draft: Draft, over: tuple[Fate, ...], op: Op, outcome: State) -> None:
    """Make every call that is owed and not under way. A prepare under way is waited for: its rollback must not overtake it."""
    if draft.doc.resolving:
        return
    open_ends = False
    for index, branch in enumerate(draft.branches):
        if branch.fate in over:
            continue
        open_ends = True
        if not branch.calling and not branch.due:
            send(draft, index, op)
    if not open_ends:
        finish(draft, outcome)


def finish(draft: Draft, outcome: State) -> None:
    """The outcome rides: it can only become what was decided."""
    phase = State.CONFIRMING if outcome is State.CONFIRMED else State.CANCELLING
    draft.set(state=outcome, phase=phase, finished=draft.at, stuck="", doom="")
    if outcome is State.CONFIRMED:
        draft.set(reason="", step="")  # of what a commit waited for meanwhile
    keep(draft)


def ended(draft: Draft, event: Replied) -> None:
    """A commit or a rollback was answered: done, or asked for again; never the other direction."""
    index, reply = event.branch, event.reply
    if reply.word is Word.DONE:
        fate = Fate.CONFIRMED if event.op is Op.COMMIT else Fate.CANCELLED
        draft.put(index, fate=fate, unknown=False, due=0, stuck=False, reason="")
        keep(draft)
        unstick(draft)
        go_on_after(draft)
    elif reply.word is Word.ONGOING:
        draft.put(index, due=draft.at + ongoing_pause(reply.after))
    else:
        not_yet(draft, event)


def go_on_after(draft: Draft) -> None:
    """A branch has ended: what of the others?"""
    if draft.doc.phase is State.CONFIRMING:
        commit_all(draft)
    else:
        unwind(draft)


def not_yet(draft: Draft, event: Replied) -> None:
    """Again after a pause. Attempts used up, or settled otherwise behind our back (a heuristic outcome): a person is asked."""
    index, reply = event.branch, event.reply
    branch = draft.branches[index]
    spent = branch.spent + (not reply.free)
    draft.put(index, spent=spent, reason=reply.reason)
    if branch.stuck or spent >= limits.RETRIES_AFTER_DECISION or not reply.retry or reply.word is Word.REFUSED:
        need_person(draft, index, reply.reason)
    else:
        draft.put(index, due=draft.at + pause_after(draft, event))


def need_person(draft: Draft, index: int, reason: str) -> None:
    """Show it in the log, with what is open, for as long as it is; slow retries go on."""
    fail(draft, index, reason)
    if draft.doc.doom:
        draft.save = NO  # the log holds another's abort, or another transaction, in its place
    else:
        draft.set(recorded=True)
