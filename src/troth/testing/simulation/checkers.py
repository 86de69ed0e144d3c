"""The promises, examined when a run is over: pure functions of the log's rows, of what was told, and of the effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from troth.core.state import Branch, Transaction
from troth.core.words import FINAL, Fate, Op, Role, State
from troth.testing.simulation.catalog import STEPS
from troth.testing.simulation.clients import Client
from troth.testing.simulation.services import Effect, Ledger

Problems = Iterator[tuple[str, str]]
"""(promise, what broke it)"""


class End(NamedTuple):
    """What is left when a run is over.

    :param docs: the log's rows: gid -> transaction.
    :param effects: all effects, by transaction.
    :param clients: what each was told.
    :param bare_counts: bare branches are held to S1 too: nothing was late.
    :param edited: sagas whose code was changed.
    :param driven: by uid, microseconds during which some node drove it.
    :param timeouts: by definition, seconds of its undecided part.
    :param troubled: by gid, a call of its initiator that did not get done for an answer.
    """

    docs: dict[str, Transaction]
    effects: Ledger
    clients: Sequence[Client]
    bare_counts: bool
    edited: frozenset[str]
    driven: dict[bytes, int]
    timeouts: dict[str, float]
    troubled: dict[str, str]


def examine(end: End) -> list[tuple[str, str]]:
    """All problems."""
    checks = (atomic, all_or_none, no_phantoms, told_means_kept, once_and_in_order, honest_restarts, all_ended)
    return [problem for check in checks for problem in check(end)]


def of_branch(end: End, doc: Transaction, branch: Branch, op: Op) -> list[Effect]:
    """The effects of one op of one branch, in order."""
    return [e for e in end.effects.effects.get(doc.uid, ()) if e.branch == branch.id and e.op is op]


def undone(done: list[Effect], undo: list[Effect]) -> bool:
    """Is nothing left of the action?"""
    return not done or (bool(undo) and undo[-1].whole and undo[-1].at >= done[-1].at)


def atomic(end: End) -> Problems:
    """S1: never both a kept and a compensated effect in one transaction that ended; a given-up branch leaves none."""
    for doc in end.docs.values():
        for branch in doc.branches if doc.pattern == "saga" else ():
            spec = STEPS.get(branch.name)
            if spec is None or not (spec.guarded or end.bare_counts):
                continue
            done, undo = of_branch(end, doc, branch, Op.ACTION), of_branch(end, doc, branch, Op.COMPENSATE)
            problem = wrong_effects(doc, branch, done, undo)
            if problem:
                yield "S1", f"{doc.gid} is {doc.state}, {branch.id} is {branch.fate}: {problem}"


def wrong_effects(doc: Transaction, branch: Branch, done: list[Effect], undo: list[Effect]) -> str:
    """What is wrong with a branch's effects, given how its transaction ended."""
    spec = STEPS[branch.name]
    settled_now = doc.state in FINAL or (doc.state is State.FAILED and not branch.stuck)
    if not settled_now:
        return ""
    if branch.fate is Fate.DONE and doc.state is not State.CANCELLED:
        if doc.phase is State.CANCELLING:
            return ""
        if not done or not done[-1].whole:
            return "its effect is missing"
        return "it was compensated" if undo else ""
    if branch.fate in (Fate.REFUSED, Fate.NOT_DONE):
        return "it has an effect" if not undone(done, undo) else ""
    if doc.state is State.CANCELLED and spec.role is Role.PIVOT:
        return "the pivot happened" if done else ""
    if branch.fate is Fate.COMPENSATED or (doc.state is State.CANCELLED and spec.undoable):
        return "" if undone(done, undo) else "its effect is left"
    return ""


def all_or_none(end: End) -> Problems:
    """S1, S5: a TCC confirms every branch or none, only after its try, and only if its initiator heard of nothing else."""
    for doc in end.docs.values():
        if doc.pattern == "saga":
            continue
        if doc.state is State.CONFIRMED and doc.gid in end.troubled:
            yield "S5", f"{doc.gid} is confirmed, and its initiator was not told done: {end.troubled[doc.gid]}"
        for branch in doc.branches:
            if STEPS[branch.name].guarded or end.bare_counts:
                for problem in wrong_holds(end, doc, branch):
                    yield "S1", f"{doc.gid} is {doc.state}, {branch.id} is {branch.fate}: {problem}"


