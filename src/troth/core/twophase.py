"""Two-phase commit: several databases commit together, or none does.

Each branch is a local transaction that is *prepared* first: its database promises that it can commit, and keeps the promise
through every crash. When all have voted yes the coordinator writes its decision down, and from then on it is repeated until
everyone has heard it (Gray, *Notes on Data Base Operating Systems*, 1978; Lampson and Sturgis, *Crash Recovery in a
Distributed Data Storage System*, 1979). Between its vote and the decision a branch is *in doubt*: its locks are held, and it
may not choose for itself. That is the price, and why preparing is bounded by ``vote_by``.

What is written (Mohan, Lindsay and Obermarck, *Transaction Management in the R\\* Distributed DBMS*, TODS 1986, call it presumed
abort): one forced record, the decision to commit. Nothing is written at the begin, at a vote, or to roll our own work back: a
prepared branch carries its log and its node's incarnation in its name (`troth.core.xid`), so that the absence of a decision of
an incarnation that is dead means abort. Read-only branches, where that is provable, drop out with their vote; where all do,
nothing is written at all.

* *One last resource* may be a database that can't prepare (Gray and Reuter, *Transaction Processing*, 1993, 10.6.2, call it
  the last-resource, or nested, commit). It commits by itself after all others have prepared, and its own commit is the
  decision. The log names it, forced, before it is asked to: once it is named, only it can say what became of the whole. Where
  its answer is lost it is *sealed*: made impossible if it has not happened, and it says which won (A10).
* *A single branch* is a last resource alone: it is named, and commits in one phase. Named, so that a gid that comes twice
  commits once.
* *Past* ``vote_by`` another node may write the abort into the log, under the key that the decision and the naming use: whoever
  is first wins (P3). The loser is told (`Overruled`) and rolls back; it had sent nothing.
* *The decision is never taken back.* Commits are repeated, with a growing pause; after ``RETRIES_AFTER_DECISION``, or where a
  branch was settled otherwise behind our back (a heuristic outcome), a person is asked, with the evidence in the branch's
  reason, and it is repeated slowly.

A branch that was never asked to prepare owes nothing: giving its connection back rolls it back. What a sweep makes of
prepared branches that it finds is in `troth.core.sweep`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw

from troth.core.draft import Draft
from troth.core.driving import close, count_anew, send
from troth.core.move import (
    Aborted,
    Doomed,
    Enlisted,
    Move,
    Overruled,
    Poisoned,
    Recovered,
    Replied,
    Resolve,
    Retry,
    Submitted,
    Tick,
)
from troth.core.phases import (
    READ_ONLY,
    VOTED_YES,
    cancel,
    commit_all,
    decide_to_commit,
    ended,
    last_replied,
    resume,
    too_late,
    unwind,
)
from troth.core.plan import Plan
from troth.core.quick import Fate, Op, State, Word
from troth.core.replies import answered
from troth.core.retry import micros
from troth.core.saga import POISON, moved_deadline, park_poisoned, resolved
from troth.core.state import Branch, Saga, Transaction
from troth.core.tcc import index_of, never_registered

__all__ = ["READ_ONLY", "RULES", "begin", "commit_all"]


def begin(
    plan: Plan, *, gid: str, uid: bytes, input: Raw, now: int, begun: int, incarnation: str, timeout: float | None = None,
    vote_by: float | None = None,
) -> Move:  # fmt: skip
    """A new transaction. Nothing of it is saved: the log first hears of it at the decision.

    :param input: what the caller gave, kept to tell a repeat of the gid from other content.
    :param begun: its begin; the node's floor must stay at or below it until it has ended.
    :param incarnation: of this node: 32 hex digits.
    :param timeout: seconds of its undecided part; None: the definition's.
    :param vote_by: seconds, from now, in which all must have prepared; None: ``timeout``. Afterwards others may abort it.
    """
    deadline = now + micros(plan.timeout if timeout is None else timeout)
    latest = deadline if vote_by is None else now + micros(vote_by)
    doc = Transaction(
        gid, uid, plan.name, plan.form, input, begun, min(deadline, latest), vote_by=latest, incarnation=incarnation
    )
    return Draft(Saga(plan, doc), now).move()


# --- enlisting


def enlisted(draft: Draft, event: Enlisted) -> None:
    """A database joins."""
    if draft.doc.phase is not State.TRYING or draft.doc.stuck:
        return
    draft.problem = out_of_turn(draft, event)
    if draft.problem:
        return
    draft.called = len(draft.branches)
    draft.branches.append(Branch(event.id, event.name, args=event.args, op=Op.PREPARE))
    if not event.prepares:
        draft.set(last=draft.called)


def out_of_turn(draft: Draft, event: Enlisted) -> str:
    """Why a database can't join now, or ""."""
    doc = draft.doc
    if doc.returned:
        return f"{event.name} is enlisted after its transaction has ended"
    if index_of(draft, event.id) >= 0:
        return f"{event.id} is enlisted already"
    if not event.prepares and doc.last >= 0:
        other = draft.branches[doc.last].name
        return (
            f"{event.name} can't prepare, nor can {other}, which is enlisted already: only one such database can take part, "
            "for it commits last and decides. Use a database that can prepare, or a saga"
        )
    return ""


