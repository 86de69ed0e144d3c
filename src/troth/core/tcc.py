"""Try-Confirm/Cancel: reserve everywhere, then keep everything or give everything back.

Each participant offers three ops. ``try`` checks and *holds* what is wanted (a seat frozen, an amount blocked), visibly for
its own later business; ``confirm`` turns the hold into the real thing; ``cancel`` gives it back. Because a hold is a promise
that its participant can keep, a confirm may not fail for a business reason, and because nothing is sold from under a hold,
other transactions never see a state that is taken back: that is what TCC has over the saga, and a third op is its price.

It is two-phase commit lifted from the database to the business: the try is the vote, the coordinator's forced decision is
the commit point, holds stand where locks stood (Helland, *Life beyond Distributed Transactions*, CIDR 2007, calls them
tentative operations; Pardon and Pautasso, *Atomic Distributed Transactions: a RESTful Design*, WWW 2014, give the protocol
over HTTP; the name is Atomikos'). What differs: participants don't block each other, and each must stand a confirm or cancel
that comes twice, a cancel that comes first or alone, and a try that comes after its cancel. The barrier does that for them.

Two forms, one set of rules:

* *declared*: all branches are known when it begins. One forced write registers them all; tries go side by side.
* *open*: an initiator calls one participant after the other and submits at the end. Each branch is registered, forced, before
  its try is sent. If the initiator dies, nobody can know what else it wanted: what is undecided is cancelled at once.

The decision:

* *Confirm* is decided only if every registered try was reported done (A8), if what the initiator says it called is what is
  registered (P18), and if the children that a try's kept run called are exactly those that it registered (P15). Anything else
  cancels, whatever the initiator's own code made of the exception it got.
* The first cancel is forced before anything of it is sent (A3): lost in a crash, the tries would be asked again beside it.
* Either way it takes one forced write, and from then on nothing can turn it round. The outcome itself only rides: it can be
  derived again. Who waits for ``decided`` is told when the decision is durable, for ``finished`` when the outcome is (P17).
* Confirms and cancels go side by side, each repeated with a growing pause until it is done; after
  ``RETRIES_AFTER_DECISION`` a person is asked, and it is repeated slowly. One that is refused is a broken promise: a person is
  told at once, and it is repeated all the same.

A try may call further participants of the same transaction (*nested*). Their branch ids are derived from its own, so that a
try that is run again finds the branches of its first run instead of holding twice (B11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Raw

from troth.core import limits
from troth.core.draft import Draft
from troth.core.driving import close, count_anew, forces_intent, send, settle
from troth.core.holds import cancel, confirm_all, decide_to_confirm, end_replied, unwind
from troth.core.move import (
    Aborted,
    Alert,
    Answer,
    Doomed,
    Move,
    Poisoned,
    Recovered,
    Registered,
    Replied,
    Resolve,
    Retry,
    Submitted,
    Tick,
)
from troth.core.plan import Plan
from troth.core.quick import Fate, Op, State, Word
from troth.core.replies import answered, pause_after, refusal_settles, still_unknown
from troth.core.retry import micros, ongoing_pause
from troth.core.saga import POISON, moved_deadline, park_poisoned, resolved
from troth.core.state import Branch, Saga, Transaction

TRIES: Final = (Op.TRY, Op.CHECK)


def begin(
    plan: Plan, *, gid: str, uid: bytes, input: Raw, now: int, begun: int, timeout: float | None = None,
    branches: Sequence[tuple[str, str, Raw]] = (),
) -> Move:  # fmt: skip
    """A new transaction; its accept is forced, and with it all that is declared.

    :param input: what the caller gave, kept to tell a repeat of the gid from other content.
    :param branches: of a declared one: (branch id, participant's name, encoded arguments) in the order of the tries.
    """
    deadline = now + micros(plan.timeout if timeout is None else timeout)
    registered = tuple([Branch(id, name, args=args, op=Op.TRY) for id, name, args in branches])
    declared = plan.form == "declared"
    doc = Transaction(gid, uid, plan.name, plan.form, input, begun, deadline, returned=declared, branches=registered)
    draft = Draft(Saga(plan, doc), now)
    draft.force()
    if declared:
        send_tries(draft)
        decide_to_confirm(draft)
    return draft.move()


# --- registering


def registered(draft: Draft, event: Registered) -> None:
    """A branch joins: recorded, forced, then its try is sent. One that is there already is the same call made again."""
    if draft.doc.phase is not State.TRYING or draft.doc.stuck:
        return
    index = index_of(draft, event.id)
    if index >= 0:
        attach(draft, index, event)
        return
    draft.problem = out_of_turn(draft, event)
    if draft.problem:
        return
    draft.called = len(draft.branches)
    draft.branches.append(Branch(event.id, event.name, op=Op.TRY, args=event.args))
    draft.force()
    send(draft, draft.called, Op.TRY)


def index_of(draft: Draft, id: str) -> int:
    """The index of a registered branch, or -1: a derived id names the same call in every run (B11)."""
    for index, branch in enumerate(draft.branches):
        if branch.id == id:
            return index
    return -1


def attach(draft: Draft, index: int, event: Registered) -> None:
    """The same call again gets the same answer; under the same id with other arguments it is another way."""
    branch = draft.branches[index]
    if branch.name != event.name or bytes(branch.args) != bytes(event.args):
        cancel(draft, f"{event.id} was registered before with other arguments", event.id)
        return
    draft.called = index
    if branch.fate is not Fate.CALLING and branch.fate is not Fate.IDLE:
        draft.emit(Answer(index))


def out_of_turn(draft: Draft, event: Registered) -> str:
    """Why a new branch can't join now, or ""."""
    parent = parent_of(event.id)
    if not parent:
        return f"{event.id} is called after the transaction was submitted" if draft.doc.returned else ""
    index = index_of(draft, parent)
    if index < 0:
        return f"{event.id} is called by {parent}, which is no branch of this transaction"
    if draft.branches[index].fate is not Fate.CALLING:
        return f"{event.id} is called by a try that was answered before"
    return ""


def parent_of(id: str) -> str:
    """The id of the branch whose try called this one; "" for the initiator's own."""
    place = id.rpartition("/")[0]
    return place if "#" in place else ""


# --- trying


def send_tries(draft: Draft) -> None:
    """Make first calls in order of declaration, as many as may be under way at once."""
    under_way = sum(1 for b in draft.branches if b.fate is Fate.CALLING)
    for index, branch in enumerate(draft.branches):
        if under_way >= limits.TRIES_AT_ONCE:
            return
        if branch.fate is Fate.IDLE:
            under_way += 1
            if forces_intent(draft.spec(index)):
                draft.force()
            ask(draft, index)


def ask(draft: Draft, index: int) -> None:
    """Ask for an unsettled try: a bare one that may have happened by its check, any other by the same call again."""
    spec = draft.spec(index)
    send(draft, index, Op.CHECK if draft.branches[index].unknown and spec.checkable and not spec.guarded else Op.TRY)


def replied(draft: Draft, event: Replied) -> None:
    """A call was answered."""
    answered(draft, event, end_replied if event.op is Op.CONFIRM or event.op is Op.CANCEL else try_replied)


def try_replied(draft: Draft, event: Replied) -> None:
    """A try, or a question about one, was answered."""
    index, reply = event.branch, event.reply
    word = reply.word
    if word is Word.DONE:
        settle(draft, index, Fate.DONE, result=reply.result)
    elif word is Word.REFUSED and refusal_settles(draft, event):
        settle(draft, index, Fate.REFUSED, reason=reply.reason)
    elif word is Word.ONGOING and draft.doc.phase is State.TRYING:
        draft.put(index, unknown=True, due=draft.at + ongoing_pause(reply.after))
        draft.ride()
        return
    else:
        missed(draft, event)
    if draft.doc.phase is State.CANCELLING:
        unwind(draft)
    elif draft.branches[index].fate is not Fate.CALLING:
        tried(draft, event)


def missed(draft: Draft, event: Replied) -> None:
    """The call did not settle its try: again, or, attempts used up, cancel all."""
    index, reply = event.branch, event.reply
    branch, spec = draft.branches[index], draft.spec(index)
    unknown = still_unknown(branch, reply.word)
    spent = branch.spent + (not reply.free)
    if reply.word is Word.CONFLICT:
        draft.emit(Alert("misconfigured", index, reply.reason))
    if unknown and not branch.unknown:
        draft.ride()
    draft.put(index, unknown=unknown, spent=spent, reason=reply.reason)
    if draft.doc.phase is State.TRYING and spent < spec.attempts and reply.retry:
        draft.put(index, due=draft.at + pause_after(draft, event))
    elif not unknown:
        settle(draft, index, Fate.NOT_DONE, reason=reply.reason)
    elif draft.doc.phase is State.TRYING:
        fall_through(draft, index)


def tried(draft: Draft, event: Replied) -> None:
    """A try is settled: go on, decide, or cancel all."""
    index = event.branch
    branch = draft.branches[index]
    if branch.fate is not Fate.DONE:
        fall_through(draft, index)
        return
    other = strangers(draft, branch.id, event.reply.children)
    draft.emit(Answer(index))
    if other:
        cancel(draft, f"{other} was called by a run of {branch.id} that was not kept, or not registered", branch.id)
        return
    send_tries(draft)
    decide_to_confirm(draft)


def fall_through(draft: Draft, index: int) -> None:
    """One try that isn't done is enough: nothing is confirmed any more, whatever its caller makes of it (A8)."""
    branch = draft.branches[index]
    draft.emit(Answer(index))
    cancel(draft, f"{branch.name}: {branch.reason}", branch.id)


def strangers(draft: Draft, parent: str, children: Sequence[str]) -> str:
    """A child that a try registered and its kept run did not call, or the reverse; "" if there is none (P15)."""
    called = set(children)
    different = called.symmetric_difference(b.id for b in draft.branches if parent_of(b.id) == parent)
    return min(different, default="")


# --- deciding


def submitted(draft: Draft, event: Submitted) -> None:
    """The initiator wants all confirmed: so it is once every try is done, and one still under way is waited for."""
    if draft.doc.phase is not State.TRYING or draft.doc.returned or draft.doc.stuck:
        return
    missing = never_registered(draft, event.branches)
    if missing:
        cancel(draft, f"{missing}: the registration got no answer", missing)
        return
    draft.set(returned=True, result=event.result)
    draft.ride()
    decide_to_confirm(draft)


def never_registered(draft: Draft, called: Sequence[str]) -> str:
    """A branch that the initiator called and that isn't registered, or the reverse; "" if there is none (P18)."""
    different = set(called).symmetric_difference(b.id for b in draft.branches if not parent_of(b.id))
    return min(different, default="")


def aborted(draft: Draft, event: Aborted | Doomed) -> None:
    """Cancel while that is still possible."""
    if draft.doc.phase is State.TRYING:
        cancel(draft, event.reason, event.step if isinstance(event, Aborted) else "")


# --- time, crashes, people


def ticked(draft: Draft, event: Tick) -> None:
    """Make the calls that are due; cancel what is undecided past its deadline."""
    doc = draft.doc
    if doc.resolving:
        return
    if doc.phase is State.TRYING and not doc.stuck and event.now >= doc.deadline:
        cancel(draft, "timeout: undecided at its deadline")
    for index, branch in enumerate(draft.branches):
        if branch.due and branch.due <= event.now and not branch.calling:
            if branch.op in TRIES:
                ask(draft, index)
            else:
                send(draft, index, branch.op)


def recovered(draft: Draft, event: Recovered) -> None:
    """A node takes over: what was in flight, or could have been, is unknown; ask again."""
    forget_calls(draft, event.now)
    draft.set(deadline=moved_deadline(draft, event))
    if draft.doc.stuck.startswith(POISON):
        return
    if draft.doc.resolving:
        close(draft)
    else:
        resume(draft)


def forget_calls(draft: Draft, slow: int = 0) -> None:
    """After a crash: a try that was called, or that could have been without a forced write in between, is unknown (A1)."""
    trying = draft.doc.phase is State.TRYING  # the forced decision carried all that was called
    for index, branch in enumerate(draft.branches):
        reached = branch.fate is Fate.IDLE and trying and not forces_intent(draft.spec(index))
        unknown = branch.unknown or reached or branch.fate is Fate.CALLING
        due = slow if branch.stuck and (branch.due or branch.calling) else 0
        draft.put(index, calling=False, due=due, spent=0, unknown=unknown)


def resume(draft: Draft) -> None:
    """Do everything that is owed and not under way."""
    phase = draft.doc.phase
    if phase is State.CONFIRMING:
        confirm_all(draft)
    elif phase is State.CANCELLING:
        unwind(draft)
    elif draft.plan.form == "open":
        cancel(draft, "its initiator is gone: the process that opened it ended before the decision")
    else:
        for index, branch in enumerate(draft.branches):
            if branch.fate is Fate.CALLING and not (branch.calling or branch.due):
                ask(draft, index)
        send_tries(draft)
        decide_to_confirm(draft)


def retried(draft: Draft, event: Retry) -> None:
    """A person asks for another round."""
    doc = draft.doc
    if doc.resolving or (doc.phase is State.TRYING and doc.state is not State.FAILED):
        return  # what is undecided goes its way within its deadline
    count_anew(draft)
    resume(draft)


def poisoned(draft: Draft, event: Poisoned) -> None:
    """Park a transaction that takes its nodes down: nothing of it is called until a person asks for it."""
    forget_calls(draft)
    park_poisoned(draft, event)


RULES: dict[type, Callable[[Draft, Any], None]] = {
    Registered: registered,
    Replied: replied,
    Tick: ticked,
    Submitted: submitted,
    Aborted: aborted,
    Doomed: aborted,
    Recovered: recovered,
    Retry: retried,
    Resolve: resolved,
    Poisoned: poisoned,
}
