"""A participant with a dict of rows, on the pure table alone: what the SQL protocol must agree with."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Raw

from troth.core import barrier
from troth.core.barrier import Keep, Outcome, Row
from troth.core.reply import Reply
from troth.core.words import Op, Word
from troth.ports.caller import Call

Key = tuple[str, Op]


class Ending(NamedTuple):
    """How an effect ends."""

    word: Word
    result: bytes = b"null"
    reason: str = ""


class Simulated:
    """Rows, marks and notes of effects."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.marks: dict[str, int] = {}
        self.notes: list[tuple[str, str]] = []

    def ask(self, call: Call, note: str, ending: Ending) -> Reply:
        """Answer a call whose effect would leave the note and end like that."""
        own_key, origin_key = (call.branch, call.op), (call.branch, barrier.origin_of(call.op))
        opposite_op = barrier.opposite_of(call.op)
        own, origin = self.rows.get(own_key), self.rows.get(origin_key)
        opposite = self.rows.get((call.branch, opposite_op)) if opposite_op else None
        payload = barrier.payload_hash(call.args)
        judged = barrier.verdict(
            call.op, own, origin, opposite,
            same_payload=own is None or own.payload_hash == payload,
            older=barrier.predates(call.begun, self.marks.get(call.log, 0)),
        )  # fmt: skip
        if not judged.runs:
            if judged.seals:
                self.rows[origin_key] = barrier.tombstone(call.begun, call.log)
            return barrier.answer(judged, call.op, own, origin)
        heard = Reply(ending.word, result=Raw(ending.result), reason=ending.reason)
        settled = barrier.settle(call.op, own, None if own_key == origin_key else origin, heard)
        if settled.keep is Keep.EFFECT:
            self.notes.append((call.branch, note))
        if settled.outcome is not None:
            result = Raw(ending.result) if settled.outcome is Outcome.DONE else Raw(b"null")
            self.rows[own_key] = Row(settled.outcome, payload, result, settled.reply.reason, call.begun, call.log)
        if settled.seal_origin and origin is not None:
            self.rows[origin_key] = msgspec.structs.replace(origin, outcome=Outcome.SEALED)
        return settled.reply

    def purge(self, log: str, mark: int) -> None:
        """Purge a log's rows."""
        self.marks[log] = max(mark, self.marks.get(log, 0))
        self.rows = {key: row for key, row in self.rows.items() if not barrier.purgeable(row, log, mark)}
