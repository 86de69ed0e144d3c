"""Sending calls and writing outcomes: the moves that all rules are made of."""

from __future__ import annotations

from msgspec import Raw

from troth.core import limits
from troth.core.draft import Draft, replace
from troth.core.move import Alert, Call, Stop
from troth.core.plan import Plan, StepSpec
from troth.core.quick import Fate, Op, Role, State
from troth.core.reply import NULL
from troth.core.retry import micros
from troth.core.state import UNBOUND

SETTLED = (Fate.DONE, Fate.REFUSED, Fate.NOT_DONE, Fate.COMPENSATED)
NOTHING_OWED = (Fate.REFUSED, Fate.NOT_DONE, Fate.COMPENSATED, Fate.HELD)
FORWARD = (Op.ACTION, Op.CHECK, Op.SEAL)


def forces_intent(spec: StepSpec) -> bool:
    """Must the intent be durable before the first call? Bare: to know exactly what may have run. Pivot: to know of the doubt."""
    return not spec.guarded or spec.role is Role.PIVOT


def uses_bare_result(plan: Plan, index: int) -> bool:
    """Do the arguments hold a bare step's result? It must be durable first: a repeat might give another."""
    steps = plan.steps
    for needed in steps[index].needs:  # noqa: SIM110 - a loop costs a third of any()
        if not steps[needed].spec.guarded:
            return True
    return False


def send(draft: Draft, index: int, op: Op) -> None:
    """Make the next call of an op; a new op counts its attempts anew."""
    branch = draft.branches[index]
    attempt = branch.attempt + 1
    fate = Fate.CALLING if branch.fate is Fate.IDLE or branch.fate is Fate.HELD else branch.fate
    spent = branch.spent if branch.op is op else 0
    draft.branches[index] = replace(
        branch, fate=fate, op=op, spent=spent, attempt=attempt, calling=True, due=0, since=draft.at
    )
    draft.commands.append(Call(index, op, attempt))


def ask(draft: Draft, index: int) -> None:
    """Ask for an unsettled action: a bare one that may have run by its check, any other by the same call again."""
    spec = draft.spec(index)
    send(draft, index, Op.CHECK if draft.branches[index].unknown and spec.checkable and not spec.guarded else Op.ACTION)


def start(draft: Draft, index: int) -> None:
    """Make a graph's step's first call; its arguments are made here and stored, so that a retry sends the same bytes."""
    node = draft.plan.steps[index]
    branch = draft.branches[index]
    if branch.args is UNBOUND:
        results = [b.result for b in draft.branches]
        args = node.bind(draft.doc.input, results) if node.bind else Raw(b"{}")
        draft.branches[index] = replace(branch, args=args)
    if forces_intent(node.spec) or uses_bare_result(draft.plan, index):
        draft.force()
    if branch.unknown:
        ask(draft, index)
    else:
        send(draft, index, Op.ACTION)


def settled(draft: Draft, index: int) -> bool:
    """Is it known for good what became of the branch, and is nothing owed for it before an outcome?"""
    branch = draft.branches[index]
    if branch.fate in SETTLED:
        return True
    return branch.fate is Fate.GAVE_UP and not branch.calling and not draft.spec(index).undoable


def all_settled(draft: Draft) -> bool:
    """Are all branches?"""
    for index in range(len(draft.branches)):  # noqa: SIM110 - a loop costs a third of all()
        if not settled(draft, index):
            return False
    return True


def settle(draft: Draft, index: int, fate: Fate, *, result: Raw = NULL, reason: str = "") -> None:
    """Note for good what became of a branch."""
    draft.branches[index] = replace(
        draft.branches[index], fate=fate, result=result, reason=reason, unknown=False, calling=False, due=0, stuck=False
    )
    draft.ride()
    if draft.doc.state is State.FAILED:
        unstick(draft)


def unstick(draft: Draft) -> None:
    """A failed transaction goes on in its direction once nothing is stuck any more."""
    doc = draft.doc
    if doc.state is State.FAILED and not doc.stuck and not doc.closed and not any(b.stuck for b in draft.branches):
        draft.set(state=doc.phase)


def count_anew(draft: Draft) -> None:
    """A person asks for another round: nothing is stuck any more, and attempts are counted from the beginning."""
    draft.set(state=draft.doc.phase, stuck="")
    for index, branch in enumerate(draft.branches):
        if branch.stuck or branch.due:
            draft.put(index, stuck=False, spent=0, due=0)
    draft.force()


def fail(draft: Draft, index: int, reason: str, *, retry: bool = True) -> None:
    """Ask for a person; slow retries go on, unless a retry could do harm."""
    due = draft.at + micros(limits.SLOW_RETRY) if retry and not draft.doc.resolving else 0
    branch = draft.branches[index]
    again = branch.stuck
    draft.put(index, stuck=True, due=due, reason=reason, calling=False)
    if again:
        return
    draft.set(state=State.FAILED, reason=draft.doc.reason or reason, step=draft.doc.step or branch.id)
    draft.force()
    draft.emit(Alert("needs_attention", index, reason))


def finish(draft: Draft, state: State, **result: Raw) -> None:
    """Write the outcome. Nobody is told before it is durable."""
    phase = State.CONFIRMING if state is State.CONFIRMED else State.CANCELLING
    draft.set(state=state, phase=phase, finished=draft.at, due=0, doom="", stuck="", **result)
    draft.force()
    if draft.plan.form == "function":
        draft.emit(Stop())


def close(draft: Draft) -> None:
    """Close by hand what a person settled, once no attempt is in flight."""
    if not any(b.calling for b in draft.branches):
        draft.set(state=State.FAILED, closed=draft.doc.resolving, finished=draft.at, due=0)
        draft.force()
        draft.emit(Stop())
