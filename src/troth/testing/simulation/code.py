"""The code that a simulated process was started with: which sagas and steps it knows, and how their programs read."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Raw

from troth.core.plan import Plan, StepSpec
from troth.testing.simulation.catalog import STEPS
from troth.testing.simulation.programs import Body


class Step(NamedTuple):
    """What the engine's ownership wants to know of a step."""

    name: str


class Code:
    """The part of `engine.participants.Registry` that ownership asks.

    :param graphs: graph name -> plan.
    :param bodies: function name -> program.
    :param timeouts: function name -> seconds.
    :param missing: steps and sagas that this version has no code for.
    """

    def __init__(
        self,
        graphs: dict[str, Plan],
        bodies: dict[str, Body],
        timeouts: dict[str, float],
        missing: frozenset[str] = frozenset(),
    ) -> None:
        self.graphs = graphs
        self.bodies = bodies
        self.timeouts = timeouts
        self.missing = missing
        self._functions: dict[str, Plan] = {}

    def step(self, name: str) -> StepSpec | None:
        """The step of that name."""
        return None if name in self.missing else STEPS.get(name)

    def body(self, definition: str) -> Body:
        """The program of a function."""
        return self.bodies[definition]

    def participant(self, name: str) -> Step | None:
        """As `engine.participants.Registry`."""
        return None if self.step(name) is None else Step(name)

    def plan(self, definition: str, form: str) -> Plan | None:
        """As `engine.participants.Registry`."""
        if definition in self.missing:
            return None
        if form == "graph":
            return self.graphs.get(definition)
        if definition not in self.bodies:
            return None
        plan = self._functions.get(definition)
        if plan is None:
            plan = Plan(definition, "function", lookup=self.step, same=same_arguments, timeout=self.timeouts[definition])
            self._functions[definition] = plan
        return plan


def same_arguments(name: str, one: Raw, other: Raw) -> bool:
    """Arguments are equal if their bytes are."""
    return bytes(one) == bytes(other)
