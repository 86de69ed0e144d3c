"""The rules as tables, made by asking the rules: `decide` and `verdict` are called with every case."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from msgspec import Raw

from troth.core import barrier, barrier_table, limits, tcc, twophase
from troth.core.draft import spec_of
from troth.core.move import Alert, Call, Enlisted, Event, Recovered, Replied, Resolve, Retry, Submitted, Tick
from troth.core.plan import Node, Plan, StepSpec
from troth.core.reply import Reply
from troth.core.retry import micros
from troth.core.rules import decide
from troth.core.saga import begin
from troth.core.state import Saga, next_due
from troth.core.words import Fate, Op, Role, State, Word

START: Final = micros(1.0)
WORDS: Final = (Word.DONE, Word.REFUSED, Word.ONGOING, Word.NOT_DONE, Word.UNKNOWN, Word.CONFLICT)
PHASES: Final = ("before the decision", "pivot", "after it, forward", "backward")
TCC_PHASES: Final = ("try", "confirm", "cancel")
TWO_PHASES: Final = ("prepare", "commit of the last resource", "seal of the last resource", "commit", "rollback")
EXPLORED: Final = 30_000
"""States after which the exploration stops; the small saga's edges are all found long before."""


class Case(NamedTuple):
    """A saga about to be answered: the reply goes to this branch."""

    saga: Saga
    branch: int


def plan(guarded: bool = True) -> Plan:
    """A, then the pivot P, then R."""
    roles = {"A": Role.COMPENSABLE, "P": Role.PIVOT, "R": Role.RETRIABLE}
    steps = tuple(
        Node(f"{name}#1", StepSpec(name, role, guarded=guarded, sealable=guarded, undoable=role is Role.COMPENSABLE),
             after=(index - 1,) if index else (), before=(index + 1,) if index < 2 else ())
        for index, (name, role) in enumerate(roles.items())
    )  # fmt: skip
    return Plan("sample", "graph", steps, pivot=1, retriables=True)


def answer(saga: Saga, index: int, word: Word, *, retry: bool = True, now: int = START) -> Event:
    """That reply to the branch's newest call."""
    branch = saga.doc.branches[index]
    return Replied(now, index, branch.op, branch.attempt, Reply(word, reason="why", retry=retry))


def cases(guarded: bool) -> dict[str, Case]:
    """By phase, a saga whose answer is awaited there."""
    first = begin(plan(guarded), gid="g", uid=b"u" * 16, input=Raw(b"{}"), now=START, begun=START).state
    pivot = decide(first, answer(first, 0, Word.DONE)).state
    forward = decide(pivot, answer(pivot, 1, Word.DONE)).state
    backward = decide(pivot, answer(pivot, 1, Word.REFUSED)).state
    return dict(zip(PHASES, (Case(first, 0), Case(pivot, 1), Case(forward, 2), Case(backward, 0)), strict=True))


def tcc_begun(guarded: bool) -> Saga:
    """Two branches, declared, whose tries are under way."""
    plan = Plan("sample", "declared", lookup=lambda name: StepSpec(name, guarded=guarded), pattern="tcc")
    branches = [("0/A#1", "A", Raw(b"{}")), ("0/B#1", "B", Raw(b"{}"))]
    return tcc.begin(plan, gid="g", uid=b"u" * 16, input=Raw(b"{}"), now=START, begun=START, branches=branches).state


def tcc_cases(guarded: bool) -> dict[str, Case]:
    """By op, a TCC whose answer to it is awaited."""
    first = tcc_begun(guarded)
    tried = decide(first, answer(first, 0, Word.DONE)).state
    confirming = decide(tried, answer(tried, 1, Word.DONE)).state
    cancelling = decide(tried, answer(tried, 1, Word.REFUSED)).state
    return dict(zip(TCC_PHASES, (Case(tried, 1), Case(confirming, 1), Case(cancelling, 0)), strict=True))


def two_phase_begun(prepares: bool) -> Saga:
    """Two databases, the second a last resource unless it prepares, whose votes are asked for."""
    plan = Plan("sample", "two_phase", lookup=lambda name: StepSpec(name, guarded=True), pattern="two_phase")
    saga = twophase.begin(
        plan, gid="g", uid=b"u" * 16, input=Raw(b"{}"), now=START, begun=START, incarnation="1" * 32
    ).state
    for event in (Enlisted(START, "0/A#1", "A"), Enlisted(START, "0/B#1", "B", prepares), Submitted(START, ("0/A#1", "0/B#1"))):
        saga = decide(saga, event).state
    return saga


def two_phase_cases() -> dict[str, Case]:
    """By op, a two-phase transaction whose answer to it is awaited."""
    first = two_phase_begun(True)
    voted = decide(first, answer(first, 0, Word.DONE)).state
    committing = decide(voted, answer(voted, 1, Word.DONE)).state
    aborting = decide(voted, answer(voted, 1, Word.REFUSED)).state
    asked = two_phase_begun(False)
    named = decide(asked, answer(asked, 0, Word.DONE)).state
    doubted = decide(named, answer(named, 1, Word.UNKNOWN)).state
    cases = (Case(voted, 1), Case(named, 1), Case(doubted, 1), Case(committing, 1), Case(aborting, 0))
    return dict(zip(TWO_PHASES, cases, strict=True))


