"""Transactional messages: a message that is sent if, and only if, the producer's local transaction commits.

Two things must happen together that no one transaction spans: a change in the producer's database, and a message to others.
RocketMQ's answer (*transactional messages*, 4.3) is followed here, with the holes of its protocol closed:

1. The *half message* is forced into the log. Nobody sees it.
2. The producer runs its local transaction. Its first statement writes a barrier row under the message's own uid.
3. *Submit*: the half message becomes a message, and is delivered to each subscriber, again and again until that is done.
4. If no submit comes, the *check-back* asks what became of the local transaction. It is asked of the row, by a seal: the row
   is there (committed: deliver), or can't be written any more (never: cancel). While the local transaction still runs, the
   seal waits at its uncommitted row; if it comes before the local transaction, that one fails with its own clear error.

What differs from RocketMQ:

* *An abort is not believed* (P7). An exception may leave the producer's code after its COMMIT went through, so leaving the
  block in any way only asks for the check-back at once: the row decides.
* *A check function that finds nothing says "not yet", never "no"*: it does not wait for a transaction that is still running.
* *Nothing is dropped.* RocketMQ discards a half message after 15 checks. Here a person is asked (the message is ``failed``,
  and alerted), and the check-back goes on slowly.
* *The submit rides* where a check-back exists: lost in a crash, it is found again by asking. Without one it is forced (B14).

Subscribers are taken down at the submit and know nothing of each other: one that is down, or says no, keeps no other waiting.
One that refuses is a *dead letter*: it is not called again until a person asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Raw

from troth.core import ids, limits
from troth.core.draft import Draft
from troth.core.driving import close, count_anew, fail, settle
from troth.core.function import ask_person
from troth.core.move import (
    Aborted,
    Alert,
    CallOnInput,
    Doomed,
    Left,
    Move,
    Poisoned,
    Recovered,
    Replied,
    Resolve,
    Retry,
    Submitted,
    Tick,
)
from troth.core.plan import Plan
from troth.core.quick import Fate, Op, State, Word
from troth.core.replies import again_or_fail, answered
from troth.core.retry import micros, ongoing_pause, pause, pause_until
from troth.core.saga import POISON, park_poisoned, resolved
from troth.core.state import Branch, Saga, Transaction

PRODUCER: Final = 0
"""The index of the branch that stands for the producer's local transaction; the others are deliveries."""
PRODUCER_ID: Final = ids.branch_id(ids.ROOT, "producer", 1)
NOBODY: Final = "nobody subscribes to it in this process"
REFUSED: Final = "dead letter: "


class CheckBack(msgspec.Struct, frozen=True):
    """How a message's producer is asked; stored with it, as its first branch's arguments.

    :param after: seconds from the half message to the first check-back, and of the first pause between two.
    :param every: seconds; the longest pause between two.
    :param times: check-backs until a person is asked.
    """

    after: float = limits.CHECK_BACK_AFTER
    every: float = limits.CHECK_BACK_EVERY
    times: int = limits.CHECK_BACK_TIMES


def begin(
    plan: Plan, *, gid: str, uid: bytes, input: Raw, now: int, begun: int, timeout: float | None = None,
    producer: str, check_back: CheckBack, to: str = "", not_before: int = 0,
) -> Move:  # fmt: skip
    """The half message: forced, and nothing is sent.

    :param input: what is sent; each delivery's arguments.
    :param producer: the participant that is asked what became of the local transaction.
    :param to: the participant it is delivered to; "": to whom the plan's audience names at the submit.
    :param not_before: microseconds; delivered then or later, however late the submit is found.
    """
    first = now + micros(check_back.after if timeout is None else timeout)
    branches = [Branch(PRODUCER_ID, producer, args=Raw(msgspec.json.encode(check_back)))]
    if to:
        branches.append(delivery(to))
    doc = Transaction(
        gid, uid, plan.name, plan.form, input, begun, first, not_before=not_before, branches=tuple(branches)
    )  # fmt: skip
    draft = Draft(Saga(plan, doc), now)
    draft.force()
    return draft.move()


def delivery(name: str) -> Branch:
    """The branch of one subscriber: its id is derived from its name, so that it is the same whoever submits."""
    return Branch(ids.branch_id(ids.ROOT, name.partition(":")[2] or name, 1), name)


def waits(doc: Transaction) -> bool:
    """Nothing of it is under way: it waits for its next check-back, or for its time."""
    producer, *deliveries = doc.branches
    if doc.phase is State.TRYING:
        return producer.fate is Fate.CALLING and not producer.calling
    return not any(b.calling or (b.fate is not Fate.DONE and b.due != doc.not_before) for b in deliveries)