# --- voting


def submitted(draft: Draft, event: Submitted) -> None:
    """All is done: ask for the votes, side by side. A branch alone needs no vote."""
    if draft.doc.phase is not State.TRYING or draft.doc.returned or draft.doc.stuck:
        return
    draft.set(returned=True, result=event.result)
    missing = never_registered(draft, event.branches)
    if missing:
        cancel(draft, f"{missing}: it was enlisted and is not in the transaction", missing)
        return
    if len(draft.branches) == 1:
        draft.set(last=0)
    for index in range(len(draft.branches)):
        if index != draft.doc.last:
            send(draft, index, Op.PREPARE)
    decide_to_commit(draft)


def replied(draft: Draft, event: Replied) -> None:
    """A call was answered."""
    later = last_replied if draft.doc.phase is State.TRYING else ended
    answered(draft, event, voted if event.op is Op.PREPARE else later)


def voted(draft: Draft, event: Replied) -> None:
    """A vote. Anything but a yes rolls all back; a branch that may be prepared is rolled back by name."""
    index, reply = event.branch, event.reply
    if reply.word is Word.DONE:
        fate = Fate.READ_ONLY if bytes(reply.result) == bytes(READ_ONLY) else Fate.DONE
        draft.put(index, fate=fate, reason="")
    elif reply.word is Word.REFUSED:
        draft.put(index, fate=Fate.REFUSED, reason=reply.reason)
    else:
        draft.put(index, unknown=True, reason=reply.reason)
    branch = draft.branches[index]
    if too_late(draft):
        unwind(draft)
    elif branch.fate in VOTED_YES:
        decide_to_commit(draft)
    else:
        cancel(draft, f"{branch.name}: {branch.reason}", branch.id)


# --- time, crashes, people


def aborted(draft: Draft, event: Aborted | Doomed) -> None:
    """Roll back while that is possible: once the last resource is named, it decides."""
    if draft.doc.phase is State.TRYING and not draft.doc.doom:
        cancel(draft, event.reason, event.step if isinstance(event, Aborted) else "")


def overruled(draft: Draft, event: Overruled) -> None:
    """The log has no row of it and never will: roll back what is prepared. What the log should have released was not sent."""
    for index, branch in enumerate(draft.branches):
        if branch.op is Op.COMMIT and branch.calling:
            draft.put(index, calling=False, fate=Fate.IDLE if index == draft.doc.last else branch.fate)
    draft.set(recorded=False, resolving="")
    cancel(draft, draft.doc.reason or event.reason, draft.doc.step, doom=event.reason)


def ticked(draft: Draft, event: Tick) -> None:
    """Make the calls that are due; roll back what is undecided past its deadline."""
    doc = draft.doc
    if doc.resolving:
        return
    if doc.phase is State.TRYING and not (doc.doom or doc.stuck) and event.now >= doc.deadline:
        late = event.now >= doc.vote_by and doc.returned
        cancel(draft, "timeout: not all had prepared by vote_by" if late else "timeout: undecided at its deadline")
    for index, branch in enumerate(draft.branches):
        if branch.due and branch.due <= event.now and not branch.calling:
            send(draft, index, branch.op)


def recovered(draft: Draft, event: Recovered) -> None:
    """A node takes over: what is in the log is decided, or its last resource decides."""
    forget_calls(draft, event.now)
    draft.set(deadline=moved_deadline(draft, event))
    if draft.doc.stuck.startswith(POISON):
        return
    if draft.doc.resolving:
        close(draft)
    else:
        resume(draft)


def forget_calls(draft: Draft, slow: int = 0) -> None:
    """Nothing is under way any more; slow retries go on at once."""
    for index, branch in enumerate(draft.branches):
        due = slow if branch.stuck and (branch.due or branch.calling) else 0
        draft.put(index, calling=False, due=due, spent=0, unknown=branch.unknown or branch.fate is Fate.CALLING)


def retried(draft: Draft, event: Retry) -> None:
    """A person asks for another round."""
    doc = draft.doc
    if doc.resolving or not doc.recorded:
        return
    count_anew(draft)
    resume(draft)


def poisoned(draft: Draft, event: Poisoned) -> None:
    """Park a transaction that takes its nodes down: nothing of it is called until a person asks for it."""
    forget_calls(draft)
    park_poisoned(draft, event)


RULES: Final[dict[type, Callable[[Draft, Any], None]]] = {
    Enlisted: enlisted,
    Submitted: submitted,
    Replied: replied,
    Aborted: aborted,
    Doomed: aborted,
    Overruled: overruled,
    Tick: ticked,
    Recovered: recovered,
    Retry: retried,
    Resolve: resolved,
    Poisoned: poisoned,
}
