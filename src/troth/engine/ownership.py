"""Ownership: a dead node's work goes on here. Declare dead, *then* read; adopt only what this node has code for."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from troth.core import limits
from troth.core.draft import REMEMBER
from troth.core.move import Resolve, Retry
from troth.core.plan import Plan
from troth.core.quick import State
from troth.core.retry import MICRO
from troth.engine.live import doc_of
from troth.engine.participants import Registry
from troth.ports.errors import StoreError
from troth.ports.store import Record
from troth.ports.store import Request as Wish

if TYPE_CHECKING:
    from troth.engine.node import Node

log = logging.getLogger("troth")
PURGE_EVERY = 50
"""Sweeps between two purges."""
DAY = 86_400 * MICRO
RETENTION = limits.RETENTION_DAYS * DAY
LEDGER = limits.LEDGER_DAYS * DAY
ADOPT_EVERY = 10
"""Sweeps between two looks at unowned rows when no node died: code may have arrived that they wait for."""


def missing_code(registry: Registry, record: Record) -> tuple[Plan | None, str]:
    """The plan of a stored transaction, and the names that this node has no code for ("" if it can drive it).

    A transaction is driven only where its saga *and* every recorded step resolve, by name or alias (A9).
    """
    doc = doc_of(record)
    plan = registry.plan(doc.definition, doc.form)
    if plan is None:
        return None, doc.definition
    if plan.form == "graph":
        names = [node.spec.name for node in plan.steps]
        recorded = [branch.id for branch in doc.branches]
        if [node.id for node in plan.steps] != recorded and not same_steps(registry, plan, doc.branches):
            return plan, f"{doc.definition} as it was ({', '.join(recorded)})"
    else:
        names = [branch.name for branch in doc.branches]
    missing = [name for name in names if name != REMEMBER and registry.participant(name) is None]
    return plan, ", ".join(sorted(set(missing))) if missing else ""


def same_steps(registry: Registry, plan: Plan, branches: tuple[object, ...]) -> bool:
    """Does the graph still have the recorded steps in the recorded order, perhaps under new names?"""
    if len(plan.steps) != len(branches):
        return False
    for node, branch in zip(plan.steps, branches, strict=True):
        participant = registry.participant(getattr(branch, "name", ""))
        if participant is None or participant.name != node.spec.name:
            return False
    return True


class Sweeper:
    """Looks for dead nodes, unowned rows and wishes in the mailbox, ten times a second."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.sweeps = 0
        self.kept: list[Wish] = []
        """Wishes that came while a retry was under way: to resolve what may end by itself is for later."""
        self.undriven: dict[str, int] = {}
        """gid -> when to look: what this node may own in the log and does not drive."""

    def look_again(self, gid: str, at: int) -> None:
        """Have a transaction taken up again from the log, at that time (microseconds), if this node owns it then."""
        self.undriven[gid] = at

    async def run(self) -> None:
        """Sweep until cancelled. A fault of the store delays a sweep, it never ends it."""
        while not self.node.dead:
            try:
                await self.sweep()
            except StoreError as error:
                log.warning("looking after other nodes' work failed, trying again: %s", error)
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("looking after other nodes' work failed, trying again")
            await asyncio.sleep(limits.SWEEP_SECONDS)

    async def sweep(self) -> None:
        """One look around."""
        node, store = self.node, self.node.store
        if self.undriven:
            await self.take_up()
        died = False
        for number in await node.io(store.dead_nodes):
            died = await node.io(store.declare_dead, number) or died
        if died or self.sweeps % ADOPT_EVERY == 0:
            await self.adopt_all()
            node.mark = max(node.mark, await node.io(store.mark))
            node.driver.journal.beat()
            node.journal_waits()
        if self.sweeps % PURGE_EVERY == PURGE_EVERY - 1:
            await self.purge()
        self.sweeps += 1
        wishes, self.kept = self.kept, []
        for wish in [*wishes, *await node.io(store.take)]:
            self.grant(wish)

    async def adopt_all(self) -> None:
        """Take over, page by page, what nobody alive owns and this node has code for.

        While one page is driven the next one is claimed and the one after it is read.
        """
        ours: list[tuple[Record, Plan]] = []
        page = await self.unfinished(0)
        try:
            while page and not self.node.stopping:
                following = self.node.loop.create_task(self.unfinished(page[-1].seq))
                claiming = self.node.loop.create_task(self.adopt(page))
                await asyncio.sleep(0)  # both are on their way to the store
                self.drive_all(ours)
                ours = []
                try:
                    ours = await claiming
                finally:
                    page = await following
        finally:
            self.drive_all(ours)

    async def unfinished(self, after: int) -> list[Record]:
        """A page of what nobody alive owns."""
        return await self.node.io(self.node.store.unfinished, after, limits.ADOPT_PAGE)

    async def adopt(self, page: list[Record]) -> list[tuple[Record, Plan]]:
        """Become the owner of those of a page that can be driven here; note what the others wait for."""
        plans: dict[bytes, tuple[Plan, Record]] = {}
        waiting: list[tuple[bytes, str]] = []
        for record in page:
            plan, missing = missing_code(self.node.registry, record)
            if missing or plan is None:
                if record.waiting != missing:
                    log.warning("%s is waiting for code: %s", record.gid, missing)
                    waiting.append((record.uid, missing))
            else:
                plans[record.uid] = (plan, record)
        if waiting:
            await self.node.io(self.node.store.set_waiting, waiting)
        if not plans:
            return []
        return [(record, plan) for plan, record in [plans[uid] for uid in await self.claim(plans)]]

    def drive_all(self, ours: list[tuple[Record, Plan]]) -> None:
        """Go on with what is ours now."""
        for record, plan in ours:
            self.drive(record, plan, record.claims + 1)

    async def claim(self, plans: dict[bytes, tuple[Plan, Record]]) -> list[bytes]:
        """Make this node the owner of these rows. Without an answer it may own rows that nobody drives: looked for later."""
        try:
            return await self.node.io(self.node.store.adopt, list(plans), self.node.now())
        except StoreError:
            for _, record in plans.values():
                self.look_again(record.gid, self.node.now())
            raise

    async def take_up(self) -> None:
        """Drive what this node owns and does not drive: an adoption without an answer, a state that could not be stored."""
        node, now = self.node, self.node.now()
        for gid in [gid for gid, at in self.undriven.items() if at <= now]:
            record = await node.io(node.store.get, gid)
            del self.undriven[gid]
            if isinstance(record, Record) and record.owner == node.number and not record.finished:
                plan, missing = missing_code(node.registry, record)
                if plan is not None and not missing and gid not in node.driver.by_gid:
                    self.drive(record, plan, record.claims)

    def drive(self, record: Record, plan: Plan, claims: int) -> None:
        """Go on with a transaction that is now ours."""
        self.node.counters["adopted"] += 1
        self.node.driver.recover(self.node.driver.adopt(record, plan), claims)

    async def purge(self) -> None:
        """Move what is older than the retention to the ledger, page by page, letting others write in between."""
        store = self.node.store
        while await self.node.io(store.purge, self.node.now(), RETENTION, LEDGER, limits.PURGE_PAGE) == limits.PURGE_PAGE:
            await asyncio.sleep(limits.SWEEP_SECONDS / 2)  # not a wait: others shall write in between

    def grant(self, wish: Wish) -> None:
        """Carry out what an operator or another process asked for."""
        live = self.node.driver.by_gid.get(wish.gid)
        if live is None:
            return
        if wish.what == "resolve" and live.saga.doc.state is not State.FAILED:
            self.kept.append(wish)
            return
        log.info("%s: %s asked for by %s: %s", wish.gid, wish.what, wish.by, wish.reason)
        now = self.node.now()
        if wish.what == "retry":
            self.node.driver.feed(live, Retry(now))
        elif wish.what == "resolve":
            self.node.driver.feed(live, Resolve(now, wish.reason or "resolved by hand"))
