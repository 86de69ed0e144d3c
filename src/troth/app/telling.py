"""What a caller is told about a transaction: its value, an outcome, or what it raises."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from troth.app.host import Definition
from troth.app.outcome import BranchOutcome, Outcome, TransactionView
from troth.app.tcc_holds import Holds
from troth.core.state import Transaction
from troth.core.words import Fate, State
from troth.engine.live import Live, doc_of
from troth.ports.errors import Cancelled, NeedsAttention
from troth.ports.store import Record

Reader = Definition | Holds
"""What reads a result: a saga's definition, or a TCC's holds."""


def outcome_of(doc: Transaction, definition: Reader | None) -> Outcome[Any]:
    """What became of it; never raises a business no."""
    result = decoded(doc, definition) if doc.state is State.CONFIRMED else None
    return Outcome(doc.gid, doc.state, result, doc.reason, branches_of(doc))


def branches_of(doc: Transaction) -> tuple[BranchOutcome, ...]:
    """Its branches, in the order of their calls."""
    return tuple([BranchOutcome(b.id, b.name, b.fate, b.reason) for b in doc.branches])


def value_of(doc: Transaction, definition: Reader | None, cause: BaseException | None = None) -> Any:
    """The saga's value.

    :raises Cancelled: if it was (or is being) cancelled.
    :raises NeedsAttention: if a person is needed.
    """
    if doc.state is State.CONFIRMED:
        return decoded(doc, definition)
    if doc.state is State.FAILED:
        raise NeedsAttention(doc.gid, open_branches(doc), doc.reason)
    raise Cancelled(doc.gid, doc.step or None, doc.reason) from cause


def decoded(doc: Transaction, definition: Reader | None) -> Any:
    """The result by the saga's annotation, or as plain JSON values where its code isn't here."""
    if isinstance(definition, Holds):
        return definition.of(doc)
    if definition is not None:
        return definition.decode_result(doc.result)
    return msgspec.json.decode(doc.result)


def open_branches(doc: Transaction) -> tuple[str, ...]:
    """The branches that are open, each with its reason."""
    if doc.phase is State.CANCELLING:
        open_fates: tuple[Fate, ...] = (Fate.DONE, Fate.CALLING, Fate.GAVE_UP)
    else:
        open_fates = (Fate.IDLE, Fate.HELD, Fate.CALLING, Fate.GAVE_UP)
    return tuple(
        f"{b.id} {b.fate}" + (f": {b.reason}" if b.reason else "") for b in doc.branches if b.stuck or b.fate in open_fates
    )


def cause_of(live: Live) -> BaseException | None:
    """The exception behind a cancelled transaction, where it happened in this process."""
    if live.saga.doc.state is State.CONFIRMED:
        return None
    if live.error is not None:
        return live.error
    for index, branch in enumerate(live.saga.doc.branches):
        if branch.id == live.saga.doc.step:
            return live.causes.get(index)
    return None


def view_of(record: Record) -> TransactionView:
    """A stored transaction for a reader."""
    doc = doc_of(record)
    return TransactionView(
        gid=doc.gid,
        definition=doc.definition,
        state=doc.state,
        reason=doc.reason,
        begun=moment(record.begun),
        updated=moment(record.updated),
        finished=moment(record.finished) if record.finished else None,
        waiting_for=record.waiting,
        branches=branches_of(doc),
    )


def moment(micros: int) -> datetime:
    """Microseconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(micros / 1e6, UTC)
