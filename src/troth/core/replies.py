"""Reply × phase: what an answer to a call means. The heart of the core; the docs' table is generated from it."""

from __future__ import annotations

from collections.abc import Callable

from troth.core import limits
from troth.core.draft import Draft, replace
from troth.core.driving import close, fail, settle
from troth.core.function import give_up, go_on, moved_on_function
from troth.core.graph import moved_on_graph
from troth.core.move import Alert, Replied
from troth.core.pivot import pivot_missed
from troth.core.quick import Fate, Op, Role, State, Word
from troth.core.retry import ongoing_pause, pause, pause_until
from troth.core.state import Branch
from troth.core.unwind import cancel, unwind


def replied(draft: Draft, event: Replied) -> None:
    """A call of a saga was answered."""
    answered(draft, event, undo_replied if event.op is Op.COMPENSATE else action_replied)


def answered(draft: Draft, event: Replied, means: Callable[[Draft, Replied], None]) -> None:
    """A call was answered. One that is not the newest of its op says nothing new; the last one out lets a person close.

    :param means: what the answer means to its pattern.
    """
    branch = draft.branches[event.branch]
    if not branch.calling or branch.op is not event.op or branch.attempt != event.attempt:
        return
    draft.branches[event.branch] = replace(branch, calling=False, trail=longer_trail(branch, event))
    means(draft, event)
    if draft.doc.resolving and not draft.doc.finished:
        close(draft)


def longer_trail(branch: Branch, event: Replied) -> tuple[tuple[str, int, int, str], ...]:
    """The timeline with this call; of a long one the first and the newest calls stay."""
    entry = (event.op._value_, branch.since, event.now - branch.since, event.reply.word._value_)
    trail = branch.trail
    if len(trail) >= limits.TRAIL_LENGTH:
        trail = trail[:1] + trail[2:]
    return (*trail, entry)


def action_replied(draft: Draft, event: Replied) -> None:
    """An action, or a question about one, was answered."""
    index, reply = event.branch, event.reply
    if draft.branches[index].fate is Fate.GAVE_UP:
        given_up_replied(draft, event)
        return
    word = reply.word
    if word is Word.DONE:
        settle(draft, index, Fate.DONE, result=reply.result)
        moved_on(draft, index)
        return
    if word is Word.SEALED:
        settle(draft, index, Fate.NOT_DONE, reason=reply.reason or draft.branches[index].reason or "sealed")
    elif word is Word.REFUSED and refusal_settles(draft, event):
        settle(draft, index, Fate.REFUSED, reason=reply.reason)
    elif word is Word.ONGOING and draft.doc.phase is not State.CANCELLING:
        # begun, so it can't be sealed: only its own handler can bring it to an end
        op = Op.ACTION if event.op is Op.SEAL else event.op
        draft.put(index, unknown=True, op=op, due=draft.at + ongoing_pause(reply.after))
        draft.ride()
        return
    else:
        missed(draft, event)
    if draft.branches[index].fate is not Fate.CALLING:
        moved_on(draft, index)
    elif draft.doc.phase is State.CANCELLING:
        unwind(draft)


def moved_on(draft: Draft, index: int) -> None:
    """A branch is settled: what follows, by direction and form."""
    doc = draft.doc
    if doc.finished:
        return
    if doc.phase is State.CANCELLING:
        unwind(draft)
    elif draft.plan.form == "graph":
        moved_on_graph(draft, index)
    elif draft.branches[index].fate is not Fate.GAVE_UP:
        moved_on_function(draft, index)


def after_decision(draft: Draft, index: int) -> bool:
    """Can this branch only go forward?"""
    return draft.doc.phase is State.CONFIRMING and draft.spec(index).role is not Role.PIVOT


def refusal_settles(draft: Draft, event: Replied) -> bool:
    """Is this refusal the last word? After the decision it is not allowed; a bare branch's answers for one attempt only."""
    index = event.branch
    if after_decision(draft, index):
        draft.emit(Alert("refused_not_allowed", index, event.reply.reason))
        return False
    if event.op in (Op.CHECK, Op.SEAL) or draft.spec(index).guarded:
        return True
    return not still_unknown(draft.branches[index], Word.NOT_DONE)


