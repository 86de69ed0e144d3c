"""Two-phase transactions for the rules' tests, told as `tests.core.telling` tells sagas."""

from __future__ import annotations

from msgspec import Raw

from tests.core.telling import NOW, TIMEOUT, Role, Story, step
from troth.core import twophase
from troth.core.invariants import check
from troth.core.move import Aborted, Enlisted, Event, Overruled, Submitted
from troth.core.plan import Plan, StepSpec
from troth.core.words import Word


class Votes(Story):
    """A two-phase transaction of these databases; one whose name begins with ``-`` can't prepare."""

    def __init__(self, *names: str, vote_by: float | None = None) -> None:
        self.now = NOW

        def lookup(name: str) -> StepSpec:
            return step(name, Role.COMPENSABLE)

        plan = Plan("two-phase", "two_phase", lookup=lookup, pattern="two_phase")
        self.move = twophase.begin(
            plan, gid="g", uid=b"u" * 16, input=Raw(b"{}"), now=NOW, begun=NOW, incarnation="a" * 32, timeout=TIMEOUT,
            vote_by=vote_by,
        )  # fmt: skip
        self.saga = self.move.state
        for name in names:
            self.enlists(name)

    def happens(self, event: Event) -> str:
        """Feed an event; every state must be one that can be."""
        told = super().happens(event)
        check(self.saga)
        return told

    def enlists(self, name: str, occurrence: int = 1) -> str:
        """A database joins."""
        plain = name.lstrip("-")
        return self.happens(Enlisted(self.now, f"0/{plain}#{occurrence}", plain, prepares=plain == name))

    def submits(self) -> str:
        """All is done."""
        return self.happens(Submitted(self.now, tuple(b.id for b in self.saga.doc.branches), Raw(b"1")))

    def aborts(self) -> str:
        """An exception left the block."""
        return self.happens(Aborted(self.now, "its own error"))

    def read_only(self, name: str) -> str:
        """It votes yes and has written nothing."""
        return self.answer(name, Word.DONE, result=Raw(twophase.READ_ONLY))

    def overruled(self) -> str:
        """Another node wrote the abort first."""
        return self.happens(Overruled(self.now, "its abort was written first"))

    def decided(self) -> Votes:
        """It has been submitted, and all have voted yes."""
        self.submits()
        for branch in self.saga.doc.branches:
            if branch.calling and branch.op.value == "prepare":
                self.done(branch.name)
        return self
