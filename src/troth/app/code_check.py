"""Can this code finish what is in flight? Names first, then each open function runs against its record.

The functions' own code between their calls does run, as it would when a node takes the transaction over; no step, check
or compensation does, no value is drawn, and neither the log nor any database is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import structs

from troth.app.reasons import why
from troth.app.rehearsal import SECONDS, Rehearsal
from troth.core.plan import Plan
from troth.core.state import Saga, Transaction
from troth.core.words import State
from troth.engine.live import Live, doc_of
from troth.engine.ownership import missing_code
from troth.participant.meaning import PROGRAMMING_ERRORS
from troth.ports.errors import Cancelled, DefinitionError, LimitExceeded, PayloadError, Refused, StepFailed, WrongColour
from troth.ports.store import Record

if TYPE_CHECKING:
    from troth.app.troth import Troth

CHANGED = "code changed: "
NOW = ", the code now "
PAST = "; past the pivot"
"""The parts of the rules' own words for a run that no longer makes a recorded call."""
EXPECTED = (Refused, StepFailed, Cancelled)
"""What may leave a function in the ordinary course of business."""
BROKEN = (*PROGRAMMING_ERRORS, PayloadError, DefinitionError, LimitExceeded, WrongColour)
"""What only wrong code raises."""

Kind = Literal["missing", "differs", "raises", "slow"]


class Problem(NamedTuple):
    """Why this code can't, or may not, finish one transaction.

    :ivar kind: ``missing`` code for a recorded name; ``differs``: a recorded call is no longer made; ``raises``: an
        exception that the record doesn't explain; ``slow``: no next call in time.
    :ivar sure: it can't be finished; otherwise it may be as the business wants it, and a person should look.
    :ivar recorded: what the log has.
    :ivar now: what the code does.
    :ivar cures: what can be done, one of them.
    """

    gid: str
    kind: Kind
    sure: bool
    recorded: str
    now: str
    cures: tuple[str, ...]


class Checked(NamedTuple):
    """What was found.

    :ivar looked: unfinished transactions looked at.
    :ivar ran: functions that were run against their records.
    """

    looked: int
    ran: int
    problems: tuple[Problem, ...]


def check_code(troth: Troth, records: Iterable[Record]) -> Checked:
    """Check an application's code against unfinished transactions.

    Must not be called where an event loop runs.

    :raises DefinitionError: a node with this code would not even start.
    """
    troth.check()
    return asyncio.run(_check(troth, records))


async def _check(troth: Troth, records: Iterable[Record]) -> Checked:
    looked = ran = 0
    problems: list[Problem] = []
    for record in records:
        looked += 1
        plan, missing = missing_code(troth, record)
        doc = doc_of(record)
        if missing or plan is None:
            problems.append(_missing(doc, missing))
        elif runs_again(doc, plan):
            ran += 1
            problems += await rehearse(troth, record, doc, plan)
    return Checked(looked, ran, tuple(problems))


def runs_again(doc: Transaction, plan: Plan) -> bool:
    """Would a node that takes it over run its function?"""
    if plan.form != "function" or doc.phase is State.CANCELLING or doc.returned or doc.doom or doc.resolving:
        return False
    return plan.recover == "run" or doc.phase is State.CONFIRMING


async def rehearse(troth: Troth, record: Record, doc: Transaction, plan: Plan) -> list[Problem]:
    """Run one function against its record."""
    fresh = structs.replace(doc, state=doc.phase, stuck="", reason="", step="", due=0)
    live = Live(Saga(plan, fresh), record.content, fresh=True)
    stage = Rehearsal(live, troth.definition(doc.definition), record.updated)
    await stage.run()
    return list(_problems(doc, live.saga.doc, stage))


def _problems(before: Transaction, after: Transaction, stage: Rehearsal) -> Iterator[Problem]:
    changed = next((text for text in (after.doom, after.stuck, after.reason) if text.startswith(CHANGED)), "")
    error = stage.raised
    if changed:
        yield _differs(before, changed)
    elif stage.slow:
        text = f"makes no further call within {SECONDS:g} s"
        cure = "a saga's function only calls steps and decides: move slow work into a step"
        yield Problem(before.gid, "slow", False, _progress(before), text, (cure,))
    elif error is not None and not isinstance(error, EXPECTED):
        yield _raises(before, error)


def _missing(doc: Transaction, names: str) -> Problem:
    cures = (
        'if it was renamed: keep its old name, aliases=("old_name",)',
        "bring it back until these transactions have ended",
        "else they wait for code: nothing is decided, and nothing lost, until some node has it",
    )
    return Problem(doc.gid, "missing", True, f"recorded {names}", "has no code of that name", cures)


def _differs(doc: Transaction, changed: str) -> Problem:
    recorded, _, now = changed.removeprefix(CHANGED).partition(PAST)[0].partition(NOW)
    left = (
        "else leave it: past its pivot nothing is undone, it will be failed and wait for a person"
        if doc.phase is State.CONFIRMING
        else "or let it be compensated: all that is recorded will be undone, and it ends cancelled"
    )
    cures = (
        'if the step was renamed: keep its old name, aliases=("old_name",)',
        "or bring the call back, as recorded, until these transactions have ended",
        left,
    )
    return Problem(doc.gid, "differs", True, recorded, now, cures)


def _raises(doc: Transaction, error: BaseException) -> Problem:
    sure = isinstance(error, BROKEN)
    cures = ["cure the code" if sure else "look whether that is what the business wants here"]
    if doc.phase is State.TRYING:
        cures.append("or let it be compensated: all that is recorded will be undone, and it ends cancelled")
    return Problem(doc.gid, "raises", sure, _progress(doc), f"raises {why(error)[0]}", tuple(cures))


def _progress(doc: Transaction) -> str:
    made = ", ".join(branch.id for branch in doc.branches[-3:])
    return f"{len(doc.branches)} calls recorded, the last: {made}" if made else "no call recorded"
