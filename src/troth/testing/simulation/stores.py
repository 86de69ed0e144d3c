"""A node's word with the log, and all that can come between: errors, lost answers, a commit that is still running."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from troth.adapters.stores.memory import MemoryLog, MemoryStore
from troth.core.state import Saga
from troth.engine.journal import Commit, Settle, Ticket
from troth.ports.errors import CommitUnknown, RowRejected, StoreError, StoreUnavailable
from troth.ports.store import Batch, BatchOutcome
from troth.testing.simulation.chance import key_of
from troth.testing.simulation.faults import Site
from troth.testing.simulation.oracle import Oracle
from troth.testing.simulation.world import MS, SECOND, Process, World

Report = Callable[[BatchOutcome | StoreError | None], None]


class Running:
    """A commit whose answer is lost and which the store is still working on. It holds its node's row.

    :param lands: False: it will be rolled back.
    """

    __slots__ = ("batch", "lands", "over", "sagas", "store")

    def __init__(self, store: SimStore, batch: Batch, sagas: dict[bytes, Saga], *, lands: bool) -> None:
        self.store = store
        self.batch = batch
        self.sagas = sagas
        self.lands = lands
        self.over = False


class SharedLog:
    """One log, which several nodes' stores share.

    :ivar running: commits still under way though their nodes got no answer.
    :ivar out_until: the store can't be reached before this time.
    :ivar poison: uids whose next write can't be stored.
    """

    def __init__(self, world: World, oracle: Oracle, number: int) -> None:
        self.world = world
        self.oracle = oracle
        self.log = MemoryLog(f"{number:032x}")
        self.running: list[Running] = []
        self.out_until = 0
        self.poison: set[bytes] = set()

    def reachable(self) -> bool:
        """Is there no outage?"""
        return self.world.now >= self.out_until

    def finish_running(self) -> None:
        """A write waits for the lock that a running commit holds: until that has landed, or was rolled back."""
        for running in list(self.running):
            self.end(running)

    def end(self, running: Running) -> None:
        """A running commit comes to its end."""
        if running.over:
            return
        running.over = True
        self.running.remove(running)
        if running.lands:
            try:
                running.store.apply(running.batch, running.sagas)
                self.world.sometimes("a commit lands after its answer was lost")
            except StoreError:
                pass


class SimStore:
    """One node's store.

    :param process: the node's life.
    :param strike: carries out a fault that hits the process itself.
    """

    def __init__(self, shared: SharedLog, process: Process, name: str, strike: Callable[[str], None]) -> None:
        self.shared = shared
        self.world = shared.world
        self.process = process
        self.strike = strike
        self.name = name
        self.key = key_of(name)
        self.memory = MemoryStore(shared.log)
        self.newest = BatchOutcome()
        """Of the newest batch that was written."""

    # --- the journal's steps

    def do(self, step: Commit | Settle, tickets: list[Ticket], report: Report) -> None:
        """Do a step as the journal's thread would; exactly one report follows, unless the process dies."""
        if isinstance(step, Settle):
            self.later(300, 3_000, self._settle, step.number, report)
        else:
            sagas = {t.write.uid: t.saga for t in tickets}
            self._commit(step.batch, sagas, report)

    def later(self, low: int, high: int, do: Callable[..., None], *args: Any) -> None:
        """After a while, if the process lives then."""
        self.world.after(self.world.delay(low, high, "store takes", self.key), self.process, do, *args)

    def _commit(self, batch: Batch, sagas: dict[bytes, Saga], report: Report) -> None:
        fault = self.world.faults.at(Site.COMMIT, key_of(f"{self.name}/{batch.number}"))
        if fault:
            self.world.note(self.name, f"{fault} at batch {batch.number}")
        if fault == "store_outage":
            self.shared.out_until = self.world.now + self.world.spell(50 * MS, 3 * SECOND, "outage", self.key)
        elif fault == "store_poison" and sagas:
            self.shared.poison.add(min(sagas))
        if fault in ("crash_before_commit", "pause_at_commit"):
            self.later(10, 500, self.strike, fault)
        self.later(200, 2_000, self._arrives, batch, sagas, fault, report)

    def _arrives(self, batch: Batch, sagas: dict[bytes, Saga], fault: str, report: Report) -> None:
        """The batch has reached the store."""
        if not self.shared.reachable() or fault == "store_error":
            self.later(100, 1_000, report, StoreUnavailable("the store can't be reached"))
            return
        if not self.shared.poison.isdisjoint(sagas):
            if len(batch.writes) == 1:
                self.shared.poison.difference_update(sagas)
                self.world.sometimes("a poison row is rejected alone")
            self.later(100, 1_000, report, RowRejected("a row's data can't be stored"))
            return
        if fault == "store_lost":
            self.later(100, 1_000, report, CommitUnknown("the commit got no answer"))
        elif fault == "store_running":
            self._runs_on(batch, sagas, report)
        else:
            self._applied(batch, sagas, fault, report)

    def _applied(self, batch: Batch, sagas: dict[bytes, Saga], fault: str, report: Report) -> None:
        try:
            outcome = self.write(batch, sagas)
        except StoreError as error:
            self.later(100, 1_000, report, error)
            return
        if fault == "crash_after_commit":
            self.strike(fault)
        elif fault == "store_applied":
            self.later(100, 1_000, report, CommitUnknown("the commit got no answer"))
        else:
            self.later(100, 1_000, report, outcome)

    def _runs_on(self, batch: Batch, sagas: dict[bytes, Saga], report: Report) -> None:
        """The answer is lost while the store still works on the commit."""
        self.shared.finish_running()
        lands = self.world.spell(1, 10, "running lands", self.key) <= 7
        running = Running(self, batch, sagas, lands=lands)
        self.shared.running.append(running)
        self.world.after(self.world.spell(5 * MS, 400 * MS, "running ends", self.key), None, self.shared.end, running)
        self.later(100, 1_000, report, CommitUnknown("the connection broke"))

    def write(self, batch: Batch, sagas: dict[bytes, Saga]) -> BatchOutcome:
        """Write a batch, once nobody else holds the lock."""
        self.shared.finish_running()
        return self.apply(batch, sagas)

    def apply(self, batch: Batch, sagas: dict[bytes, Saga]) -> BatchOutcome:
        """What a database does with the batch. An insert of a known gid is a conflict, to the letter of clause 4."""
        rows = self.shared.log.rows
        there = frozenset(w.uid for w in batch.writes if w.insert and w.gid in rows)
        outcome = self.memory.commit(batch)
        for write in batch.writes:
            row = rows.get(write.gid)
            if row is not None and row.write.uid == write.uid and row.write.rev == write.rev and write.uid in sagas:
                self.shared.oracle.written(self.shared.log.id, self.memory.node, sagas[write.uid])
        self.newest = BatchOutcome(outcome.conflicts | there, outcome.lost, outcome.overruled)
        return self.newest

    def _settle(self, number: int, report: Report) -> None:
        if not self.shared.reachable():
            self.later(100, 1_000, report, StoreUnavailable("the store can't be reached"))
            return
        self.wait_for_lock()
        try:
            outcome = self.newest if self.memory.settle(number) is not None else None
        except StoreError as error:
            self.later(100, 1_000, report, error)
            return
        self.world.sometimes(f"an unanswered commit turns out {'lost' if outcome is None else 'written'}")
        self.later(100, 1_000, report, outcome)

    def wait_for_lock(self) -> None:
        """Clause 8: the lost commit may still be running; it holds the node's row, so reading it waits (P12)."""
        self.shared.finish_running()

    # --- the other words

    def reach(self) -> None:
        """Raise `StoreUnavailable` where the store can't be reached."""
        if not self.shared.reachable() or self.world.faults.at(Site.STORE, self.key) == "store_busy":
            raise StoreUnavailable("the store can't be reached")

    def bury(self, node: int) -> bool:
        """Clause 9: declare a node dead. The update waits for a commit that holds the row."""
        self.shared.finish_running()
        buried = self.memory.declare_dead(node)
        if buried:
            self.shared.oracle.fenced.add((self.shared.log.id, node))
        return buried
