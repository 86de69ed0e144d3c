"""The barrier's verdict table: what a participant does with a call, from the rows it kept for the branch.

A participant keeps one row per (uid, branch, op) in its own database, written in the same local transaction as the
effect. Calls may be late, repeated, reordered or alone, so three cases need an answer besides the ordinary one
(named as in the TCC literature): the *duplicate* (the first answer again), the *empty compensation* (an undo whose do
never ran: nothing to run, and a tombstone so that the do never will) and *hanging* (a do that arrives after its undo:
refused by that tombstone).

Everything here is pure: `verdict` says what to do, `answer` what to reply when nothing is run, `settle` what to write
after the handler was run. A SQL participant and a simulated one with a dict of rows use the same three functions.
`troth.core.barrier_table` enumerates every cell.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw

from troth.core.reply import NULL, Reply
from troth.core.words import Op, Word

ALERT: Final = "alert: "
"""What the reason of a reply starts with when a person should look at the participant at once."""


class Outcome(StrEnum):
    """What a barrier row says about its op."""

    DONE = "done"
    REFUSED = "refused"
    ONGOING = "ongoing"
    SEALED = "sealed"
    """It never ran, and never will."""


class Row(msgspec.Struct, frozen=True):
    """One barrier row, without its key (uid, branch, op).

    :param payload_hash: `payload_hash` of the arguments it was called with; empty for a tombstone.
    :param result: the encoded result; NULL while there is none.
    :param reason: of a refusal; of a done try, the ids of the children that it called (`noted`).
    :param begun: the transaction's begin, in microseconds.
    :param log: the id of the log that the transaction is in.
    """

    outcome: Outcome
    payload_hash: bytes = b""
    result: Raw = NULL
    reason: str = ""
    begun: int = 0
    log: str = ""


class Kind(StrEnum):
    """What an op is to the barrier."""

    DO = "do"
    UNDO = "undo"
    CONFIRM = "confirm"
    SEAL = "seal"
    CHECK = "check"


class Verdict(StrEnum):
    """What to do with a call. Each cell of the table has exactly one."""

    RUN = "run"
    """Insert the own row, run the handler; see `settle`."""
    RUN_AGAIN = "run again"
    """The own row is ongoing: run the handler again; see `settle`."""
    RUN_ON_ORIGIN = "run with the origin's stored result"
    """Insert the own row, run the handler on what the origin resulted in; see `settle`."""
    ANSWER_STORED = "stored answer"
    CONFLICT = "conflict: same key, other payload"
    HANGING = "refused: sealed"
    EMPTY = "insert the origin as sealed; done, nothing run"
    NOTHING_TO_UNDO = "done, nothing run"
    NOTHING_TO_CONFIRM = "nothing run; refused: nothing to confirm, alert"
    OPPOSITE_WON = "nothing run; refused, alert"
    SEAL = "insert the origin as sealed; sealed"
    ANSWER_ORIGIN = "what the origin's row says"
    NOT_YET = "nothing written; ongoing"
    EVIDENCE_PURGED = "nothing run, nothing written; unknown: evidence purged"
    IMPOSSIBLE = "nothing run; unknown: a row that no barrier writes, alert"

    @property
    def runs(self) -> bool:
        """True if the handler is to be run."""
        return self in _RUNS

    @property
    def seals(self) -> bool:
        """True if the origin is to be inserted as sealed (a tombstone)."""
        return self in _SEALS


_RUNS: Final = frozenset({Verdict.RUN, Verdict.RUN_AGAIN, Verdict.RUN_ON_ORIGIN})
_SEALS: Final = frozenset({Verdict.EMPTY, Verdict.SEAL})

KINDS: Final[dict[Op, Kind]] = {
    Op.ACTION: Kind.DO,
    Op.TRY: Kind.DO,
    Op.PREPARE: Kind.DO,
    Op.DELIVER: Kind.DO,
    Op.COMPENSATE: Kind.UNDO,
    Op.CANCEL: Kind.UNDO,
    Op.ROLLBACK: Kind.UNDO,
    Op.CONFIRM: Kind.CONFIRM,
    Op.COMMIT: Kind.CONFIRM,
    Op.SEAL: Kind.SEAL,
    Op.CHECK: Kind.CHECK,
}
_ORIGINS: Final = {
    Op.COMPENSATE: Op.ACTION,
    Op.CANCEL: Op.TRY,
    Op.CONFIRM: Op.TRY,
    Op.ROLLBACK: Op.PREPARE,
    Op.COMMIT: Op.PREPARE,
}
_OPPOSITES: Final = {
    Op.CANCEL: Op.CONFIRM,
    Op.CONFIRM: Op.CANCEL,
    Op.ROLLBACK: Op.COMMIT,
    Op.COMMIT: Op.ROLLBACK,
}


def origin_of(op: Op, about: Op = Op.ACTION) -> Op:
    """The do-op that *op* refers to; a do is its own origin.

    :param about: for seal and check, which do they are about.
    """
    if KINDS[op] is Kind.DO:
        return op
    return _ORIGINS.get(op, about)


def opposite_of(op: Op) -> Op | None:
    """Confirm's undo and undo's confirm, or None where the pattern has no such pair."""
    return _OPPOSITES.get(op)


def payload_hash(args: bytes | Raw) -> bytes:
    """16 bytes that tell two payloads of one key apart."""
    return hashlib.blake2b(bytes(args), digest_size=16).digest()


def predates(begun: int, mark: int) -> bool:
    """True if a call of a transaction begun at *begun* is older than the purge mark of its log."""
    return begun < mark


def purgeable(row: Row, log: str, mark: int) -> bool:
    """True if *log*, whose low-water mark is *mark*, may purge the row: its own rows only, never by age (P11)."""
    return row.log == log and row.begun < mark


# -- the verdict --------------------------------------------------------------------------------------------------


def verdict(
    op: Op,
    own: Row | None,
    origin: Row | None = None,
    opposite: Row | None = None,
    *,
    same_payload: bool = True,
    older: bool = False,
) -> Verdict:
    """What to do with a call.

    :param own: the row of (uid, branch, op); for seal and check, which have none, ignored.
    :param origin: the row of `origin_of` the op; for a do, ignored (it is the own row).
    :param opposite: the row of `opposite_of` the op, if there is such an op.
    :param same_payload: the own row's payload hash equals the call's.
    :param older: the call predates the purge mark of its log; see `predates`.
    """
    kind = KINDS[op]
    if kind is Kind.DO:
        origin = opposite = None
    elif kind in (Kind.SEAL, Kind.CHECK):
        own = opposite = None
    if evidence_purged(kind, own, origin, older):
        return Verdict.EVIDENCE_PURGED
    if kind is Kind.DO:
        return verdict_on_do(own, same_payload)
    if kind in (Kind.SEAL, Kind.CHECK):
        return verdict_on_question(kind, origin)
    if opposite is not None:
        return Verdict.OPPOSITE_WON
    if own is not None:
        return verdict_on_repeat(own)
    return verdict_on_undo(origin) if kind is Kind.UNDO else verdict_on_confirm(origin)


def evidence_purged(kind: Kind, own: Row | None, origin: Row | None, older: bool) -> bool:
    """No row can mean that it never happened, or that its row was purged: an old call can't tell (P5, A7)."""
    return older and own is None and origin is None


