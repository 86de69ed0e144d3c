"""The saga's rules, for functions and graphs alike; `troth.core.rules.decide` applies them.

Sources: Garcia-Molina and Salem, *Sagas* (SIGMOD 1987) for compensation and backward recovery; Richardson, *Microservices
Patterns* (2018), chapter 4, for compensable, pivot and retriable steps; Ongaro's raft library for "decide, persist, send".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw

from troth.core import limits
from troth.core.draft import Draft
from troth.core.driving import FORWARD, ask, close, count_anew, send, unstick
from troth.core.function import (
    abandoned,
    ask_person,
    begin_run,
    called,
    raised,
    recalled,
    remembered,
    rerun,
    resume_function,
    returned,
)
from troth.core.graph import mark_reached, resume_graph, start_graph
from troth.core.move import (
    Abandoned,
    Called,
    Doomed,
    Move,
    Poisoned,
    Raised,
    Recalled,
    Recovered,
    Remembered,
    Replied,
    Rerun,
    Resolve,
    Retry,
    Returned,
    Tick,
)
from troth.core.pivot import ask_pivot, doom
from troth.core.plan import Plan
from troth.core.quick import Fate, Op, Role, State
from troth.core.replies import replied
from troth.core.retry import micros
from troth.core.state import NO_RUN, Branch, Saga, Transaction
from troth.core.unwind import stop_run, unwind


def begin(
    plan: Plan, *, gid: str, uid: bytes, input: Raw, now: int, begun: int, timeout: float | None = None, force: bool = True
) -> Move:
    """A new saga.

    :param now: microseconds; the deadline is counted from it.
    :param begun: its begin for low-water marks, in microseconds.
    :param timeout: seconds of its undecided part; None: the definition's.
    :param force: for a function: the accept is durable before it runs (``start``); otherwise it rides with the first intent.
    """
    deadline = now + micros(plan.timeout if timeout is None else timeout)
    doc = Transaction(
        gid, uid, plan.name, plan.form, input, begun, deadline,
        branches=tuple([Branch(node.id, node.spec.name) for node in plan.steps]),
    )  # fmt: skip
    draft = Draft(Saga(plan, doc), now)
    if plan.form == "graph":
        draft.force()
        start_graph(draft)
    else:
        if force:
            draft.force()
        begin_run(draft)
    return draft.move()


def ticked(draft: Draft, event: Tick) -> None:
    """Make the calls that are due; cancel what is undecided past its deadline."""
    doc = draft.doc
    if doc.resolving:
        return
    if doc.phase is State.TRYING and not doc.doom and not doc.stuck and event.now >= doc.deadline:
        doom(draft, "timeout: undecided at its deadline")
    for index in range(len(draft.branches)):
        branch = draft.branches[index]
        if branch.due and branch.due <= event.now and not branch.calling:
            due_call(draft, index)
    if draft.doc.due and draft.doc.due <= event.now:
        begin_run(draft)


def due_call(draft: Draft, index: int) -> None:
    """A pause is over: the next call of what is being driven."""
    branch = draft.branches[index]
    if branch.op not in FORWARD:
        send(draft, index, branch.op)
    elif draft.spec(index).role is Role.PIVOT and branch.op is not Op.ACTION:
        ask_pivot(draft, index)
    else:
        ask(draft, index)


def recovered(draft: Draft, event: Recovered) -> None:
    """A node takes over: forget what was in flight, treat it and all that could be reached from it as unknown, go on."""
    draft.run = NO_RUN
    for index, branch in enumerate(draft.branches):
        unknown = branch.unknown or branch.fate is Fate.CALLING
        if branch.fate is Fate.IDLE:
            continue  # never called, as far as the log knows; what it could not know comes next
        slow = branch.stuck and (branch.due or branch.calling)  # its slow retries go on at once; what must not be repeated isn't
        draft.put(index, calling=False, due=event.now if slow else 0, spent=0, unknown=unknown)
    if draft.plan.form == "graph" and draft.doc.phase is not State.CANCELLING:  # the forced cancel carried all that was reached
        mark_reached(draft)
    draft.set(deadline=moved_deadline(draft, event), due=0)
    if draft.doc.stuck.startswith(POISON):
        return
    if draft.doc.stuck:  # other code may be able to go on
        draft.set(stuck="")
        unstick(draft)
    if not draft.doc.resolving:
        resume(draft)
    else:
        close(draft)


def moved_deadline(draft: Draft, event: Recovered) -> int:
    """Time when nobody drove doesn't count, and one round of calls comes before the deadline (A6)."""
    one_round = micros(limits.PARTICIPANT_TIMEOUT)
    return max(draft.doc.deadline + event.gap, event.now + one_round)


def resume(draft: Draft) -> None:
    """Do everything that is owed and not under way."""
    if draft.doc.phase is State.CANCELLING:
        unwind(draft)
    elif draft.plan.form == "graph":
        resume_graph(draft)
    else:
        resume_function(draft)


def doomed(draft: Draft, event: Doomed) -> None:
    """Cancel from outside, while it is undecided."""
    if draft.doc.phase is State.TRYING and not draft.doc.doom:
        stop_run(draft)
        doom(draft, event.reason)


def retried(draft: Draft, event: Retry) -> None:
    """A person asks for another round."""
    if draft.doc.resolving:
        return
    draft.set(runs=0, due=0)
    count_anew(draft)
    resume(draft)


def resolved(draft: Draft, event: Resolve) -> None:
    """Stop retries durably, wait attempts out, then close."""
    if draft.doc.state is not State.FAILED or draft.doc.resolving:
        return
    draft.set(resolving=event.reason, due=0)
    for index, branch in enumerate(draft.branches):
        if branch.due:
            draft.put(index, due=0)
    stop_run(draft)
    draft.force()
    close(draft)


def poisoned(draft: Draft, event: Poisoned) -> None:
    """Park a transaction that takes its nodes down: nothing of it is called until a person asks for it."""
    draft.run = NO_RUN
    for index, branch in enumerate(draft.branches):
        draft.put(index, calling=False, due=0, unknown=branch.unknown or branch.fate is Fate.CALLING)
    if draft.plan.form == "graph":
        mark_reached(draft)
    park_poisoned(draft, event)


def park_poisoned(draft: Draft, event: Poisoned) -> None:
    """Nothing of a transaction that takes its nodes down is called until a person asks for it."""
    ask_person(draft, f"{POISON}: taken over {event.claims} times without progress")


POISON = "poison"
RULES: dict[type, Callable[[Draft, Any], None]] = {
    Replied: replied,
    Tick: ticked,
    Called: called,
    Recalled: recalled,
    Remembered: remembered,
    Returned: returned,
    Raised: raised,
    Abandoned: abandoned,
    Rerun: rerun,
    Recovered: recovered,
    Doomed: doomed,
    Retry: retried,
    Resolve: resolved,
    Poisoned: poisoned,
}
