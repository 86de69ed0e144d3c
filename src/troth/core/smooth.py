"""The smooth path: the moves of a transaction with which nothing is wrong, made at once.

Most events are of four kinds: it begins, a function calls its next step, a step is done, the function returns. For these
the rules of `troth.core.saga` come to a move that can be written down directly, at a third of their cost. Here is what
they come to; for anything else the answer is None, and the rules are asked. The rules stay the specification: the
simulator asks both at every event and compares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw, structs

from troth.core import limits, rules
from troth.core import saga as sagas
from troth.core.draft import REMEMBER
from troth.core.driving import forces_intent, uses_bare_result
from troth.core.move import FORCE, NOTHING, RIDE, Answer, Call, Called, Event, Move, Replied, Returned, Start, Stop
from troth.core.plan import Plan
from troth.core.quick import Fate, Op, Role, State, Word
from troth.core.reply import NULL
from troth.core.retry import budget_micros, micros
from troth.core.state import UNBOUND, Branch, Run, Saga, Transaction

replace = structs.replace
RUNNING = Run(live=True)
STOP = (Stop(),)
START = (Start(),)
NO_ARGS = Raw(b"{}")


def prepared(plan: Plan) -> Plan:
    """A graph's plan with what the smooth path looks up: its branches at the beginning, and whose calls are forced."""
    idle = tuple([Branch(node.id, node.spec.name) for node in plan.steps])
    forced = [forces_intent(node.spec) or uses_bare_result(plan, index) for index, node in enumerate(plan.steps)]
    return replace(plan, idle=idle, forced=tuple(forced))


def begin(
    plan: Plan, *, gid: str, uid: bytes, input: Raw, now: int, begun: int, timeout: float | None = None, force: bool = True
) -> Move:
    """`troth.core.saga.begin`, sooner."""
    move = begin_smoothly(plan, gid, uid, input, now, begun, timeout, force)
    if move is None:
        return sagas.begin(plan, gid=gid, uid=uid, input=input, now=now, begun=begun, timeout=timeout, force=force)
    return move


def decide(saga: Saga, event: Event) -> Move:
    """`troth.core.rules.decide`, sooner."""
    smooth = SMOOTH.get(type(event))
    move = None if smooth is None else smooth(saga, event)
    return rules.decide(saga, event) if move is None else move


def begin_smoothly(
    plan: Plan, gid: str, uid: bytes, input: Raw, now: int, begun: int, timeout: float | None, force: bool
) -> Move | None:
    """The first move, or None: the rules must be asked."""
    deadline = now + micros(plan.timeout if timeout is None else timeout)
    if plan.form == "function":
        doc = Transaction(gid, uid, plan.name, plan.form, input, begun, deadline)
        return Move(Saga(plan, doc, RUNNING), NOTHING, START, FORCE) if force else Move(Saga(plan, doc, RUNNING), START)
    if plan.form != "graph" or not plan.idle:
        return None
    branches = list(plan.idle)
    commands = []
    for index, node in enumerate(plan.steps):
        if not node.after and node.spec.role is not Role.RETRIABLE:
            branches[index] = _first_call(branches[index], node.bind(input, NO_RESULTS) if node.bind else NO_ARGS, now)
            commands.append(Call(index, Op.ACTION, 1))
    doc = Transaction(
        gid, uid, plan.name, plan.form, input, begun, deadline, State.TRYING, State.TRYING, "", "", NULL, False, "", 0, 0,
        "", "", "", 0, tuple(branches),
    )  # fmt: skip
    return Move(Saga(plan, doc), NOTHING, tuple(commands), FORCE)


NO_RESULTS: tuple[Raw, ...] = ()


def _first_call(branch: Branch, args: Raw, now: int) -> Branch:
    return Branch(
        branch.id, branch.name, Fate.CALLING, args, NULL, "", False, Op.ACTION, branch.attempt + 1, branch.spent, 0, True, now
    )


def decide_smoothly(saga: Saga, event: Event) -> Move | None:
    """The next move, or None: the rules must be asked."""
    smooth = SMOOTH.get(type(event))
    return None if smooth is None else smooth(saga, event)


def _undisturbed(doc: Transaction) -> bool:
    return doc.state is State.TRYING and doc.phase is State.TRYING and not (doc.doom or doc.stuck or doc.resolving)


def _replied(saga: Saga, event: Any) -> Move | None:
    """The newest call of an action is done, and it wasn't given up."""
    doc, reply, index = saga.doc, event.reply, event.branch
    branches = list(doc.branches)
    branch = branches[index]
    trail = branch.trail
    if (
        reply.word is not Word.DONE or branch.fate is not Fate.CALLING or branch.op is not Op.ACTION or event.op is not Op.ACTION
        or not branch.calling or branch.attempt != event.attempt or len(trail) >= limits.TRAIL_LENGTH or not _undisturbed(doc)
    ):  # fmt: skip
        return None
    now, since = event.now, branch.since
    call = ("action", since, now - since, "done")
    branches[index] = Branch(
        branch.id, branch.name, Fate.DONE, branch.args, reply.result, "", False, Op.ACTION, branch.attempt, branch.spent, 0,
        False, since, False, branch.abandoned, (*trail, call) if trail else (call,),
    )  # fmt: skip
    if saga.plan.form == "graph":
        return _graph_goes_on(saga.plan, doc, branches, index, now)
    return _function_goes_on(saga, doc, branches, index) if saga.plan.form == "function" else None