def verdict_on_do(own: Row | None, same_payload: bool) -> Verdict:
    """A do: the first runs, one after its undo hangs, others are duplicates."""
    if own is None:
        return Verdict.RUN
    if hanging(own):
        return Verdict.HANGING
    return verdict_on_duplicate(own, same_payload)


def hanging(own: Row) -> bool:
    """True if the do arrives after it was made impossible, by its undo or by a seal."""
    return own.outcome is Outcome.SEALED


def verdict_on_duplicate(own: Row, same_payload: bool) -> Verdict:
    """A do that was called before: the first answer again, unless it was only begun (A5)."""
    if not same_payload:
        return Verdict.CONFLICT
    return Verdict.RUN_AGAIN if own.outcome is Outcome.ONGOING else Verdict.ANSWER_STORED


def verdict_on_repeat(own: Row) -> Verdict:
    """An undo or confirm that was called before: its row is done or ongoing, for anything else rolls it back."""
    if own.outcome is Outcome.DONE:
        return Verdict.ANSWER_STORED
    return Verdict.RUN_AGAIN if own.outcome is Outcome.ONGOING else Verdict.IMPOSSIBLE


def verdict_on_undo(origin: Row | None) -> Verdict:
    """The first undo: it runs only on what happened, or began to."""
    if origin is None:
        return empty_undo()
    return Verdict.RUN_ON_ORIGIN if owes_undo(origin) else Verdict.NOTHING_TO_UNDO


