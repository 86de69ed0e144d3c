"""The mutants: each breaks one rule by replacing one named function. `src` knows none of them.

A name with a letter and a number is that of the interleaving that the rule answers. Where a rule lives in two functions
there are two mutants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw

from troth.core import barrier, function, unwind
from troth.core.barrier import Keep, Kind, Outcome, Row, Settlement, Verdict
from troth.core.draft import Draft
from troth.core.ids import ROOT
from troth.core.move import Command, Move, Raised, Recovered
from troth.core.plan import Plan, StepSpec
from troth.core.reply import Reply
from troth.core.state import Branch, Saga
from troth.core.words import Fate, State, Word
from troth.engine.drive import Driver
from troth.engine.journal import Journal, Step
from troth.engine.live import Live, doc_of
from troth.engine.participants import Registry
from troth.engine.runs import FunctionRun
from troth.engine.tries import Initiator
from troth.engine.waited import Answered
from troth.ports.errors import Refused, StepFailed
from troth.ports.store import Batch, BatchOutcome, NodeRow, Record
from troth.testing.simulation.stores import SimStore

Replacement = Callable[..., Any]


# --- what happened before a crash


def nothing_was_reached(draft: Draft) -> None:
    """After a crash only what the log says may have run."""


def pivot_intent_rides(spec: StepSpec) -> bool:
    """The pivot's intent need not be durable."""
    return not spec.guarded


def deadline_stands(draft: Draft, event: Recovered) -> int:
    """Time counts even when nobody drove."""
    return draft.doc.deadline


def all_code_is_there(registry: Registry, record: Record) -> tuple[Plan | None, str]:
    """A node drives what it has no code for."""
    doc = doc_of(record)
    return registry.plan(doc.definition, doc.form), ""


def one_count_for_all_tasks(
    call: Callable[..., int],
) -> Callable[[FunctionRun, str, str, Raw, Answered], int]:
    """Ids drawn in call order, whichever task calls."""

    def drawn(self: FunctionRun, place: str, name: str, args: Raw, answered: Answered) -> int:
        return call(self, ROOT, name, args, answered)

    return drawn


def bare_result_rides(plan: Plan, index: int) -> bool:
    """A bare step's result need not be durable before it is used."""
    return False


# --- replies


def newest_answer_counts(branch: Branch, word: Word) -> bool:
    """An earlier unknown attempt is forgotten."""
    return word is not Word.NOT_DONE


def unknown_counts_as_not_done(branch: Branch, word: Word) -> bool:
    """Unknown is failure."""
    return False


def abandoned_is_failed(saga: Saga, index: int) -> Raw | BaseException:
    """A call that was done before its inner saga was abandoned fails in a later run."""
    branch = saga.doc.branches[index]
    if branch.fate is Fate.DONE:
        return branch.result
    return Refused(branch.reason) if branch.fate is Fate.REFUSED else StepFailed(branch.id, branch.reason)


# --- functions


def raising_cancels_always(draft: Draft, event: Raised) -> None:
    """An exception cancels, also past the pivot."""
    if function.accepts_calls(draft):
        unwind.cancel(draft, event.reason, event.step)


def nothing_is_uncalled(draft: Draft) -> int:
    """A recorded call that is not made again is forgotten."""
    return -1


def nothing_is_waited_for(draft: Draft) -> bool:
    """The outcome is written when the function returns."""
    return True


def not_forced(draft: Draft) -> None:
    """The write rides, or isn't made."""


def always_accepts(draft: Draft) -> bool:
    """A call counts even after the cancel."""
    return not draft.doc.finished


# --- tcc


def every_try_counts_as_done(draft: Draft) -> bool:
    """A try that is not known to have failed is taken for done."""
    return True


def no_strangers(draft: Draft, parent: str, children: Sequence[str]) -> str:
    """Every registered child counts, whichever run called it."""
    return ""


def nothing_spoils(self: Initiator, reason: str, step: str) -> None:
    """What the initiator's code swallowed is forgiven."""


def nothing_attaches(draft: Draft, id: str) -> int:
    """A registration that is made again is another branch."""
    return -1


