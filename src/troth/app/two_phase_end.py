"""What became of a two-phase transaction that code of this process opened: what it is told, and what it is raised."""

from __future__ import annotations

from typing import NoReturn

from msgspec import structs

from troth.app.transactions import UNHASHED, Seen
from troth.core.plan import Plan
from troth.core.state import Transaction
from troth.core.words import State
from troth.engine.live import Live, doc_of
from troth.engine.votes import Votes
from troth.ports.errors import AlreadyBegun, Cancelled, GidConflict, InDoubt, NotAccepted
from troth.ports.store import LedgerEntry, Record

PATTERN = "two_phase"
LOST = "its node stopped driving it before it was decided; what is prepared is rolled back by another one, or at the next start"


def seen_of(votes: Votes) -> Seen | None:
    """What can be told now; None: the gid is another's, which the log knows.

    A commit is told as soon as it is decided, durably: in this node's memory its outcome may be ahead of the log.

    :raises InDoubt: the decision's commit got no answer, and the log is gone.
    :raises NotAccepted: the log could not be written; all is rolled back.
    :raises Cancelled: this node was declared dead, or stopped, before the decision.
    """
    live = votes.live
    if live.lost is None:
        return Seen(told(live), cause_of(live))
    how, error = live.lost
    if how == "conflict":
        return None
    if live.durable is not None and live.durable.doc.recorded:
        return Seen(told(live), cause_of(live))
    if how == "in_doubt":
        raise InDoubt(live.gid)
    if how == "lost":
        raise Cancelled(live.gid, None, LOST)
    raise NotAccepted(f"{error}; all is rolled back", 1.0 if how == "refused" else 0.0) from error


def told(live: Live) -> Transaction:
    """The state that may be told."""
    doc = live.saga.doc
    durable = live.durable.doc if live.durable is not None else None
    if doc.phase is not State.CONFIRMING or doc.state is State.FAILED:
        return durable if doc.state is State.FAILED and durable is not None else doc
    if durable is not None and durable.state is State.CONFIRMED:
        return durable
    return structs.replace(doc, state=State.CONFIRMING, finished=0)


def cause_of(live: Live) -> BaseException | None:
    """The exception behind a vote that was no yes, where there is one."""
    for index, branch in enumerate(live.saga.doc.branches):
        if branch.id == live.saga.doc.step:
            return live.causes.get(index)
    return None


def refuse_taken(found: Record | LedgerEntry | None, gid: str, content: bytes, plan: Plan) -> None:
    """Raise if the log knows the gid.

    :raises AlreadyBegun: it was begun before: nothing is committed twice.
    :raises GidConflict: it belongs to something else.
    """
    if isinstance(found, LedgerEntry):
        if found.content not in (content, UNHASHED):
            raise GidConflict(gid, "it ended long ago")
        raise AlreadyBegun(gid, found.outcome)
    if isinstance(found, Record):
        raise_taken(doc_of(found), found.content, content, plan)


def raise_taken(doc: Transaction, stored: bytes, content: bytes, plan: Plan) -> NoReturn:
    """What is told about a gid that is there.

    :param stored: its content.
    :param content: what was to begin.
    """
    if doc.pattern != PATTERN or doc.definition != plan.name:
        raise GidConflict(doc.gid, f"it runs {doc.definition}")
    if stored != content:
        raise GidConflict(doc.gid, "its input differs")
    raise AlreadyBegun(doc.gid, str(doc.state) if doc.finished else None)