def wrong_holds(end: End, doc: Transaction, branch: Branch) -> Iterator[str]:
    """What is wrong with a branch of a TCC, given how it ended."""
    tried, confirmed, cancelled = (of_branch(end, doc, branch, op) for op in (Op.TRY, Op.CONFIRM, Op.CANCEL))
    if confirmed and doc.phase is not State.CONFIRMING:
        yield "it was confirmed"
    if cancelled and doc.phase is not State.CANCELLING:
        yield "it was cancelled"
    if doc.state is State.CONFIRMED:
        if not (tried and confirmed and confirmed[-1].whole):
            yield "its effect is missing"
        children = {b.id for b in doc.branches if b.id.startswith(f"{branch.id}/")}
        if children != end.effects.kept.get((doc.uid, branch.id), children):
            yield "it has children that its kept run did not call"
    if doc.state is State.CANCELLED and not undone(tried, cancelled):
        yield "its hold is left"


def no_phantoms(end: End) -> Problems:
    """S1: whatever happened belongs to a recorded branch of a transaction in the log."""
    by_uid = {doc.uid: doc for doc in end.docs.values()}
    for uid, effects in end.effects.effects.items():
        doc = by_uid.get(uid)
        if doc is None:
            yield "S1", f"{effects[0].branch} happened in a transaction that is not in the log"
            continue
        known = {branch.id for branch in doc.branches}
        for effect in effects:
            if effect.branch not in known:
                yield "S1", f"{effect.branch} happened in {doc.gid}, which knows nothing of it"


def told_means_kept(end: End) -> Problems:
    """S3: what a caller was told stays true."""
    for client in end.clients:
        doc = end.docs.get(client.wish.gid)
        for told in client.history:
            what = f"{client.wish.gid}: its client was told {told.until}: {told.state}"
            if doc is None:
                yield "S3", f"{what}, and it is not in the log"
            elif told.state in FINAL and (doc.state is not told.state or bytes(doc.result) != told.result):
                yield "S3", f"{what}, and it is {doc.state} ({bytes(doc.result)!r} for {told.result!r})"
            elif told.phase is not State.TRYING and doc.phase is not told.phase:
                yield "S3", f"{what} ({told.phase}), and it is {doc.phase}"


def once_and_in_order(end: End) -> Problems:
    """S4, S5: a guarded op's effect happens once, its undo after it and only if it happened, nothing after its undo."""
    for uid, effects in end.effects.effects.items():
        for branch in sorted({e.branch for e in effects if STEPS[e.step].guarded}):
            mine = [e for e in effects if e.branch == branch]
            for op in Op:
                if sum(1 for e in mine if e.op is op and e.whole) > 1:
                    yield "S4", f"{op} of {branch} of {uid.hex()} happened twice"
            undos = [i for i, e in enumerate(mine) if e.op in (Op.COMPENSATE, Op.CANCEL)]
            does = [i for i, e in enumerate(mine) if e.op in (Op.ACTION, Op.TRY)]
            confirms = [i for i, e in enumerate(mine) if e.op is Op.CONFIRM]
            if confirms and (not does or does[0] > confirms[0]):
                yield "S5", f"{branch} of {uid.hex()} was confirmed before it was tried"
            if undos and not does:
                yield "S5", f"{branch} of {uid.hex()} was compensated and never happened"
            elif undos and does[-1] > undos[0]:
                yield "S5", f"{branch} of {uid.hex()} happened after its compensation"


def honest_restarts(end: End) -> Problems:
    """S8: a restart by itself cancels nothing: not by a deadline that passed while nobody drove, nor by its code."""
    for doc in end.docs.values():
        if "code changed" in doc.reason and doc.definition not in end.edited:
            yield "S8", f"{doc.gid}: its code did not change: {doc.reason}"
        if doc.reason.startswith("timeout"):
            driven, owed = end.driven.get(doc.uid, 0), int(end.timeouts[doc.definition] * 1_000_000)
            if driven < owed:
                yield "S8", f"{doc.gid} was cancelled by its deadline after {driven} of {owed} driven microseconds"


def all_ended(end: End) -> Problems:
    """L1, L2: every transaction ends, or was closed by a person for a reason that only a person can settle."""
    for doc in end.docs.values():
        waits_for_a_person = doc.state is State.FAILED and for_a_person(doc)
        if doc.state in FINAL or doc.closed or waits_for_a_person:
            continue
        yield "L1", f"{doc.gid} is still {doc.state} ({doc.reason}): {unsettled(doc)}"


FOR_A_PERSON = (
    "nobody can say whether the pivot happened",
    "past the pivot nothing is undone",
    "fails after its pivot",
)


def for_a_person(doc: Transaction) -> bool:
    """Is this something that only a person can settle?"""
    return any(reason in doc.reason for reason in FOR_A_PERSON)


def unsettled(doc: Transaction) -> str:
    """What a transaction still waits for, in a line."""
    return ", ".join(
        f"{b.id}={b.fate}/{b.op}{' calling' if b.calling else ''}{' due' if b.due else ''}{' stuck' if b.stuck else ''}"
        for b in doc.branches
    )