def confirms_without_a_try(origin: Row | None) -> Verdict:
    """A confirm runs, whatever became of its try."""
    return Verdict.RUN_ON_ORIGIN


def hanging_try_is_done(own: Row | None, same_payload: bool) -> Verdict:
    """A row is a row: a try that comes after its cancel is answered done."""
    if own is not None and own.outcome is Outcome.SEALED:
        return Verdict.NOTHING_TO_UNDO
    return barrier.verdict_on_duplicate(own, same_payload) if own is not None else Verdict.RUN


def tells_at_once(apply: Callable[[Driver, Live, Move, int], None]) -> Callable[[Driver, Live, Move, int], None]:
    """`finished` is told before the outcome is in the log: it can only be kept, one thinks."""

    def applied(self: Driver, live: Live, move: Move, now: int) -> None:
        apply(self, live, move, now)
        doc = live.saga.doc
        if doc.pattern == "tcc" and doc.state is State.CONFIRMED and live.durable is not None:
            live.durable = live.saga
            self._tell(live, doc)

    return applied


# --- undoing


def undoes_what_is_known(draft: Draft, index: int) -> bool:
    """Only what is known to have run is undone."""
    return draft.branches[index].fate is Fate.DONE and draft.spec(index).undoable


def undoes_at_once(draft: Draft, index: int, clear: Sequence[bool]) -> bool:
    """Nothing is waited for before a branch is undone."""
    return True


# --- the log


def steps_at_any_time(next_step: Callable[[Journal, int], Step]) -> Callable[[Journal, int], Step]:
    """An unknown commit is asked about again while the first answer is on its way."""

    def step(self: Journal, now: int) -> Step:
        if self.unknown:
            self.stepping = False
        return next_step(self, now)

    return step


def floor_of_the_logged(self: Driver) -> int:
    """Begins that are not in the log yet don't hold the floor down."""
    return self.draw_begin()


def reads_without_lock(self: SimStore) -> None:
    """The batch number is read while the lost commit may still be running."""


def never_fenced(self: Any) -> NodeRow:
    """A node declared dead writes on."""
    row: NodeRow = self.log.nodes[self._node]
    return row


def sends_at_once(self: Driver, live: Live, commands: tuple[Command, ...]) -> None:
    """Act, then save."""
    for command in commands:
        self.shell.perform(live, command)


def forgets_batches(
    apply: Callable[[SimStore, Batch, dict[bytes, Saga]], BatchOutcome],
) -> Callable[[SimStore, Batch, dict[bytes, Saga]], BatchOutcome]:
    """Every seventh batch is acknowledged and lost."""

    def applied(self: SimStore, batch: Batch, sagas: dict[bytes, Saga]) -> BatchOutcome:
        return apply(self, batch._replace(writes=()) if batch.number % 7 == 3 else batch, sagas)

    return applied


# --- the barrier


def refusal_rolls_back(own: Row | None, heard: Reply) -> Settlement:
    """A refusal leaves no row."""
    return Settlement(Keep.NOTHING, heard)


def refused_is_undone(origin: Row) -> bool:
    """A row is a row: also a refusal is compensated."""
    return origin.outcome is not Outcome.SEALED


def ongoing_is_stored(own: Row, same_payload: bool) -> Verdict:
    """A duplicate of an ongoing op gets the stored 'ongoing' for ever."""
    return Verdict.ANSWER_STORED if same_payload else Verdict.CONFLICT


def only_undo_asks_for_evidence(kind: Kind, own: Row | None, origin: Row | None, older: bool) -> bool:
    """A late do runs after the purge."""
    return kind is Kind.UNDO and older and own is None and origin is None


def purges_all_rows(row: Row, log: str, mark: int) -> bool:
    """One log's mark purges another log's rows."""
    return row.begun < mark


def ongoing_stays_open(origin: Row | None) -> bool:
    """The undo of an ongoing do doesn't close it."""
    return False


def duplicates_run(own: Row, same_payload: bool) -> Verdict:
    """No look at what was done before."""
    return Verdict.RUN_AGAIN


