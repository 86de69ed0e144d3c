"""Declared sagas for the simulator: fixed shapes for the exhaustive walk, drawn ones for the seeds."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from troth.core.plan import Bind, Node, Plan
from troth.core.smooth import prepared
from troth.core.words import Role
from troth.testing.simulation.catalog import BARE, GUARDED, PIVOTS, STEPS, SURE
from troth.testing.simulation.chance import Chance

Shape = Sequence[tuple[str, tuple[int, ...], bool]]
"""(step, indexes it waits for, does it use their results), each after those it waits for."""


def uses(number: int, needs: tuple[int, ...]) -> Bind:
    """Arguments made of the step's number and of earlier results."""

    def bind(given: Raw, results: Sequence[Raw]) -> Raw:
        parts = b",".join(bytes(results[index]) for index in needs)
        return Raw(b'{"n":%d,"given":%b,"from":[%b]}' % (number, bytes(given), parts))

    return bind


def plan_of(name: str, shape: Shape, timeout: float) -> Plan:
    """A graph of that shape."""
    before: list[list[int]] = [[] for _ in shape]
    counts: dict[str, int] = {}
    nodes = []
    for index, (_, after, _) in enumerate(shape):
        for earlier in after:
            before[earlier].append(index)
    for index, (step, after, used) in enumerate(shape):
        counts[step] = counts.get(step, 0) + 1
        needs = after if used else ()
        nodes.append(Node(f"0/{step}#{counts[step]}", STEPS[step], after, needs, tuple(before[index]), uses(index, needs)))
    roles = [STEPS[step].role for step, _, _ in shape]
    pivot = roles.index(Role.PIVOT) if Role.PIVOT in roles else -1
    return prepared(Plan(name, "graph", tuple(nodes), pivot, Role.RETRIABLE in roles, timeout=timeout))


def drawn_graph(chance: Chance, number: int, *, bare: bool) -> Plan:
    """A random graph: compensable steps, perhaps a pivot after all of them, perhaps retriable ones at the end."""
    shape: list[tuple[str, tuple[int, ...], bool]] = []
    for _ in range(chance.between(1, 5, "graph size", number)):
        options = BARE if bare and chance.happens(0.25, "graph bare", number) else GUARDED
        after = tuple(i for i in range(len(shape)) if chance.happens(0.35, "graph edge", number))
        shape.append((chance.pick(options, "graph step", number), after, chance.happens(0.5, "graph uses", number)))
    compensable = tuple(range(len(shape)))
    last = compensable
    if chance.happens(0.5, "graph pivot", number):
        pivots = PIVOTS if bare else PIVOTS[:2]
        last = (len(shape),)
        shape.append((chance.pick(pivots, "graph pivot step", number), compensable, chance.happens(0.5, "graph uses", number)))
    if chance.happens(0.6, "graph retriable", number):
        for _ in range(chance.between(1, 2, "graph retriables", number)):
            steps = (*SURE, "print") if bare else SURE
            shape.append((chance.pick(steps, "graph sure", number), last, chance.happens(0.3, "graph uses", number)))
    timeout = chance.pick((0.8, 2.0, 5.0), "graph timeout", number)
    return plan_of(f"graph-{number}", shape, timeout)
