"""What is checked while it happens: a mirror of what the log holds, and what may be done on the strength of it."""

from __future__ import annotations

from troth.core.invariants import InvariantBroken, check
from troth.core.plan import Plan
from troth.core.state import Saga, Transaction
from troth.core.words import FINAL, Fate, Op, Role, State
from troth.testing.simulation.catalog import STEPS
from troth.testing.simulation.world import World


def comes_after(plan: Plan, later: int, earlier: int) -> bool:
    """Does the one step of a graph wait for the other, directly or not?"""
    after = plan.steps[later].after
    return earlier in after or any(comes_after(plan, between, earlier) for between in after)


class Oracle:
    """Sees every durable write, every call and every word to a client.

    :ivar durable: by uid, the transaction as the log holds it.
    :ivar driven: by uid, microseconds during which some node drove it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.durable: dict[bytes, Transaction] = {}
        self.driven: dict[bytes, int] = {}
        self.since: dict[tuple[bytes, int], int] = {}
        self.fenced: set[tuple[str, int]] = set()
        self.troubled: dict[str, str] = {}
        """By gid, a call of its initiator that got another answer than done, or none."""

    # --- the log

    def written(self, log: str, node: int, saga: Saga) -> None:
        """A state is in the log."""
        doc = saga.doc
        if (log, node) in self.fenced:
            self.world.broken("S7", f"node {node} of log {log[:4]} wrote {doc.gid} after it was declared dead")
        before = self.durable.get(doc.uid)
        self.durable[doc.uid] = doc
        try:
            check(saga)
        except InvariantBroken as error:
            self.world.broken("invariant", str(error))
        if before is not None and before.phase is not State.TRYING and before.phase is not doc.phase:
            self.world.broken("S2", f"{doc.gid} was {before.phase} and is {doc.phase}")
        if before is not None and before.finished and not doc.finished:
            self.world.broken("S2", f"{doc.gid} had ended and is open again")
        if before is not None:
            self.note_rare(before, doc)

    def note_rare(self, before: Transaction, doc: Transaction) -> None:
        """Rare states are counted."""
        if doc.doom and not before.doom:
            self.world.sometimes("a pivot is in doubt when its saga is to be cancelled")
        if doc.state is State.FAILED and before.state is not State.FAILED:
            self.world.sometimes("a person is needed")
        if before.state is State.FAILED and doc.state in (State.CONFIRMED, State.CANCELLED):
            self.world.sometimes("a failed transaction ends by itself")

    def told(self, until: str, doc: Transaction) -> None:
        """A client is told: is that in the log?"""
        kept = self.durable.get(doc.uid)
        behind = kept is None or (doc.phase is not State.TRYING and kept.phase is not doc.phase)
        if behind or (kept is not None and doc.state in FINAL and kept.state is not doc.state):
            self.world.broken("S3", f"{doc.gid}: {until} is told, {doc.state}, and the log says {kept and kept.state}")

    # --- calls

    def called(self, node: int, saga: Saga, index: int, op: Op) -> None:
        """A request leaves a node: is what it acts on durable?"""
        doc = saga.doc
        kept = self.durable.get(doc.uid)
        branch = doc.branches[index]
        name = f"{op} of {branch.id} of {doc.gid} by node {node}"
        if kept is None:
            self.world.broken("S2", f"{name}: sent before its transaction was durable")
            return
        known = kept.branches[index] if index < len(kept.branches) else None
        spec = STEPS.get(branch.name)
        if op is Op.COMPENSATE:
            if kept.phase is not State.CANCELLING and (known is None or known.fate not in (Fate.GAVE_UP, Fate.COMPENSATED)):
                self.world.broken("S2", f"{name}: sent before the cancel was durable")
            later = self.undone_too_late(saga, index)
            if doc.phase is State.CANCELLING and later and branch.fate is not Fate.GAVE_UP:
                self.world.broken("order", f"{name}: sent before {later} was undone")
        elif op is Op.CONFIRM or op is Op.CANCEL:
            if kept.phase is not (State.CONFIRMING if op is Op.CONFIRM else State.CANCELLING):
                self.world.broken("S2", f"{name}: sent before its decision was durable")
        elif op is Op.TRY:
            if known is None or (spec is not None and not spec.guarded and known.fate is Fate.IDLE):
                self.world.broken("S2", f"{name}: sent before its registration was durable")
        elif op is Op.ACTION and spec is not None:
            forced = doc.form == "function" or not spec.guarded or spec.role is Role.PIVOT
            if forced and (known is None or known.fate in (Fate.IDLE, Fate.HELD)):
                self.world.broken("S2", f"{name}: sent before its intent was durable")
            if kept.phase is State.CANCELLING and not branch.calling:
                self.world.broken("S2", f"{name}: sent in a cancelled transaction")

    def undone_too_late(self, saga: Saga, index: int) -> str:
        """The branch that came after this one, may have run, and isn't undone yet: undoing goes backwards."""
        for other, branch in enumerate(saga.doc.branches):
            after = comes_after(saga.plan, other, index) if saga.plan.form == "graph" else other > index
            spec = STEPS.get(branch.name)
            ran = branch.fate in (Fate.CALLING, Fate.DONE, Fate.GAVE_UP) or (branch.fate is Fate.IDLE and branch.unknown)
            if after and ran and spec is not None and spec.undoable:
                return branch.id
        return ""

    # --- who drives

    def drives(self, uid: bytes, node: int) -> None:
        """A node begins to drive a transaction."""
        self.since[uid, node] = self.world.now

    def rests(self, uid: bytes, node: int) -> None:
        """It no longer does."""
        since = self.since.pop((uid, node), None)
        if since is not None:
            self.driven[uid] = self.driven.get(uid, 0) + self.world.now - since