# --- the check-back


@lru_cache(maxsize=64)
def _decoded(args: bytes) -> CheckBack:
    return msgspec.json.decode(args, type=CheckBack)


def check_back_of(draft: Draft) -> CheckBack:
    """How this message's producer is asked."""
    return _decoded(bytes(draft.branches[PRODUCER].args))


def answers(draft: Draft) -> bool:
    """Can anybody say what became of the local transaction?"""
    spec = draft.spec(PRODUCER)
    return spec.sealable or spec.checkable


def ask(draft: Draft) -> None:
    """Ask the producer; a barrier's row by a seal, which also ends the matter where there is none."""
    if draft.branches[PRODUCER].calling:
        return
    if not answers(draft):
        fail(draft, PRODUCER, "nobody can say whether its local transaction committed: it has no check-back", retry=False)
        return
    draft.set(deadline=draft.at + micros(limits.CHECK_BACK_LOOK))
    call(draft, PRODUCER, Op.SEAL if draft.spec(PRODUCER).sealable else Op.CHECK)


def call(draft: Draft, index: int, op: Op) -> None:
    """Make the next call of a branch; its arguments are the message."""
    branch = draft.branches[index]
    attempt = branch.attempt + 1
    draft.put(index, fate=Fate.CALLING, op=op, attempt=attempt, calling=True, due=0, since=draft.at)
    draft.emit(CallOnInput(index, op, attempt))


def left(draft: Draft, event: Left | Aborted | Doomed) -> None:
    """The producer's code was left, with an exception or without: ask. Neither says what became of its COMMIT (P7)."""
    if draft.doc.phase is State.TRYING and not draft.doc.resolving and answers(draft):
        draft.put(PRODUCER, reason=event.reason)
        ask(draft)


def producer_replied(draft: Draft, event: Replied) -> None:
    """What became of the local transaction: committed, or never; anything else is not yet."""
    reply = event.reply
    if reply.word is Word.DONE:
        submit(draft)
    elif reply.word is Word.SEALED or reply.word is Word.REFUSED:
        give_up(draft, reply.reason or draft.branches[PRODUCER].reason or "its local transaction did not commit")
    else:
        not_yet(draft, event)


def not_yet(draft: Draft, event: Replied) -> None:
    """Ask again later; asked often enough, a person is told, and it is asked slowly: nothing is ever dropped."""
    branch, how = draft.branches[PRODUCER], check_back_of(draft)
    spent = branch.spent + (not event.reply.free)
    draft.put(PRODUCER, spent=spent)
    if branch.stuck or spent >= how.times:
        park(draft, event.reply.reason or "not yet")
        return
    least = pause(spent, how.after, event.jitter, cap=how.every)
    draft.put(PRODUCER, due=draft.at + pause_until(event.reply.after, least, event.jitter))


def park(draft: Draft, reason: str) -> None:
    """Undecided: for a person. The slow check-backs may end it all the same."""
    fail(draft, PRODUCER, f"undecided after {check_back_of(draft).times} check-backs: {reason}")


def give_up(draft: Draft, reason: str) -> None:
    """The local transaction never happened and never will: nobody has seen the message, nobody will."""
    settle(draft, PRODUCER, Fate.NOT_DONE, reason=reason)
    draft.set(state=State.CANCELLED, phase=State.CANCELLING, reason=reason, step=PRODUCER_ID, finished=draft.at, stuck="")
    draft.ride()


# --- submit and delivery


def submitted(draft: Draft, event: Submitted) -> None:
    """The producer says that its local transaction committed."""
    if draft.doc.phase is not State.TRYING or draft.doc.resolving:
        return
    force_submit(draft)
    submit(draft)


def force_submit(draft: Draft) -> None:
    """Lost in a crash, the submit is found again by asking; where nobody can be asked it must not be lost (B14)."""
    if not answers(draft):
        draft.force()


def submit(draft: Draft) -> None:
    """The decision: take down who subscribes, and deliver."""
    settle(draft, PRODUCER, Fate.DONE)
    draft.set(state=State.CONFIRMING, phase=State.CONFIRMING, returned=True, reason="", step="", stuck="")
    take_down(draft)


def take_down(draft: Draft) -> None:
    """Who subscribes now gets it; a message that nobody gets is for a person, not for nobody."""
    if len(draft.branches) == 1:
        audience = draft.plan.audience() if draft.plan.audience is not None else ()
        draft.branches.extend(delivery(name) for name in audience[: limits.BRANCHES - 1])
    if len(draft.branches) == 1:
        ask_person(draft, NOBODY)
    else:
        deliver(draft)


