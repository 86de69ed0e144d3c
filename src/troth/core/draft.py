"""A saga being rewritten by the rules. Local to one `decide`: it goes in as a value and comes out as a value."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from troth.core.move import FORCE, NO, NOTHING, RIDE, Command, Move, Save
from troth.core.plan import StepSpec
from troth.core.quick import Fate, Role
from troth.core.state import Branch, Run, Saga

replace = structs.replace
write = structs.force_setattr
"""Writes a field of a frozen value. Only for values that a draft owns: it made the copy, and nobody else has seen it."""


class Draft:
    """The state under the pen, the commands so far, and whether all of it must be durable first."""

    __slots__ = ("at", "branches", "called", "commands", "doc", "fresh", "plan", "problem", "run", "save")

    def __init__(self, saga: Saga, at: int) -> None:
        self.plan = saga.plan
        self.doc = saga.doc
        self.branches: list[Branch] = list(saga.doc.branches)
        self.run: Run = saga.run
        self.fresh = False
        self.at = at
        self.commands: list[Command] = []
        self.save: Save = NO
        self.called = -1
        self.problem = ""

    def set(self, **changes: Any) -> None:
        """Change the transaction: its first change makes the draft's own copy."""
        if not self.fresh:
            self.fresh = True
            self.doc = replace(self.doc, **changes)
            return
        for name, value in changes.items():
            write(self.doc, name, value)

    def put(self, index: int, **changes: Any) -> None:
        """Change a branch."""
        self.branches[index] = replace(self.branches[index], **changes)

    def emit(self, command: Command) -> None:
        """Ask something of the world."""
        self.commands.append(command)

    def ride(self) -> None:
        """This move should be stored when something is."""
        if self.save is NO:
            self.save = RIDE

    def force(self) -> None:
        """Nothing of this move may be seen before it is durable."""
        self.save = FORCE

    def spec(self, index: int) -> StepSpec:
        """The step behind a branch; one whose code is gone counts as bare."""
        if self.plan.form == "graph":
            return self.plan.steps[index].spec
        return spec_of(self.plan.lookup, self.branches[index].name)

    def pivot(self) -> int:
        """The index of the pivot that was called and may still win or has won; -1 if there is none."""
        if self.plan.form == "graph":
            return self.plan.pivot
        for index, branch in enumerate(self.branches):
            if branch.fate not in (Fate.REFUSED, Fate.NOT_DONE) and self.spec(index).role is Role.PIVOT:
                return index
        return -1

    def move(self) -> Move:
        """The finished value."""
        doc = self.doc
        if self.fresh:
            write(doc, "branches", tuple(self.branches))
        else:
            doc = replace(doc, branches=tuple(self.branches))
        saga = Saga(self.plan, doc, self.run, self.called, self.problem)
        commands = tuple(self.commands)
        if self.save is FORCE:
            return Move(saga, NOTHING, commands, FORCE)
        return Move(saga, commands, NOTHING, self.save)


def spec_of(lookup: Any, name: str) -> StepSpec:
    """The step of a recorded name. A remembered value is a branch without a participant."""
    if name == REMEMBER:
        return VALUE
    found: StepSpec | None = lookup(name) if lookup is not None else None
    return StepSpec(name) if found is None else found


REMEMBER = "troth.remember"
VALUE = StepSpec(REMEMBER, guarded=True, undoable=False)
