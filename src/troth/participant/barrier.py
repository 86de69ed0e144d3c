"""The barrier's protocol over SQL: the effect at most once, inside the participant's own database.

Written once, as generators that yield `Request`s and are driven in either colour. The order of the statements matters:

* *Insert first*, then look at the affected count: of two duplicates at once the second waits in its insert until the
  first has ended, and then reads its row. An undo, a confirm and a seal insert at the origin's key first, so that they
  wait for a do that is still running, and whoever comes to a branch later waits for them.
* The effect runs inside a savepoint of the same local transaction: a refusal goes back to it and keeps the row.
* The rules themselves are `troth.core.barrier`'s; here is only how rows are read and written.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from troth.core import barrier as rules
from troth.core.barrier import ALERT, Keep, Kind, Outcome, Row, Verdict
from troth.core.reply import NULL, Reply
from troth.core.words import Op, Word
from troth.participant import statements as sql
from troth.participant.meaning import PROGRAMMING_ERRORS, in_words, reply_to
from troth.ports.caller import Call
from troth.ports.database import (
    Answer,
    Begin,
    Commit,
    Discard,
    Driver,
    Execute,
    Faults,
    Pause,
    Rollback,
    RunEffect,
    Script,
)  # fmt: skip
from troth.ports.errors import ConfigurationError
from troth.wire.reason import shortened

TRIES: Final = 6
"""Runs of the whole local transaction in one call: conflicts with others are ordinary, endless ones are not."""
PAUSE: Final = 0.01
"""Seconds before the second run at most; doubled for each further one."""
SAVEPOINT: Final = "SAVEPOINT troth_effect"
RELEASE: Final = "RELEASE SAVEPOINT troth_effect"
BACK: Final = "ROLLBACK TO SAVEPOINT troth_effect"


class _AgainError(Exception):
    """Something changed under us; the whole local transaction is run again."""


class _GoneError(Exception):
    """Our local transaction has ended although we did not end it.

    :param heard: what the effect answered.
    """

    def __init__(self, heard: Reply) -> None:
        super().__init__("the local transaction is gone")
        self.heard = heard


class Inspection:
    """Whether the tables of a database were looked at, once: somebody else may have made them, and wrongly."""

    def __init__(self) -> None:
        self.passed = False


class Conversation:
    """One call's conversation with the database.

    :param driver: whose dialect is spoken.
    :param refuse_on: the user's business exceptions.
    :param no_retry: exceptions after which the same call can't do better.
    :param inspection: whether the tables were looked at.
    """

    def __init__(
        self,
        call: Call,
        driver: Driver,
        *,
        refuse_on: tuple[type[BaseException], ...] = (),
        no_retry: tuple[type[BaseException], ...] = (),
        inspection: Inspection | None = None,
    ) -> None:
        self.call = call
        self.inspection = inspection or Inspection()
        self.faults: Faults = driver.faults
        self.driver = driver
        self.words = sql.statements(driver.dialect)
        self.refuse_on = refuse_on
        self.no_retry = no_retry or PROGRAMMING_ERRORS
        self.kind = rules.KINDS[call.op]
        self.origin_op = rules.origin_of(call.op)
        self.payload = rules.payload_hash(call.args)
        self.committing = False
        self.called = False
        self.began = False

    # -- running it again ---------------------------------------------------------------------------------------

    def run(self) -> Script[Reply]:
        """The whole conversation: one reply."""
        reply = yield from self.answered()
        if self.began and reply.word is Word.NOT_DONE:
            # An earlier call began it and that effect is kept: "known not to have happened" would be a lie.
            return msgspec.structs.replace(reply, word=Word.UNKNOWN)
        return reply

    def answered(self) -> Script[Reply]:
        """At most `TRIES` local transactions, one answer."""
        last: Exception | None = None
        for attempt in range(TRIES):
            if attempt:
                yield Pause(PAUSE * 2**attempt)
            self.committing = self.called = False
            try:
                if self.driver.dialect.inspect and not self.inspection.passed:
                    yield from self.inspected()
                yield Begin(write=self.kind is not Kind.CHECK, patience=self.call.timeout)
                self.words = sql.statements(self.driver.dialect)
                return (yield from self.once())
            except Exception as error:
                last = error
                reply = yield from self.failed(error)
                if reply is not None:
                    return reply
        reason = f"given up after {TRIES} local transactions, each rolled back: {in_words(last) if last else ''}"
        return Reply(Word.NOT_DONE, reason=shortened(reason), cause=last)

    def failed(self, error: Exception) -> Script[Reply | None]:
        """What an error outside the effect means; None: run it again. The connection is given back or closed."""
        if self.committing:
            yield Discard()
            if self.faults.rolled_back(error):
                return None
            reason = f"the database's answer to COMMIT was no yes: {in_words(error)}"
            return Reply(Word.UNKNOWN, reason=shortened(reason), cause=error)
        if isinstance(error, _GoneError):
            return (yield from self.gone(error.heard))
        yield Rollback()
        if self.faults.no_table(error) and not self.called:
            error = (yield from self.tables_made()) or _AgainError()
        if isinstance(error, _AgainError) or self.faults.transient(error):
            return None
        if isinstance(error, sql.ForeignRowError):
            return rules.answer(Verdict.IMPOSSIBLE, self.call.op, None)
        if not self.called and self.faults.lost(error):
            return None
        if not self.called and self.faults.locked_out(error):
            reason = "another call to the same branch has not ended yet"
            return Reply(Word.UNKNOWN, reason=reason, cause=error)
        return Reply(Word.NOT_DONE, reason=in_words(error), retry=not isinstance(error, ConfigurationError), cause=error)

    def tables_made(self) -> Script[Exception | None]:
        """Create the tables; the error if that failed."""
        try:
            yield from create_tables(self.driver, self.call.timeout)
        except Exception as error:
            return error
        return None

    def inspected(self) -> Script[None]:
        """Look at the tables in a local transaction of its own, so that it makes no snapshot for another.

        :raises ConfigurationError: if they would answer wrongly.
        """
        yield Begin(write=False, patience=self.call.timeout)
        answer: Answer = yield Execute(self.driver.dialect.inspect)
        yield Rollback()
        if answer.rows:
            flaws = "; ".join(str(row[0]) for row in answer.rows)
            raise ConfigurationError(f"table troth_barrier can't tell one branch from another: {flaws}")
        self.inspection.passed = True

    # -- one local transaction ----------------------------------------------------------------------------------

    def once(self) -> Script[Reply]:
        """One local transaction: look, judge, run, write, commit."""
        if self.kind is Kind.DO:
            return (yield from self.do())
        if self.kind is Kind.CHECK:
            origin = yield from self.look(self.origin_op)
            return (yield from self.conclude((yield from self.judge(None, origin)), None, origin))
        return (yield from self.after_origin())

    def do(self) -> Script[Reply]:
        """A do: its own row is the origin's."""
        if (yield from self.insert(self.call.op, Outcome.DONE)):
            judged = yield from self.judge(None)
            if judged.runs:
                return (yield from self.perform(None, None))
            return (yield from self.conclude(judged, None, None))
        own = yield from self.look(self.call.op, lock=True)
        if own is None:
            raise _AgainError("the row was purged between two statements")
        judged = yield from self.judge(own)
        return (yield from self.conclude(judged, own, None))

    def after_origin(self) -> Script[Reply]:
        """An undo, confirm or seal: the origin's key first, by its tombstone."""
        origin: Row | None = None
        inserted = yield from self.insert(self.origin_op, Outcome.SEALED)
        if not inserted:
            origin = yield from self.look(self.origin_op, lock=True)
            if origin is None:
                raise _AgainError("the row was purged between two statements")
        own = opposite = None
        if self.kind is not Kind.SEAL:
            own = yield from self.look(self.call.op)
            other = rules.opposite_of(self.call.op)
            opposite = (yield from self.look(other)) if other else None
        judged = yield from self.judge(own, origin, opposite)
        if judged is Verdict.RUN_ON_ORIGIN and not (yield from self.insert(self.call.op, Outcome.DONE)):
            raise _AgainError("the row was written between two statements")
        return (yield from self.conclude(judged, own, origin))

    def conclude(self, judged: Verdict, own: Row | None, origin: Row | None) -> Script[Reply]:
        """Do what the verdict says."""
        if judged.runs:
            return (yield from self.perform(own, origin))
        if judged.seals:
            yield from self.commit()
        else:
            yield Rollback()
        return rules.answer(judged, self.call.op, own, origin)

    def perform(self, own: Row | None, origin: Row | None) -> Script[Reply]:
        """Run the effect inside its savepoint, then write, keep and answer what `rules.settle` says."""
        self.began = own is not None
        stored = rules.stored_result(self.call.op, origin, self.call.result)
        yield Execute(SAVEPOINT)
        heard = yield from self.effect(stored)
        settled = rules.settle(self.call.op, own, origin, heard)
        if settled.keep is Keep.EFFECT:
            yield from self.still_ours(RELEASE, heard)
        else:
            yield from self.still_ours(BACK, heard)
        if settled.keep is Keep.NOTHING:
            yield Rollback()
            return settled.reply
        fresh = own is None and settled.outcome is Outcome.DONE and heard.result == NULL and not heard.children
        if settled.outcome is not None and not fresh:  # it was inserted as done, with no result
            yield from self.write(settled.outcome, settled.reply)
        if settled.seal_origin:
            yield Execute(sql.SEAL_ROW, self.key(self.origin_op))
        yield from self.commit()
        return settled.reply

    def effect(self, stored: Raw | None) -> Script[Reply]:
        """The user's function: its result as done, its exception as what it means. A try that called others gives a `Reply`."""
        self.called = True
        try:
            result = yield RunEffect(stored)
        except Exception as error:
            if self.faults.transient(error):
                raise
            return reply_to(error, local_transaction=True, refuse_on=self.refuse_on, no_retry=self.no_retry)
        return result if isinstance(result, Reply) else Reply(Word.DONE, result=result)

    def still_ours(self, statement: str, heard: Reply) -> Script[None]:
        """End the savepoint. If it isn't there, the effect has ended the transaction it was in."""
        try:
            yield Execute(statement)
        except Exception as error:
            if self.faults.lost(error) or self.faults.transient(error) or self.faults.poisoned(error):
                raise
            raise _GoneError(heard) from error

    def gone(self, heard: Reply) -> Script[Reply]:
        """The transaction was gone at the end. A database may end one itself, on an error: then no row is there."""
        yield Discard()
        by_itself = heard.cause is not None and self.faults.own(heard.cause)
        if by_itself and (yield from self.no_row()):
            return msgspec.structs.replace(heard, word=Word.NOT_DONE)
        reason = (
            f"{ALERT}the local transaction of {self.call.name} was ended inside the step: nobody knows what was kept."
            f" Take COMMIT, ROLLBACK and what implies them out of the step. {heard.reason}"
        )
        return Reply(Word.UNKNOWN, reason=shortened(reason), retry=False, cause=heard.cause)

    def no_row(self) -> Script[bool]:
        """True if a look in a new local transaction finds no own row."""
        try:
            yield Begin(write=False, patience=self.call.timeout)
            row = yield from self.look(self.call.op)
        except Exception:
            yield Discard()
            return False
        yield Rollback()
        return row is None

    # -- rows ---------------------------------------------------------------------------------------------------

    def key(self, op: Op) -> tuple[bytes, str, str]:
        """A row's key: uid, branch, op."""
        return (self.call.uid, self.call.branch, op.value)

    def insert(self, op: Op, outcome: Outcome) -> Script[bool]:
        """Insert a row unless there is one; it waits for a local transaction that holds the same key."""
        payload = b"" if outcome is Outcome.SEALED else self.payload
        params = (*self.key(op), outcome.value, payload, self.call.begun, self.call.log)
        answer: Answer = yield Execute(self.words.insert, params)
        return answer.changed == 1

    def look(self, op: Op, *, lock: bool = False) -> Script[Row | None]:
        """Read a row."""
        answer: Answer = yield Execute(self.words.look_and_lock if lock else self.words.look, self.key(op))
        return sql.row_from(answer.rows[0]) if answer.rows else None

    def write(self, outcome: Outcome, reply: Reply) -> Script[None]:
        """Write the own row's outcome, with its result or reason."""
        result = bytes(reply.result) if outcome is Outcome.DONE else None
        params = (outcome.value, self.payload, result, rules.noted(outcome, reply), *self.key(self.call.op))
        yield Execute(sql.UPDATE, params)

    def judge(self, own: Row | None, origin: Row | None = None, opposite: Row | None = None) -> Script[Verdict]:
        """The verdict. The purge mark is read where there is no row, and after the insert: a purge that we waited for
        has moved the mark before."""
        mark = 0
        if own is None and origin is None:
            mark = yield from self.mark()
        same = own is None or own.payload_hash == self.payload
        older = rules.predates(self.call.begun, mark)
        return rules.verdict(self.call.op, own, origin, opposite, same_payload=same, older=older)

    def mark(self) -> Script[int]:
        """The purge mark of the call's log; 0 while nothing was purged."""
        answer: Answer = yield Execute(self.words.mark, (self.call.log,))
        if answer.rows:
            return int(answer.rows[0][0])
        if self.driver.dialect.share:  # an old snapshot may not see it: then this fails to serialize, and is run again
            yield Execute(self.words.first_mark, (self.call.log,))
        return 0

    def commit(self) -> Script[None]:
        """Commit; from here on an error means that nobody knows."""
        self.committing = True
        yield Commit()


def create_tables(driver: Driver, patience: float) -> Script[None]:
    """Create the barrier's tables in a local transaction of their own."""
    yield Begin(write=True, patience=patience)
    try:
        for statement in driver.dialect.tables:
            yield Execute(statement)
        yield Commit()
    except Exception:
        yield Rollback()
        raise


def purge(driver: Driver, log: str, low_water: int, *, limit: int, patience: float) -> Script[int]:
    """Move a log's purge mark, then delete at most *limit* of its rows below it; returns how many."""
    yield Begin(write=True, patience=patience)
    try:
        words = sql.statements(driver.dialect)
        yield Execute(words.first_mark, (log,))
        yield Execute(sql.MOVE_MARK, (low_water, log, low_water))
        answer: Answer = yield Execute(words.purge, (log, low_water, limit))
        yield Commit()
    except Exception:
        yield Rollback()
        raise
    return answer.changed
