"""Deploys: code changes under running sagas, machine after machine; steps are missing for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from troth.testing.simulation.catalog import ROUTES, STEPS
from troth.testing.simulation.chance import key_of
from troth.testing.simulation.code import Code
from troth.testing.simulation.drawing import edited
from troth.testing.simulation.programs import calls_of
from troth.testing.simulation.world import MS, SECOND, World

if TYPE_CHECKING:
    from troth.testing.simulation.machines import Machine


class Deploys:
    """The code that a process started now would have.

    :param machines: gives the machines that a deploy restarts.
    :ivar edited: functions that were changed at any time.
    """

    def __init__(self, world: World, code: Code, machines: Callable[[], list[Machine]]) -> None:
        self.world = world
        self.code = code
        self.machines = machines
        self.edited: set[str] = set()
        self.version = 0

    def current(self) -> Code:
        """The code of today."""
        return self.code

    def strike(self, fault: str) -> None:
        """A new version is rolled out."""
        self.version += 1
        chance, old = self.world.chance, self.code
        if fault == "deploy":
            bodies = dict(old.bodies)
            for name in sorted(bodies):
                if chance.happens(0.5, "edited", key_of(name)):
                    bodies[name] = edited(bodies[name], chance, key_of(f"{name}/{self.version}") % 997)
                    self.edited.add(name)
            users = [name for name in bodies if old.missing & set(calls_of(bodies[name]))]
            self.code = Code(old.graphs, bodies, old.timeouts, old.missing | set(users), old.holds)
            self.world.sometimes("code changes under a running saga")
        else:
            gone = chance.pick(sorted(STEPS), "missing step", self.version)
            self.code = self.without(gone)
            self.world.after(self.world.delay(300 * MS, 3 * SECOND, "missing for"), None, self.bring_back)
        self.roll_out()

    def without(self, step: str) -> Code:
        """The code without a step: functions that called it are rewritten not to, or gone too, as its graphs are."""
        chance, old = self.world.chance, self.code
        bodies = dict(old.bodies)
        for name in sorted(bodies):
            if step in calls_of(bodies[name]) and chance.happens(0.7, "rewritten", key_of(name)):
                bodies[name] = tuple(item for item in bodies[name] if step not in calls_of((item,)))
                self.edited.add(name)
        users = [name for name, body in bodies.items() if step in calls_of(body)]
        users += [name for name, plan in old.graphs.items() if step in [node.spec.name for node in plan.steps]]
        gone = {step, *(name for name, ways in ROUTES.items() if any(step in way for way in ways))}
        users += [name for name, holds in old.holds.items() if gone & set(holds.uses)]
        return Code(old.graphs, bodies, old.timeouts, frozenset({*gone, *users}), old.holds)

    def bring_back(self) -> None:
        """All names resolve again."""
        if self.code.missing:
            self.settle()
            self.roll_out()

    def settle(self) -> None:
        """The newest code, with all names."""
        old = self.code
        if old.missing:
            self.code = Code(old.graphs, old.bodies, old.timeouts, holds=old.holds)

    def roll_out(self) -> None:
        """Machine after machine restarts."""
        for number, machine in enumerate(self.machines()):
            wait = self.world.delay(0, 800 * MS, "rolls out", number)
            self.world.after(wait, None, self._restart, machine)

    def _restart(self, machine: Machine) -> None:
        if machine.life is not None and machine.life.code is not self.code:
            machine.crash(self.world.delay(10 * MS, 200 * MS, "restarts", machine.key))