def empty_undo() -> Verdict:
    """An undo whose do never ran: nothing to run, and the do is made impossible."""
    return Verdict.EMPTY


def owes_undo(origin: Row) -> bool:
    """True if the origin left an effect: done, or ongoing. A refusal left none (A4)."""
    return origin.outcome in (Outcome.DONE, Outcome.ONGOING)


def verdict_on_confirm(origin: Row | None) -> Verdict:
    """The first confirm: never without its try (A5, A8)."""
    if origin is not None and origin.outcome is Outcome.DONE:
        return Verdict.RUN_ON_ORIGIN
    return Verdict.NOTHING_TO_CONFIRM


def verdict_on_question(kind: Kind, origin: Row | None) -> Verdict:
    """Seal and check: the origin's row says; with none, a seal makes it impossible and a check can only say not yet."""
    if origin is None:
        return Verdict.SEAL if kind is Kind.SEAL else Verdict.NOT_YET
    return Verdict.NOT_YET if origin.outcome is Outcome.ONGOING else Verdict.ANSWER_ORIGIN


# -- what to reply, what to write ---------------------------------------------------------------------------------


def answer(judged: Verdict, op: Op, own: Row | None, origin: Row | None = None) -> Reply:
    """The reply of a verdict that runs nothing.

    :raises ValueError: if the verdict runs the handler.
    """
    if judged.runs:
        raise ValueError(f"the verdict {judged.value!r} is answered by the handler, not by the table")
    fixed = _ANSWERS.get(judged)
    if fixed is not None:
        return fixed
    row = own if judged is Verdict.ANSWER_STORED else origin
    if row is None:
        raise ValueError(f"the verdict {judged.value!r} needs the row that it quotes")
    return quoted(row, op)


def quoted(row: Row, op: Op) -> Reply:
    """What a row says, as a reply to *op*; a sealed one says ``sealed`` to a seal and a final no to all others."""
    match row.outcome:
        case Outcome.DONE:
            return Reply(Word.DONE, result=row.result, children=tuple(row.reason.split("\n")) if row.reason else ())
        case Outcome.REFUSED:
            return Reply(Word.REFUSED, reason=row.reason)
        case Outcome.ONGOING:
            return Reply(Word.ONGOING)
        case Outcome.SEALED:
            return Reply(Word.SEALED) if op is Op.SEAL else _ANSWERS[Verdict.HANGING]