def told(case: Case, word: Word, retry: bool) -> str:
    """What follows from the reply, in words."""
    before = case.saga
    move = decide(before, answer(before, case.branch, word, retry=retry))
    after, branch = move.state, move.state.doc.branches[case.branch]
    said = [f"alert: {command.kind}" for command in (*move.now, *move.after_durable) if isinstance(command, Alert)]
    if branch.fate is not before.doc.branches[case.branch].fate:
        said.append(branch.fate.value.replace("_", " "))
    elif branch.stuck:
        said.append("a person is asked, slow retries go on" if branch.due else "a person is asked")
    elif branch.due:
        said.append(f"{branch.op.value} again after a pause")
    elif branch.calling:
        said.append(f"{branch.op.value} at once")
    if branch.unknown and branch.fate is Fate.CALLING:
        said.append("branch unknown")
    if after.state is not before.state:
        said.append(f"→ **{after.state.value}**")
    calls = [c for c in (*move.now, *move.after_durable) if isinstance(c, Call) and c.branch != case.branch]
    where = ("next step", "earlier step") if before.plan.pattern == "saga" else ("other branch", "other branch")
    said += [f"{call.op.value} of the {where[call.branch < case.branch]}" for call in calls]
    return "; ".join(said) or "nothing"


def replies(by_phase: dict[str, Case], used_up: bool, words: tuple[Word, ...] = WORDS) -> Iterator[tuple[str, ...]]:
    """Rows of reply × phase."""
    for word in words:
        yield (word.value, *(told(case, word, not used_up) for case in by_phase.values()))


def verdicts() -> Iterator[tuple[str, ...]]:
    """Rows of the barrier's table; rows that differ only in what doesn't matter are one."""
    groups: dict[tuple[str, str], list[barrier_table.Cell]] = {}
    for cell in barrier_table.table():
        groups.setdefault((cell.kind.value, cell.verdict.value), []).append(cell)
    for (kind, verdict), cells in groups.items():
        if verdict == barrier.Verdict.IMPOSSIBLE.value:
            continue
        columns = [
            sorted({str(getattr(cell, name) or "none") for cell in cells}) for name in ("own", "origin", "opposite")
        ]
        older = {cell.older for cell in cells} == {True}
        other = {cell.same_payload for cell in cells} == {False}
        note = "older than the purge mark" if older else "other payload" if other else ""
        yield (kind, *(any_of(column) for column in columns), note, verdict)


def any_of(outcomes: list[str]) -> str:
    """``any`` for all of them."""
    return "any" if len(outcomes) == len(barrier.Outcome) + 1 else ", ".join(outcomes)


def events(saga: Saga) -> Iterator[tuple[str, Event]]:
    """Everything that can happen to it now."""
    for index, branch in enumerate(saga.doc.branches):
        if branch.calling:
            words = (*WORDS, Word.SEALED) if branch.op is Op.SEAL else WORDS
            for word in words:
                yield "a reply", answer(saga, index, word)
                yield "a reply", answer(saga, index, word, retry=False)
    if due := next_due(saga):
        yield "deadline" if due == saga.doc.deadline else "a pause is over", Tick(due)
    yield "taken over", Recovered(START, 0)
    yield "retry", Retry(START)
    yield "resolve", Resolve(START, "by hand")


def saga_begun(guarded: bool) -> Saga:
    """A saga of a compensable, a pivot and a retriable step."""
    return begin(plan(guarded), gid="g", uid=b"u" * 16, input=Raw(b"{}"), now=START, begun=START).state


def edges(begun: Callable[[bool], Saga]) -> dict[tuple[State, State], set[str]]:
    """Every change of state that `decide` makes, found by walking from the beginning, guarded and bare."""
    starts = [begun(True), begun(False)]
    found: dict[tuple[State, State], set[str]] = {}
    seen, waiting = {signature(start) for start in starts}, deque(starts)
    while waiting and len(seen) < EXPLORED:
        saga = waiting.popleft()
        for why, event in events(saga):
            after = decide(saga, event).state
            if after.state is not saga.state:
                found.setdefault((saga.state, after.state), set()).add(why)
            if not after.finished and (mark := signature(after)) not in seen:
                seen.add(mark)
                waiting.append(after)
    return found


def signature(saga: Saga) -> tuple[object, ...]:
    """What of a state matters to what can follow."""
    doc = saga.doc
    parts = tuple((b.fate, b.unknown, b.op, b.calling, b.stuck, bool(b.due), min(b.spent, 3)) for b in doc.branches)
    spec = spec_of(saga.plan.lookup, "A") if saga.plan.lookup else saga.plan.steps[0].spec
    flags = (spec.guarded, doc.last, doc.recorded, bool(doc.doom), bool(doc.stuck), bool(doc.resolving))
    return (doc.state, doc.phase, flags, parts)


def bounds() -> Iterator[tuple[str, str]]:
    """Every limit with its value."""
    for name, value in vars(limits).items():
        if name.isupper():
            yield name, f"{value:,}"