def still_unknown(branch: Branch, word: Word) -> bool:
    """May the action have happened, after this answer? While any attempt is unknown, the branch is (P1)."""
    return branch.unknown or word is not Word.NOT_DONE


def missed(draft: Draft, event: Replied) -> None:
    """The call did not settle its branch: try again, ask a person, or give up."""
    index, reply = event.branch, event.reply
    branch = draft.branches[index]
    unknown = still_unknown(branch, reply.word)
    if reply.word is Word.CONFLICT:
        draft.emit(Alert("misconfigured", index, reply.reason))
    if unknown and not branch.unknown:
        draft.ride()
    draft.put(index, unknown=unknown, spent=branch.spent + (not reply.free), reason=reply.reason)
    if draft.doc.phase is State.CANCELLING:
        if not unknown:
            settle(draft, index, Fate.NOT_DONE, reason=reply.reason)
    elif draft.spec(index).role is Role.PIVOT:
        pivot_missed(draft, event)
    elif draft.doc.phase is State.CONFIRMING:
        again_or_fail(draft, event)
    else:
        again_or_give_up(draft, event)


def again_or_fail(draft: Draft, event: Replied) -> None:
    """After the decision: retried with backoff, then a person is asked while slow retries go on."""
    index = event.branch
    branch = draft.branches[index]
    if branch.stuck or branch.spent >= limits.RETRIES_AFTER_DECISION or not event.reply.retry:
        fail(draft, index, branch.reason)
    else:
        draft.put(index, due=draft.at + pause_after(draft, event))


def pause_after(draft: Draft, event: Replied) -> int:
    """Microseconds until the next call: the policy's pause, or longer if the participant asked for it."""
    least = pause(draft.branches[event.branch].spent, draft.spec(event.branch).interval, event.jitter)
    return pause_until(event.reply.after, least, event.jitter)


def again_or_give_up(draft: Draft, event: Replied) -> None:
    """Before the decision: retried by policy; used up, a graph cancels and a function is told."""
    index = event.branch
    branch, spec = draft.branches[index], draft.spec(index)
    if branch.spent < spec.attempts and event.reply.retry:
        draft.put(index, due=draft.at + pause_after(draft, event))
    elif not branch.unknown:
        settle(draft, index, Fate.NOT_DONE, reason=branch.reason)
    elif draft.plan.form == "graph":
        cancel(draft, f"{branch.name}: {branch.reason}", branch.id)
    else:
        give_up(draft, index)


def given_up_replied(draft: Draft, event: Replied) -> None:
    """The last call of an abandoned branch ended: is its undo still owed?"""
    index, reply = event.branch, event.reply
    branch = draft.branches[index]
    if reply.word is Word.DONE:
        draft.put(index, result=reply.result)
        draft.ride()
    elif reply.word is Word.REFUSED and refusal_settles(draft, event):
        settle(draft, index, Fate.REFUSED, reason=reply.reason)
    elif not still_unknown(branch, reply.word):
        settle(draft, index, Fate.NOT_DONE, reason=reply.reason)
    if draft.doc.phase is State.CANCELLING:
        unwind(draft)
    else:
        go_on(draft)


def undo_replied(draft: Draft, event: Replied) -> None:
    """A compensation was answered."""
    index, reply = event.branch, event.reply
    branch = draft.branches[index]
    if reply.word is Word.DONE:
        settle(draft, index, Fate.COMPENSATED, result=branch.result, reason=branch.reason)
        if draft.doc.phase is State.CANCELLING:
            unwind(draft)
        else:
            go_on(draft)
    else:
        not_yet(draft, event)


def not_yet(draft: Draft, event: Replied) -> None:
    """What can only be done (an undo, a confirm) isn't: ask again. A refusal is not allowed: tell a person, then as unknown."""
    index, reply = event.branch, event.reply
    if reply.word is Word.ONGOING:
        draft.put(index, due=draft.at + ongoing_pause(reply.after))
        return
    if reply.word in (Word.REFUSED, Word.CONFLICT):
        kind = "refused_not_allowed" if reply.word is Word.REFUSED else "misconfigured"
        draft.emit(Alert(kind, index, reply.reason))
    draft.put(index, spent=draft.branches[index].spent + (not reply.free), reason=reply.reason)
    again_or_fail(draft, event)
