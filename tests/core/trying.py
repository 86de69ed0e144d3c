"""TCCs for the rules' tests, told as `tests.core.telling` tells sagas."""

from __future__ import annotations

from msgspec import Raw

from tests.core.telling import NOW, TIMEOUT, Role, Story, step
from troth.core import tcc
from troth.core.invariants import check
from troth.core.move import Event, Registered, Submitted
from troth.core.plan import Plan, StepSpec


class Tcc(Story):
    """A TCC of these participants: declared, or open until it is submitted."""

    def __init__(self, *names: str, form: str = "declared", guarded: bool = True, checkable: bool = False) -> None:
        self.now = NOW

        def lookup(name: str) -> StepSpec:
            return step(name, Role.COMPENSABLE, guarded=guarded, checkable=checkable)

        plan = Plan("tcc", "open" if form == "open" else "declared", lookup=lookup, pattern="tcc")
        declared = [(f"0/{name}#1", name, Raw(b"{}")) for name in names]
        self.move = tcc.begin(
            plan, gid="g", uid=b"u" * 16, input=Raw(b"{}"), now=NOW, begun=NOW, timeout=TIMEOUT, branches=declared
        )
        self.saga = self.move.state

    def happens(self, event: Event) -> str:
        """Feed an event; every state must be one that can be."""
        told = super().happens(event)
        check(self.saga)
        return told

    def calls(self, name: str, args: bytes = b"{}", parent: str = "", occurrence: int = 1) -> str:
        """The initiator, or a try, calls a participant."""
        return self.happens(Registered(self.now, f"{parent or '0'}/{name}#{occurrence}", name, Raw(args)))

    def submits(self, *names: str) -> str:
        """The initiator has called these and ends."""
        return self.happens(Submitted(self.now, tuple(f"0/{name}#1" for name in names), Raw(b"1")))

    def confirming(self) -> Tcc:
        """All tries are done."""
        for branch in self.saga.doc.branches:
            self.done(branch.name)
        return self


def opened() -> Tcc:
    """An open one."""
    return Tcc(form="open")