def undo_always_runs() -> Verdict:
    """A compensation runs although its action never did."""
    return Verdict.RUN_ON_ORIGIN


def sealed_runs(own: Row | None, same_payload: bool) -> Verdict:
    """An action runs although its compensation came first."""
    if own is None or own.outcome is Outcome.SEALED:
        return Verdict.RUN
    return barrier.verdict_on_duplicate(own, same_payload)


def wraps(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Marks a replacement that is made from the original."""
    make.wraps = True  # type: ignore[attr-defined]
    return make


TABLE: dict[str, tuple[str, Replacement]] = {
    "A1": ("troth.core.graph.mark_reached", nothing_was_reached),
    "A2": ("troth.core.driving.forces_intent", pivot_intent_rides),
    "A4": ("troth.core.barrier.settle_refusal", refusal_rolls_back),
    "A4_undone": ("troth.core.barrier.owes_undo", refused_is_undone),
    "A5": ("troth.core.barrier.verdict_on_duplicate", ongoing_is_stored),
    "A6": ("troth.core.saga.moved_deadline", deadline_stands),
    "A9": ("troth.engine.ownership.missing_code", all_code_is_there),
    "P1": ("troth.core.replies.still_unknown", newest_answer_counts),
    "P2": ("troth.core.function.raised", raising_cancels_always),
    "P4": ("troth.core.function.uncalled", nothing_is_uncalled),
    "P4_open": ("troth.core.function.may_confirm", nothing_is_waited_for),
    "P5": ("troth.core.barrier.evidence_purged", only_undo_asks_for_evidence),
    "P6": ("troth.core.barrier.closes_origin", ongoing_stays_open),
    "P8": ("troth.core.function.force_give_up", not_forced),
    "P9": ("troth.core.unwind.force_cancel", not_forced),
    "P10": ("troth.core.function.accepts_calls", always_accepts),
    "P11": ("troth.engine.drive.Driver.floor", floor_of_the_logged),
    "P11_own_rows": ("troth.core.barrier.purgeable", purges_all_rows),
    "P12": ("troth.testing.simulation.stores.SimStore.wait_for_lock", reads_without_lock),
    "A3": ("troth.core.holds.force_first_cancel", not_forced),
    "A8": ("troth.core.holds.every_try_is_done", every_try_counts_as_done),
    "P15": ("troth.core.tcc.strangers", no_strangers),
    "P17": ("troth.engine.drive.Driver._apply", wraps(tells_at_once)),
    "P18": ("troth.engine.tries.Initiator.spoil", nothing_spoils),
    "confirm_without_try": ("troth.core.barrier.verdict_on_confirm", confirms_without_a_try),
    "try_result_from_cancel": ("troth.core.barrier.verdict_on_do", hanging_try_is_done),
    "nested_double": ("troth.core.tcc.index_of", nothing_attaches),
    "P16": ("troth.engine.runs.FunctionRun.call", wraps(one_count_for_all_tasks)),
    "P19": ("troth.core.driving.uses_bare_result", bare_result_rides),
    "asked_twice": ("troth.engine.journal.Journal.next_step", wraps(steps_at_any_time)),
    "abandoned": ("troth.engine.runs.answer_of", abandoned_is_failed),
    "no_dedupe": ("troth.core.barrier.verdict_on_duplicate", duplicates_run),
    "no_empty": ("troth.core.barrier.empty_undo", undo_always_runs),
    "no_hang": ("troth.core.barrier.verdict_on_do", sealed_runs),
    "no_fence": ("troth.adapters.stores.memory.MemoryStore._alive", never_fenced),
    "send_before_log": ("troth.engine.drive.Driver._after_durable", sends_at_once),
    "unknown_is_failure": ("troth.core.replies.still_unknown", unknown_counts_as_not_done),
    "skip_unknown_compensation": ("troth.core.unwind.owes_undo", undoes_what_is_known),
    "lossy_store": ("troth.testing.simulation.stores.SimStore.apply", wraps(forgets_batches)),
    "wrong_order": ("troth.core.unwind.later_is_clear", undoes_at_once),
}
