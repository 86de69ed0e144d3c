"""Participants: services with a database each, whose guarded steps stand behind the barrier's pure table."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import Raw

from troth.core import barrier
from troth.core.barrier import Keep, Kind, Outcome, Row
from troth.core.plan import StepSpec
from troth.core.reply import Reply
from troth.core.retry import micros
from troth.core.words import Op, Word
from troth.ports.caller import Call
from troth.testing.simulation.catalog import ROUTES, STEPS
from troth.testing.simulation.chance import key_of
from troth.testing.simulation.world import SECOND, World

MUST: Final = (Op.COMPENSATE, Op.CONFIRM, Op.CANCEL)
"""Ops that may not refuse."""
EXPIRY = 12 * SECOND
"""A bare step with a check knows no request that is older: then it never happens."""


LATER: Final = Reply(Word.ONGOING, reason="it calls others first")
"""The reply is not made yet: this try calls further participants (`nesting`)."""


class Effect(NamedTuple):
    """What a call did to a service's data.

    :param whole: False: begun only; the op answered ``ongoing``.
    """

    at: int
    branch: str
    op: Op
    step: str
    whole: bool


class Ledger:
    """All effects of all services, by transaction: what the checkers hold against the log."""

    def __init__(self) -> None:
        self.effects: dict[bytes, list[Effect]] = {}
        self.answers: dict[tuple[bytes, str, Op], Reply] = {}
        self.kept: dict[tuple[bytes, str], frozenset[str]] = {}
        """What the kept run of a try called, by (uid, branch)."""

    def happened(self, uid: bytes, branch: str, op: Op) -> bool:
        """Is there an effect of that op, perhaps only begun?"""
        return any(e.branch == branch and e.op is op for e in self.effects.get(uid, ()))

    def add(self, uid: bytes, effect: Effect) -> None:
        """An effect happened."""
        self.effects.setdefault(uid, []).append(effect)


class Service:
    """One participant: rows, purge marks, and what its handlers do.

    :param refusals: step name -> probability that its action says no.
    :param purges: probability that a request is followed by a purge.
    """

    def __init__(self, world: World, number: int, ledger: Ledger, refusals: dict[str, float], purges: float) -> None:
        self.world = world
        self.number = number
        self.ledger = ledger
        self.refusals = refusals
        self.purges = purges
        self.down_until = 0
        self.closed_until = 0
        self.stuck = False
        self.rows: dict[tuple[bytes, str, Op], Row] = {}
        self.told: dict[str, int] = {}
        """The highest low-water mark each log told."""
        self.purged: dict[str, int] = {}
        self.busy: dict[tuple[bytes, str, Op], int] = {}
        """Until when a handler answers ``ongoing``."""
        self.expired: set[tuple[bytes, str]] = set()
        self.results: dict[tuple[bytes, str], Raw] = {}
        """What bare steps resulted in last."""

    def serve(self, call: Call, fault: str, *, alone: bool) -> Reply | None:
        """Do a request; None: it is never answered.

        :param alone: no other copy of this request is under way; else nobody may answer "not done" for all of them.
        """
        spec = STEPS[call.name]
        if fault == "participant_down":
            self.down_until = self.world.now + self.world.spell(30_000, 3 * SECOND, "participant down", self.number)
            return None
        if fault == "stuck":
            self.stuck = True
        if self.stuck:
            return None
        reply = self.guarded(call, fault) if spec.guarded else self.bare(call, spec, fault)
        if reply is LATER:
            return reply
        if reply.word is Word.NOT_DONE and not alone:
            reply = Reply(Word.UNKNOWN, reason=reply.reason)
        self.remember_answer(call, reply)
        if self.world.chance.happens(self.purges, "purge", self.number):
            self.purge()
        return None if fault == "crash_after_effect" else reply

    def close(self, until: int) -> None:
        """A long outage, from some time on: far beyond what retries stand."""
        self.closed_until = until
        self.world.after(self.world.delay(2 * SECOND, 5 * SECOND, "closes", self.number), None, self._closes)

    def _closes(self) -> None:
        self.down_until = self.closed_until

    # --- behind the barrier

    def guarded(self, call: Call, fault: str) -> Reply:
        """The barrier: verdict, handler, settlement, as the shipped table says."""
        log, uid, branch, op = call.log, call.uid, call.branch, call.op
        if call.low_water > self.told.get(log, 0):
            self.told[log] = call.low_water
        own = self.rows.get((uid, branch, op))
        origin = self.rows.get((uid, branch, barrier.origin_of(op)))
        hashed = barrier.payload_hash(call.args)
        older = barrier.predates(call.begun, self.purged.get(log, 0))
        same = own is None or own.payload_hash == hashed
        other = barrier.opposite_of(op)
        opposite = self.rows.get((uid, branch, other)) if other else None
        judged = barrier.verdict(op, own, origin, opposite, same_payload=same, older=older)
        self.note_verdict(judged, call)
        if not judged.runs:
            if judged.seals:
                self.rows[uid, branch, barrier.origin_of(op)] = barrier.tombstone(call.begun, log)
            return barrier.answer(judged, op, own, origin)
        heard = self.handler(call, fault)
        if heard.word is Word.DONE and op is Op.TRY and call.name in ROUTES:
            return LATER
        return self.keep(call, heard)

    def keep(self, call: Call, heard: Reply) -> Reply:
        """The handler has ended: keep of it what the table says."""
        log, uid, branch, op = call.log, call.uid, call.branch, call.op
        own = self.rows.get((uid, branch, op))
        origin = self.rows.get((uid, branch, barrier.origin_of(op)))
        settled = barrier.settle(op, own, origin, heard)
        reply, outcome = settled.reply, settled.outcome
        if settled.keep is Keep.EFFECT:
            self.ledger.add(uid, Effect(self.world.now, branch, op, call.name, outcome is Outcome.DONE))
            if op is Op.TRY and outcome is Outcome.DONE:
                self.ledger.kept[uid, branch] = frozenset(reply.children)
        if settled.keep is not Keep.NOTHING and outcome is not None:
            noted = barrier.noted(outcome, reply)
            hashed = barrier.payload_hash(call.args)
            self.rows[uid, branch, op] = Row(outcome, hashed, reply.result, noted, call.begun, log)
        if settled.seal_origin:
            self.rows[uid, branch, barrier.origin_of(op)] = barrier.tombstone(call.begun, log)
        return settled.reply

    def note_verdict(self, judged: barrier.Verdict, call: Call) -> None:
        """Rare verdicts are counted."""
        tcc = call.op in (Op.TRY, Op.CONFIRM, Op.CANCEL)
        names = {
            barrier.Verdict.HANGING: "a try comes after its cancel" if tcc else "an action comes after its compensation",
            barrier.Verdict.EMPTY: "a cancel comes before its try" if tcc else "a compensation comes before its action",
            barrier.Verdict.NOTHING_TO_CONFIRM: "a confirm comes before its try",
            barrier.Verdict.EVIDENCE_PURGED: "a call comes after the purge",
            barrier.Verdict.SEAL: "a pivot is sealed",
            barrier.Verdict.ANSWER_STORED: "a duplicate gets the first answer",
            barrier.Verdict.NOTHING_TO_UNDO: "a compensation finds nothing to undo",
        }
        if judged in names:
            self.world.sometimes(names[judged])
        if judged is barrier.Verdict.CONFLICT:
            self.world.broken("S8", f"{call.branch} of {call.gid} was called with other arguments than before")

    def handler(self, call: Call, fault: str) -> Reply:
        """The user's code."""
        op = call.op
        where = (call.uid, call.branch, op)
        if fault == "handler_error":
            return Reply(Word.NOT_DONE, reason="its local transaction was rolled back")
        if fault == "ongoing":
            self.busy[where] = self.world.now + self.world.spell(1_000, 2 * SECOND, "busy for", self.number)
        if self.world.now < self.busy.get(where, 0):
            return Reply(Word.ONGOING, after=0.05)
        if fault == "wrong_answer" and op in MUST:
            return Reply(Word.REFUSED, reason="refused where it must not")
        key = key_of(f"{call.gid}/{call.branch}")
        refusing = self.refusals.get(call.name, 0.0) * (0.3 if where in self.busy else 1.0)
        if op in (Op.ACTION, Op.TRY) and self.world.chance.happens(refusing, "refuses", key):
            return Reply(Word.REFUSED, reason="no")
        return Reply(Word.DONE, result=Raw(b"%d" % (self.world.chance.bits("result", key) >> 44)))

    def purge(self) -> None:
        """Drop the rows that each log's mark allows."""
        gone = []
        for log, mark in self.told.items():
            self.purged[log] = max(mark, self.purged.get(log, 0))
            gone += [where for where, row in self.rows.items() if barrier.purgeable(row, log, self.purged[log])]
        for where in gone:
            self.rows.pop(where, None)
        if gone:
            self.world.sometimes("barrier rows are purged")

    # --- bare

    def bare(self, call: Call, spec: StepSpec, fault: str) -> Reply:
        """No barrier: each call does it again."""
        uid, branch, op = call.uid, call.branch, call.op
        if op is Op.CHECK:
            return self.check(call)
        if op is Op.ACTION and spec.checkable and self.is_expired(call):
            return Reply(Word.REFUSED, reason="the reference has expired")
        if fault == "handler_error":
            return Reply(Word.UNKNOWN, reason="an exception, and nobody knows how far it got")
        if fault == "ongoing":
            fault = ""
        heard = self.handler(call, fault)
        if heard.word is Word.DONE:
            self.ledger.add(uid, Effect(self.world.now, branch, op, call.name, True))
            self.results[uid, branch] = heard.result
        return heard

    def is_expired(self, call: Call) -> bool:
        """Is the reference too old to be acted on, or was it said to be?"""
        if self.world.now > call.begun + EXPIRY + micros(call.timeout):
            self.expired.add((call.uid, call.branch))
        return (call.uid, call.branch) in self.expired

    def check(self, call: Call) -> Reply:
        """Query by reference: done, not yet, or (when the reference has expired) never."""
        for effect in self.ledger.effects.get(call.uid, ()):
            if effect.branch == call.branch and effect.op is Op.ACTION:
                self.world.sometimes("a check finds the effect")
                return Reply(Word.DONE, result=self.results[call.uid, call.branch])
        if self.is_expired(call):
            return Reply(Word.REFUSED, reason="never happened")
        return Reply(Word.ONGOING, after=0.5)

    # --- S4

    def remember_answer(self, call: Call, reply: Reply) -> None:
        """S4: a guarded op's first definite answer is its answer for ever."""
        if not STEPS[call.name].guarded or call.op in (Op.CHECK, Op.SEAL) or barrier.KINDS[call.op] is not Kind.DO:
            return
        if reply.word not in (Word.DONE, Word.REFUSED):
            return
        if reply.word is Word.DONE and not self.ledger.happened(call.uid, call.branch, call.op):
            self.world.broken("S5", f"{call.op} of {call.branch} of {call.gid} answered done, and nothing happened")
        where = (call.uid, call.branch, call.op)
        first = self.ledger.answers.setdefault(where, reply)
        if first.word is not reply.word or bytes(first.result) != bytes(reply.result):
            self.world.broken("S4", f"{call.branch} of {call.gid} answered {first.word}, then {reply.word}")
