"""Sweeps: what becomes of prepared branches that nobody drives. Pure; a generator asks, whoever runs it answers, in any colour.

A prepared branch outlives its process. Each resource is therefore swept again and again, not once at a take-over: a node that
was declared dead while it was paused may still prepare when it wakes (P13). The order of the questions is the rule (B20):

1. *List* what is prepared.
2. *Then* read who is alive: a node registers before it prepares anything, so an incarnation that is listed and not alive is
   dead, and will never write a decision.
3. *Then* look each one up in the log. The other way round, a transaction that was decided between the two readings would be
   rolled back.

Strangers, other logs' branches, and all branches while the log can't be read are left alone (Narayana's recovery calls it
voting filters). What is past its ``vote_by`` is not simply aborted, for its node may be alive and about to decide: the abort
is first written under the key that the decision needs (P3).
"""

from __future__ import annotations

from collections.abc import Container, Generator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from troth.core.quick import State
from troth.core.state import Transaction


class Prepared(Protocol):
    """The name of a prepared branch, as far as it is judged by."""

    @property
    def log(self) -> str:
        """The log that decides: 32 hex digits."""

    @property
    def incarnation(self) -> str:
        """The node that prepared it: 32 hex digits."""

    @property
    def uid(self) -> bytes:
        """The transaction's."""

    @property
    def vote_by(self) -> int:
        """Until when it may vote, in microseconds."""


class Said(StrEnum):
    """What the log says of a transaction."""

    NOTHING = "nothing"
    UNDECIDED = "undecided"
    """Its last resource is named and decides; who owns the row asks it."""
    COMMIT = "commit"
    ABORT = "abort"
    UNCLEAR = "unclear"
    """It was closed by hand, or nobody knows any more: a person's matter."""


class Verdict(StrEnum):
    """What to do with a prepared branch."""

    LEAVE = "leave"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    ABORT_FIRST = "abort_first"
    """Write the abort (`Store.abort`); if it stands, roll back."""


def said_by(doc: Transaction) -> Said:
    """What a transaction's row says: its direction, for the decision is never taken back."""
    if doc.phase is State.CONFIRMING:
        return Said.COMMIT
    return Said.ABORT if doc.phase is State.CANCELLING else Said.UNDECIDED


def said_by_outcome(outcome: str) -> Said:
    """What a ledger entry's outcome says."""
    known = {"confirmed": Said.COMMIT, "cancelled": Said.ABORT, "aborted": Said.ABORT}
    return known.get(outcome, Said.UNCLEAR)


def judge(xid: Prepared, *, log: str, alive: Container[str], said: Said, now: int) -> Verdict:
    """What to do with a prepared branch.

    :param log: the id of the log that was asked: branches of another one are left alone.
    :param alive: the incarnations that are alive, read after the branch was listed.
    :param said: what the log says, read after that.
    :param now: microseconds.
    """
    if xid.log != log:
        return Verdict.LEAVE
    driven = xid.incarnation in alive
    if said is Said.COMMIT:  # before its time is over, a node that is alive is at it itself
        return Verdict.LEAVE if driven and now < xid.vote_by else Verdict.COMMIT
    if said is Said.ABORT:
        return Verdict.ROLLBACK
    if said is not Said.NOTHING:
        return Verdict.LEAVE
    if not driven:
        return Verdict.ROLLBACK
    return past_vote_by() if now >= xid.vote_by else Verdict.LEAVE


def past_vote_by() -> Verdict:
    """Its node is alive and may be about to decide: whoever writes first wins."""
    return Verdict.ABORT_FIRST


# --- the questions


class ListPrepared(NamedTuple):
    """Which branches are prepared here? The answer: a sequence of `Prepared`. An error ends the sweep."""


class ReadAlive(NamedTuple):
    """Which incarnations are alive? The answer: a container of 32 hex digits each."""


class LookUp(NamedTuple):
    """What does the log say? The answer: by uid, a `Said`; those of which it knows nothing are left out."""

    uids: tuple[bytes, ...]


class Abort(NamedTuple):
    """Write the abort of a transaction. The answer: does it stand?"""

    uid: bytes
    incarnation: str


class Settle(NamedTuple):
    """Commit or roll back a prepared branch. The answer doesn't matter: what is left is found by the next sweep."""

    xid: Any
    verdict: Verdict


Question = ListPrepared | ReadAlive | LookUp | Abort | Settle


def sweep(log: str, now: int) -> Generator[Question, Any, int]:
    """One sweep of one resource: answer each question by ``send``. Returns how many branches of this log were prepared.

    :param log: this log's id.
    :param now: microseconds, when the sweep begins.
    """
    listed = yield ListPrepared()
    ours = [xid for xid in listed if xid.log == log]
    if not ours:
        return 0
    alive = yield ReadAlive()
    found: Mapping[bytes, Said] = yield LookUp(tuple(dict.fromkeys(xid.uid for xid in ours)))
    for xid in ours:
        verdict = judge(xid, log=log, alive=alive, said=found.get(xid.uid, Said.NOTHING), now=now)
        if verdict is Verdict.ABORT_FIRST:
            stands = yield Abort(xid.uid, xid.incarnation)
            verdict = Verdict.ROLLBACK if stands else Verdict.LEAVE
        if verdict is not Verdict.LEAVE:
            yield Settle(xid, verdict)
    return len(ours)