def deliver(draft: Draft) -> None:
    """Make every delivery that is owed and not under way, once its time has come; with none left, that is the outcome."""
    if draft.doc.resolving:
        return
    over = True
    for index, branch in enumerate(draft.branches):
        if index == PRODUCER or branch.fate is Fate.DONE:
            continue
        over = False
        if branch.calling or branch.due or branch.stuck:
            continue
        if branch.fate is Fate.IDLE and draft.doc.not_before > draft.at:
            draft.put(index, due=draft.doc.not_before)
        else:
            call(draft, index, Op.DELIVER)
    if over:
        draft.set(state=State.CONFIRMED, finished=draft.at, reason="", step="")
        draft.ride()


def delivered(draft: Draft, event: Replied) -> None:
    """A subscriber answered: done, or asked again; a refusal is a dead letter. No other subscriber notices."""
    index, reply = event.branch, event.reply
    if reply.word is Word.DONE:
        settle(draft, index, Fate.DONE)
        deliver(draft)
    elif reply.word is Word.REFUSED:
        fail(draft, index, f"{REFUSED}{reply.reason}", retry=False)
    elif reply.word is Word.ONGOING:
        draft.put(index, due=draft.at + ongoing_pause(reply.after))
    else:
        if reply.word is Word.CONFLICT:
            draft.emit(Alert("misconfigured", index, reply.reason))
        draft.put(index, spent=draft.branches[index].spent + (not reply.free), reason=reply.reason)
        again_or_fail(draft, event)


def replied(draft: Draft, event: Replied) -> None:
    """A call was answered."""
    answered(draft, event, producer_replied if event.branch == PRODUCER else delivered)


# --- time, crashes, people


def ticked(draft: Draft, event: Tick) -> None:
    """Ask for what is undecided past its time; make the deliveries that are due."""
    doc = draft.doc
    if doc.resolving or doc.stuck:
        return
    producer = draft.branches[PRODUCER]
    if doc.phase is State.TRYING:
        if (producer.due and producer.due <= event.now) or (event.now >= doc.deadline and not producer.due):
            late(draft)
        return
    for index, branch in enumerate(draft.branches):
        if branch.due and branch.due <= event.now and not branch.calling:
            call(draft, index, Op.DELIVER)


def late(draft: Draft) -> None:
    """No submit came in time. A producer that nobody can ask about is looked at once, by a person."""
    draft.set(deadline=draft.at + micros(limits.CHECK_BACK_LOOK))
    if answers(draft) or not draft.branches[PRODUCER].stuck:
        ask(draft)


def recovered(draft: Draft, event: Recovered) -> None:
    """A node takes over: the producer is dead, so it is asked at once; deliveries go on, at their time."""
    forget_calls(draft)
    if draft.doc.stuck.startswith(POISON):
        return
    if draft.doc.resolving:
        close(draft)
    elif draft.doc.phase is not State.TRYING:
        draft.set(stuck="")
        unstick_audience(draft)
    elif answers(draft):
        ask(draft)
    else:
        draft.set(deadline=draft.doc.deadline + event.gap)


def unstick_audience(draft: Draft) -> None:
    """Other code may have subscribers; otherwise what is owed is delivered on."""
    if draft.doc.state is State.FAILED and not any(b.stuck for b in draft.branches):
        draft.set(state=State.CONFIRMING)
    take_down(draft)


def forget_calls(draft: Draft) -> None:
    """After a crash no call is under way. What waits for its time, or for a person, still does; slow retries come at once."""
    for index, branch in enumerate(draft.branches):
        slow = draft.at if branch.stuck and (branch.due or branch.calling) else 0
        draft.put(index, calling=False, due=slow, spent=0)


def retried(draft: Draft, event: Retry) -> None:
    """A person asks for another round: attempts are counted anew, dead letters are delivered again."""
    if draft.doc.resolving:
        return
    count_anew(draft)
    if draft.doc.phase is State.TRYING:
        ask(draft)
    else:
        take_down(draft)


def poisoned(draft: Draft, event: Poisoned) -> None:
    """Park a message that takes its nodes down: nothing of it is called until a person asks for it."""
    for index, _ in enumerate(draft.branches):
        draft.put(index, calling=False, due=0)
    park_poisoned(draft, event)


Rule = Callable[[Draft, Any], None]
Audience = Callable[[], Sequence[str]]
RULES: dict[type, Rule] = {
    Replied: replied,
    Tick: ticked,
    Submitted: submitted,
    Left: left,
    Aborted: left,
    Doomed: left,
    Recovered: recovered,
    Retry: retried,
    Resolve: resolved,
    Poisoned: poisoned,
}
