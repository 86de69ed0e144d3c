"""The code that a simulated process was started with: which sagas and steps it knows, and how their programs read."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from msgspec import Raw

from troth.core.plan import Plan, StepSpec
from troth.testing.simulation.catalog import STEPS
from troth.testing.simulation.programs import Body, calls_of


class Step(NamedTuple):
    """What the engine's ownership wants to know of a step."""

    name: str


class Holds(NamedTuple):
    """A TCC's definition.

    :param steps: the participants of a declared one, in order.
    :param body: what the initiator of an open one does.
    :param timeout: seconds of its undecided part.
    """

    form: Literal["declared", "open"]
    steps: tuple[str, ...] = ()
    body: Body = ()
    timeout: float = 3.0

    @property
    def uses(self) -> list[str]:
        """The participants that it calls."""
        return [*self.steps, *calls_of(self.body)]


class Code:
    """The part of `engine.participants.Registry` that ownership asks.

    :param graphs: graph name -> plan.
    :param bodies: function name -> program.
    :param timeouts: function name -> seconds.
    :param missing: steps and definitions that this version has no code for.
    :param holds: TCC name -> definition.
    """

    def __init__(
        self,
        graphs: dict[str, Plan],
        bodies: dict[str, Body],
        timeouts: dict[str, float],
        missing: frozenset[str] = frozenset(),
        holds: dict[str, Holds] | None = None,
    ) -> None:
        self.graphs = graphs
        self.bodies = bodies
        self.timeouts = timeouts
        self.missing = missing
        self.holds = holds or {}
        self._plans: dict[str, Plan] = {}

    def step(self, name: str) -> StepSpec | None:
        """The step of that name."""
        return None if name in self.missing else STEPS.get(name)

    def body(self, definition: str) -> Body:
        """The program of a function."""
        return self.holds[definition].body if definition in self.holds else self.bodies[definition]

    def branches(self, definition: str, given: Raw) -> list[tuple[str, str, Raw]]:
        """The branches of a declared TCC."""
        counts: Counter[str] = Counter()
        found = []
        for number, step in enumerate(self.holds[definition].steps):
            counts[step] += 1
            found.append((f"0/{step}#{counts[step]}", step, Raw(b'{"n":%d,"given":%b}' % (number, bytes(given)))))
        return found

    def form(self, definition: str) -> str:
        """What kind of transaction that definition makes."""
        holds = self.holds.get(definition)
        return holds.form if holds else "graph" if definition in self.graphs else "function"

    def participant(self, name: str) -> Step | None:
        """As `engine.participants.Registry`."""
        return None if self.step(name) is None else Step(name)

    def plan(self, definition: str, form: str) -> Plan | None:
        """As `engine.participants.Registry`."""
        if definition in self.missing:
            return None
        if form == "graph":
            return self.graphs.get(definition)
        plan = self._plans.get(definition)
        if plan is None and definition in self.bodies:
            plan = Plan(definition, "function", lookup=self.step, same=same_arguments, timeout=self.timeouts[definition])
        elif plan is None and definition in self.holds:
            holds = self.holds[definition]
            plan = Plan(definition, holds.form, lookup=self.step, timeout=holds.timeout, pattern="tcc")
        if plan is not None:
            self._plans[definition] = plan
        return plan


def same_arguments(name: str, one: Raw, other: Raw) -> bool:
    """Arguments are equal if their bytes are."""
    return bytes(one) == bytes(other)