_ANSWERS: Final[dict[Verdict, Reply]] = {
    Verdict.CONFLICT: Reply(
        Word.CONFLICT, reason="the same branch was called before with other arguments", retry=False
    ),
    Verdict.HANGING: Reply(Word.REFUSED, reason="sealed: the branch was undone or given up before this call arrived"),
    Verdict.EMPTY: Reply(Word.DONE),
    Verdict.NOTHING_TO_UNDO: Reply(Word.DONE),
    Verdict.NOTHING_TO_CONFIRM: Reply(
        Word.REFUSED, reason=ALERT + "nothing to confirm: its try is not done here", retry=False
    ),
    Verdict.OPPOSITE_WON: Reply(
        Word.REFUSED, reason=ALERT + "the branch was already ended the other way here", retry=False
    ),
    Verdict.SEAL: Reply(Word.SEALED),
    Verdict.NOT_YET: Reply(Word.ONGOING, reason="not yet"),
    Verdict.EVIDENCE_PURGED: Reply(
        Word.UNKNOWN,
        reason="evidence purged: the call is older than this database's purge mark and no row tells what became of it",
        retry=False,
    ),
    Verdict.IMPOSSIBLE: Reply(
        Word.UNKNOWN, reason=ALERT + "the barrier row holds an outcome that no barrier writes", retry=False
    ),
}


def tombstone(begun: int, log: str) -> Row:
    """The origin row of a branch made impossible."""
    return Row(Outcome.SEALED, begun=begun, log=log)


def noted(outcome: Outcome, reply: Reply) -> str:
    """What a row's reason holds: why it was refused; of a done try its kept run's children, a line each (P15)."""
    done = "\n".join(reply.children)
    return done if outcome is Outcome.DONE else reply.reason if outcome is Outcome.REFUSED else ""


def stored_result(op: Op, origin: Row | None, told: Raw | None) -> Raw | None:
    """What the handler is given as the origin's result.

    :param told: the result that came with the call, used where the rows don't have it.
    """
    if KINDS[op] is Kind.DO:
        return None
    if origin is not None and origin.outcome is Outcome.DONE:
        return origin.result
    return told


class Keep(StrEnum):
    """How much of the local transaction survives."""

    EFFECT = "effect"
    """Commit the effect and the row."""
    ROW = "row"
    """Roll back to the savepoint before the handler; commit the row alone."""
    NOTHING = "nothing"
    """Roll everything back."""


class Settlement(NamedTuple):
    """What to do after the handler was run.

    :param outcome: what the own row becomes (None: as it was).
    :param seal_origin: the origin's row becomes sealed.
    """

    keep: Keep
    reply: Reply
    outcome: Outcome | None = None
    seal_origin: bool = False


def settle(op: Op, own: Row | None, origin: Row | None, heard: Reply) -> Settlement:
    """What to keep, write and answer once the handler has ended.

    :param own: the own row as it was before the call.
    :param heard: done with the result, or what the handler's exception means.
    """
    closes = KINDS[op] is Kind.UNDO and closes_origin(origin)
    match heard.word:
        case Word.DONE:
            return Settlement(Keep.EFFECT, heard, Outcome.DONE, closes)
        case Word.ONGOING:
            return Settlement(Keep.EFFECT, heard, Outcome.ONGOING, closes)
        case Word.REFUSED if KINDS[op] is Kind.DO:
            return settle_refusal(own, heard)
        case Word.NOT_DONE if own is not None:
            # It began in an earlier call and that effect is kept: "known not to have happened" would be a lie.
            return Settlement(Keep.NOTHING, msgspec.structs.replace(heard, word=Word.UNKNOWN))
        case _:
            return Settlement(Keep.NOTHING, heard)


def closes_origin(origin: Row | None) -> bool:
    """True if an undo must close its origin: an ongoing one would be run again by a late do (P6)."""
    return origin is not None and origin.outcome is Outcome.ONGOING


def settle_refusal(own: Row | None, heard: Reply) -> Settlement:
    """A do's refusal is kept, so that a duplicate is refused too (A4); one that already began can't refuse."""
    if own is None:
        return Settlement(Keep.ROW, heard, Outcome.REFUSED)
    reason = ALERT + f"refused after it had answered ongoing; it stays ongoing and its undo runs: {heard.reason}"
    return Settlement(Keep.NOTHING, Reply(Word.UNKNOWN, reason=reason, cause=heard.cause))