def _graph_goes_on(plan: Plan, doc: Transaction, branches: list[Branch], index: int, now: int) -> Move | None:
    """Call what waited for this step only; write the outcome after the last."""
    if plan.retriables or index == plan.pivot or not plan.idle:
        return None
    steps = plan.steps
    before = steps[index].before
    if not before:
        return _graph_ends(plan, doc, branches, now)
    save = RIDE
    commands = []
    for later in before:
        node = steps[later]
        for earlier in node.after:
            if branches[earlier].fate is not Fate.DONE:
                break
        else:
            branch = branches[later]
            if branch.fate is not Fate.IDLE or branch.unknown:
                return None
            args = branch.args
            if args is UNBOUND:
                args = node.bind(doc.input, [b.result for b in branches]) if node.bind else NO_ARGS
            branches[later] = _first_call(branch, args, now)
            commands.append(Call(later, Op.ACTION, branch.attempt + 1))
            if plan.forced[later]:
                save = FORCE
    move = Saga(plan, replace(doc, branches=tuple(branches)))
    if save is FORCE:
        return Move(move, NOTHING, tuple(commands), FORCE, True)
    return Move(move, tuple(commands), NOTHING, RIDE, True)


def _graph_ends(plan: Plan, doc: Transaction, branches: list[Branch], now: int) -> Move:
    for branch in branches:
        if branch.fate is not Fate.DONE:
            return Move(Saga(plan, replace(doc, branches=tuple(branches))), NOTHING, NOTHING, RIDE, True)
    result = plan.returns(doc.input, [branch.result for branch in branches]) if plan.returns else NULL
    return Move(Saga(plan, _confirmed(doc, result, False, now, tuple(branches))), NOTHING, NOTHING, FORCE)


def _confirmed(doc: Transaction, result: Raw, returned: bool, now: int, branches: tuple[Branch, ...]) -> Transaction:
    return Transaction(
        doc.gid, doc.uid, doc.definition, doc.form, doc.input, doc.begun, doc.deadline, State.CONFIRMED, State.CONFIRMING,
        doc.reason, doc.step, result, returned, "", doc.runs, 0, "", "", doc.closed, now, branches,
    )  # fmt: skip


def _function_goes_on(saga: Saga, doc: Transaction, branches: list[Branch], index: int) -> Move | None:
    """Give the function its answer, where nothing else waited for the step."""
    if doc.returned or not saga.run.live or not _all_in_order(saga.plan, branches):
        return None
    if saga.plan.lookup(branches[index].name).role is Role.PIVOT:  # type: ignore[misc,union-attr]
        return None
    return Move(Saga(saga.plan, replace(doc, branches=tuple(branches)), saga.run), (Answer(index),), NOTHING, RIDE, True)


def _all_in_order(plan: Plan, branches: list[Branch] | tuple[Branch, ...]) -> bool:
    """Is each branch done, or being called and no pivot, and known to this code?"""
    lookup = plan.lookup
    if lookup is None:
        return False
    for branch in branches:
        fate = branch.fate
        if fate is Fate.DONE:
            continue
        if fate is not Fate.CALLING:
            return False
        spec = lookup(branch.name)
        if spec is None or spec.role is Role.PIVOT:
            return False
    return True


def _called(saga: Saga, event: Any) -> Move | None:
    """A call of the function's first run that follows calls with which nothing is wrong."""
    doc, run, plan, name = saga.doc, saga.run, saga.plan, event.name
    if not _undisturbed(doc) or not run.live or run.recorded or plan.lookup is None or name == REMEMBER:
        return None
    if not _all_in_order(plan, doc.branches):
        return None
    spec = plan.lookup(name)
    if spec is None or spec.role is not Role.COMPENSABLE:
        return None
    now, place, counts = event.now, event.place, run.counts
    key = (place, name)
    occurrence = counts.get(key, 0) + 1
    branch = Branch(
        f"{place}/{name}#{occurrence}", name, Fate.CALLING, event.args, NULL, "", False, Op.ACTION, 1, 0, 0, True, now
    )
    index = len(doc.branches)
    deadline = max(doc.deadline, now + budget_micros(spec.timeout, spec.attempts, spec.interval))
    doc = replace(doc, deadline=deadline, branches=(*doc.branches, branch))
    run = Run({}, run.cursors, {**counts, key: occurrence}, True)
    return Move(Saga(plan, doc, run, index), NOTHING, (Call(index, Op.ACTION, 1),), FORCE, True)


def _returned(saga: Saga, event: Any) -> Move | None:
    """The function's first run returned, and each of its calls is done."""
    doc, run = saga.doc, saga.run
    branches = doc.branches
    if not _undisturbed(doc) or not run.live or run.recorded:
        return None
    for branch in branches:
        if branch.fate is not Fate.DONE:
            return None
    run = Run({}, run.cursors, run.counts)
    return Move(Saga(saga.plan, _confirmed(doc, event.result, True, event.now, branches), run), NOTHING, STOP, FORCE)


SMOOTH: dict[type, Callable[[Saga, Any], Move | None]] = {Replied: _replied, Called: _called, Returned: _returned}
