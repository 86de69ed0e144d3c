"""From a graph as it was written down to the plan that the rules work on: names resolved, arguments laid out."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from msgspec import structs

from troth.app.binding import INPUT, Source, bind_object, bind_value
from troth.app.reference import Ref, parts
from troth.core import limits
from troth.core.ids import ROOT, Unfit, branch_id
from troth.core.order import Disorder, Item, arrange
from troth.core.plan import Node, Plan, StepSpec
from troth.core.retry import budget
from troth.core.smooth import prepared
from troth.core.words import Role
from troth.ports.errors import DefinitionError, LimitExceeded, PayloadError
from troth.wire.codec import encode
from troth.wire.reach import fields_of
from troth.wire.signature import Parameter

if TYPE_CHECKING:
    from troth.app.graph import GraphStep

SCALARS: Final = frozenset({str, int, bool, float, bytes, Decimal, UUID, dt.datetime, dt.date, dt.time})
Argument = bytes | Ref[Any]


def weave(
    name: str, input_type: Any, steps: Sequence[GraphStep[Any]], returns: Ref[Any] | None, timeout: float | None
) -> Plan:
    """The plan of a graph.

    :raises DefinitionError: naming the graph, the step, what is wrong and the cure.
    """
    what = f"graph {name}"
    labels = [step.name for step in steps]
    arguments = [_arguments(f"{what}: step {step.name}", step, input_type, steps) for step in steps]
    needs = [_needs(each, steps) for each in arguments]
    specs = [_spec(step) for step in steps]
    waits = [
        tuple(dict.fromkeys([*_after(f"{what}: step {step.name}", step, steps), *(labels[n] for n in needed)]))
        for step, needed in zip(steps, needs, strict=True)
    ]
    try:
        order = arrange([Item(*each) for each in zip(labels, [spec.role for spec in specs], waits, strict=True)])
    except Disorder as error:
        raise DefinitionError(f"{what}: {error}.") from error
    place = {original: new for new, original in enumerate(order.sequence)}
    index = {label: place[n] for n, label in enumerate(labels)}
    after = [tuple(sorted(index[label] for label in waits[n])) for n in order.sequence]
    nodes = tuple(
        Node(
            id=_branch_id(what, steps[original]),
            spec=specs[original],
            after=after[new],
            needs=tuple(sorted(place[n] for n in needs[original])),
            before=tuple(later for later, each in enumerate(after) if new in each),
            bind=bind_object({key: _source(value, steps, place) for key, value in arguments[original].items()}),
        )
        for new, original in enumerate(order.sequence)
    )
    if returns is None:
        result = bind_object({label: Source(place[n]) for n, label in enumerate(labels)})
    else:
        result = bind_value(_placed(returns, steps, place))
    plan = Plan(
        name=name,
        form="graph",
        steps=nodes,
        pivot=-1 if order.pivot < 0 else place[order.pivot],
        retriables=any(spec.role is Role.RETRIABLE for spec in specs),
        returns=result,
        timeout=_timeout(specs) if timeout is None else timeout,
    )
    return prepared(plan)


def _arguments(what: str, use: GraphStep[Any], input_type: Any, steps: Sequence[GraphStep[Any]]) -> dict[str, Argument]:
    """What each parameter gets: as given, else the input by its type, else its field of that name, else the default."""
    parameters = use.step.signature.taking(use.arguments)
    for name in use.arguments:
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise DefinitionError(f"{what} has no parameter {name}; it has {known}. Leave it out, or name one.")
    made: dict[str, Argument] = {}
    for name, parameter in parameters.items():
        if name in use.arguments:
            made[name] = _given(what, parameter, use.arguments[name], steps)
        elif input_type is not Any and parameter.annotation == input_type:
            made[name] = use.graph.input
        elif name in (fields_of(input_type) or ()):
            made[name] = _checked(what, parameter, use.graph.input[name])
        elif parameter.default is None:
            raise DefinitionError(
                f"{what}: parameter {name} is neither given nor a field of the input. "
                f"Pass it, e.g. {name}=a.result of an earlier step a, or {name}=place.input.…"
            )
    return made


def _given(what: str, parameter: Parameter, value: Any, steps: Sequence[GraphStep[Any]]) -> Argument:
    if not isinstance(value, Ref):
        try:
            return bytes(encode(value, parameter.annotation, parameter.name))
        except PayloadError as error:
            raise DefinitionError(f"{what}: {error}.") from error
    source, _, _, label = parts(value)
    if source is not None and not any(source is step for step in steps):
        raise DefinitionError(f"{what}: {parameter.name}={label} is of another graph. Refer to a step of this one.")
    return _checked(what, parameter, value)


def _checked(what: str, parameter: Parameter, ref: Ref[Any]) -> Ref[Any]:
    """The reference, unless its type and the parameter's are plain ones that can never fit."""
    _, _, found, label = parts(ref)
    wanted = parameter.annotation
    fits = found == wanted or (found is int and wanted is float)
    if found in SCALARS and wanted in SCALARS and not fits:
        raise DefinitionError(
            f"{what}: parameter {parameter.name} is {wanted.__name__}, but {label} is {found.__name__}. "
            "Refer to another value, or convert it in a step."
        )
    return ref


def _needs(arguments: Mapping[str, Argument], steps: Sequence[GraphStep[Any]]) -> list[int]:
    """Indexes of the steps whose results the arguments use."""
    sources = [parts(value)[0] for value in arguments.values() if isinstance(value, Ref)]
    return [n for n, step in enumerate(steps) if any(source is step for source in sources)]


def _after(what: str, use: GraphStep[Any], steps: Sequence[GraphStep[Any]]) -> list[str]:
    """The labels of the steps that ``after=`` names."""
    found: list[str] = []
    for each in use.after:
        if not isinstance(each, str):
            if not any(each is step for step in steps):
                raise DefinitionError(f"{what}: after={each!r} is no step of this graph. Pass what .step(…) returned.")
            found.append(each.name)
            continue
        matching = [step.name for step in steps if step.name == each]
        matching = matching or [step.name for step in steps if getattr(step.step, "__name__", "") == each]
        if len(matching) > 1:
            raise DefinitionError(f"{what}: after={each!r} could be {' or '.join(matching)}. Name one of them.")
        found.append(matching[0] if matching else each)
    return found


def _spec(use: GraphStep[Any]) -> StepSpec:
    return use.step.spec if use.role is None else structs.replace(use.step.spec, role=Role(use.role))


def _branch_id(what: str, use: GraphStep[Any]) -> str:
    try:
        return branch_id(ROOT, use.step.name, use.occurrence)
    except Unfit as error:
        raise LimitExceeded(error.limit, f"{what}: {error.problem}", error.maximum, error.cure) from error


def _source(value: Argument, steps: Sequence[GraphStep[Any]], place: Mapping[int, int]) -> bytes | Source:
    return _placed(value, steps, place) if isinstance(value, Ref) else value


def _placed(ref: Ref[Any], steps: Sequence[GraphStep[Any]], place: Mapping[int, int]) -> Source:
    """Where a reference's value is, by the plan's indexes."""
    source, path, _, _ = parts(ref)
    if source is None:
        return Source(INPUT, path)
    return Source(place[next(n for n, step in enumerate(steps) if step is source)], path)


def _timeout(specs: Iterable[StepSpec]) -> float:
    """The larger of the default and what all steps may take one after the other."""
    budgets = itertools.starmap(budget, [(spec.timeout, spec.attempts, spec.interval) for spec in specs])
    return max(limits.COORDINATOR_TIMEOUT, sum(budgets))
