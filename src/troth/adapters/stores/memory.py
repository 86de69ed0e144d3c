"""The memory store: the whole contract of `troth.ports.store` without durability.

For tests, examples and the simulator: no clock, no chance and no threads of its own. Several stores on one
`MemoryLog` are several nodes of one log; which of them live is said from outside (`MemoryLog.kill`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from troth.adapters.stores.ledger import ABORTED, decided, gid_key
from troth.adapters.stores.memory_log import Decision, MemoryLog, Row
from troth.ports.errors import Fenced, RowRejected, StoreError
from troth.ports.store import Batch, BatchOutcome, LedgerEntry, NodeRow, Opened, Record, Request, Write

__all__ = ["MemoryLog", "MemoryStore"]

_MOST = 2**63 - 1
_CLOSED = "this store is not open: call open() first"


class MemoryStore:
    """One node's view of a log held in memory.

    :param shared: the log; None makes one of its own. Stores that share a log are nodes of it.
    """

    def __init__(self, shared: MemoryLog | None = None) -> None:
        self.log = MemoryLog() if shared is None else shared
        self._lock: threading.RLock = self.log.lock
        self._node = 0
        self._outcome = BatchOutcome()
        """Of the newest batch."""

    @property
    def node(self) -> int:
        """The number of this store's node, or 0 while it is not open."""
        return self._node

    # -- a node's life

    def open(self, incarnation: str, now: int) -> Opened:
        """Clause 1: register a new node.

        :param incarnation: 32 hex digits, never used before.
        :param now: microseconds.
        """
        with self._lock:
            if self._node:
                raise StoreError(f"this store is open already, as node {self._node}: close it first")
            node = self.log.register(incarnation, now)
            self._node = node.node
            return Opened(node.node, node.floor, self.log.id)

    def close(self) -> None:
        """Clause 17. Can be called twice."""
        with self._lock:
            node, self._node = self._node, 0
            if node:
                self.log.held.discard(node)
                if not self.log.owned(node):
                    self.log.bury(node)

    def abandon(self) -> None:
        """In a forked child: forget the node; it stays the parent's."""
        self._node = 0

    def _alive(self) -> NodeRow:
        if not self._node:
            raise StoreError(_CLOSED)
        row = self.log.nodes.get(self._node)
        if row is None or not row.alive:
            raise Fenced(f"node {self._node} was declared dead: nothing was written")
        return row

    # -- the journal

    def commit(self, batch: Batch) -> BatchOutcome:
        """Clauses 2 to 7: write a batch as a whole or not at all."""
        with self._lock:
            node = self._alive()
            for write in batch.writes:
                _check(write)
            self.log.renew(node, batch.number, batch.floor)
            conflicts: set[bytes] = set()
            lost: set[bytes] = set()
            for write in batch.writes:
                if write.insert:
                    if not self._insert(write):
                        conflicts.add(write.uid)
                elif not self._update(write):
                    lost.add(write.uid)
            overruled = frozenset([w.uid for w in batch.writes if w.uid in conflicts and self.log.overruled(w)])
            self._outcome = BatchOutcome(frozenset(conflicts), frozenset(lost), overruled)
            return self._outcome

    def _insert(self, write: Write) -> bool:
        log = self.log
        there = log.rows.get(write.gid)
        if there is not None:
            return there.uid == write.uid
        if (not write.fresh and gid_key(write.gid) in log.ledger) or log.overruled(write):
            return False
        log.add(write, self._node)
        if write.pattern == "two_phase":
            log.decisions[write.uid] = Decision(write.gid, "", write.updated)
        return True

    def _update(self, write: Write) -> bool:
        row = self.log.rows.get(write.gid)
        if row is None or row.uid != write.uid or row.owner != self._node:
            return False
        if write.rev < row.write.rev:
            return True
        if write.rev > row.write.rev:
            row.claims = 0
        self.log.replace(row, write)
        return True

    def settle(self, number: int) -> BatchOutcome | None:
        """Clause 8: what became of batch ``number``, if it was written?"""
        with self._lock:
            return self._outcome if self._alive().batch >= number else None

    # -- other nodes

    def dead_nodes(self) -> list[int]:
        """Clause 9: nodes that count as alive and whose process is gone."""
        with self._lock:
            return [n.node for n in self.log.nodes.values() if n.alive and n.node not in self.log.held]

    def declare_dead(self, node: int) -> bool:
        """Clause 9: True to the one caller that declared it."""
        with self._lock:
            return self.log.bury(node)

    def unfinished(self, after_seq: int, limit: int) -> list[Record]:
        """Clause 10: unfinished rows of nodes that are not alive, lowest seq first."""
        with self._lock:
            rows = [r for r in self.log.orphans() if r.seq > after_seq]
            return [self.log.record(row) for row in rows[:limit]]

    def adopt(self, uids: Sequence[bytes], now: int) -> list[bytes]:
        """Clause 10: own these rows; returns those it got."""
        with self._lock:
            self._alive()
            orphans = {row.uid: row for row in self.log.orphans()}
            got = [uid for uid in dict.fromkeys(uids) if uid in orphans]
            for uid in got:
                self.log.give(orphans[uid], self._node)
            return got

    def set_waiting(self, uids: Sequence[tuple[bytes, str]]) -> None:
        """Note what code unadopted rows wait for."""
        with self._lock:
            orphans = {row.uid: row for row in self.log.orphans()}
            for uid, waiting in uids:
                if uid in orphans:
                    orphans[uid].write = orphans[uid].write._replace(waiting=waiting)

    # -- readers

    def get(self, gid: str) -> Record | LedgerEntry | None:
        """Clause 12."""
        with self._lock:
            row = self.log.rows.get(gid)
            return self.log.record(row) if row is not None else self.log.ledger.get(gid_key(gid))

    def find(
        self,
        *,
        states: Sequence[str] = (),
        since: int = 0,
        definition: str = "",
        after_seq: int = 0,
        limit: int = 100,
        newest_first: bool = True,
    ) -> list[Record]:
        """Transactions by seq, begun at or after ``since`` (microseconds); ``after_seq``: where the last page ended."""
        with self._lock:
            rows = sorted(self.log.rows.values(), key=lambda row: row.seq, reverse=newest_first)
            found = [
                row
                for row in rows
                if (not states or row.write.state in states)
                and row.write.begun >= since
                and (not definition or row.write.definition == definition)
                and (not after_seq or (row.seq < after_seq if newest_first else row.seq > after_seq))
            ]
            return [self.log.record(row) for row in found[:limit]]

    def counts(self) -> dict[str, int]:
        """Transactions by state."""
        with self._lock:
            counted: dict[str, int] = {}
            for row in self.log.rows.values():
                counted[row.write.state] = counted.get(row.write.state, 0) + 1
            return counted

    def nodes(self) -> list[NodeRow]:
        """All known nodes, oldest first."""
        with self._lock:
            return list(self.log.nodes.values())

    def mark(self) -> int:
        """Clause 15."""
        with self._lock:
            return self.log.mark()

    # -- two-phase

    def abort(self, uid: bytes, incarnation: str, now: int) -> bool:
        """Clause 19: True if the abort stands."""
        with self._lock:
            self._alive()
            return not self.log.decisions.setdefault(uid, Decision("", incarnation, now)).gid

    def decisions(self, uids: Sequence[bytes]) -> dict[bytes, Record | LedgerEntry]:
        """Clause 20."""
        with self._lock:
            found = {uid: self.log.decisions[uid] for uid in uids if uid in self.log.decisions}
            return {uid: self._decided(uid, decision) for uid, decision in found.items()}

    def _decided(self, uid: bytes, decision: Decision) -> Record | LedgerEntry:
        return decided(uid, decision.at, self.get(decision.gid) if decision.gid else ABORTED)

    # -- the mailbox

    def post(self, request: Request) -> None:
        """Clause 14: put a request into the mailbox."""
        with self._lock:
            self.log.post(request)

    def take(self) -> list[Request]:
        """Clause 14: the requests for this node's transactions."""
        with self._lock:
            self._alive()
            taken: list[Request] = []
            kept: list[Request] = []
            for request in self.log.requests:
                row = self.log.rows.get(request.gid)
                if row is None or row.write.finished:
                    continue
                (taken if row.owner == self._node else kept).append(request)
            self.log.requests = kept
            return taken

    # -- retention

    def purge(self, now: int, retention: int, ledger: int, limit: int) -> int:
        """Clause 16. All times in microseconds; returns how many rows moved to the ledger."""
        with self._lock:
            due = [row for row in self.log.rows.values() if 0 < row.write.finished < now - retention]
            due.sort(key=lambda row: (row.write.finished, row.seq))
            for row in due[:limit]:
                self._retire(row)
            old = [key for key, entry in self.log.ledger.items() if entry.finished < now - ledger]
            for key in old[:limit]:
                del self.log.ledger[key]
            self.log.forget_nodes()
            self.log.forget_decisions(now - ledger)
            return len(due[:limit])

    def _retire(self, row: Row) -> None:
        write = row.write
        self.log.ledger[gid_key(write.gid)] = LedgerEntry(write.content, write.state, write.finished)
        del self.log.rows[write.gid]


def _check(write: Write) -> None:
    """A real database would refuse these; so that tests on memory find them, so do we."""
    for name in ("gid", "pattern", "definition", "state", "waiting"):
        text: str = getattr(write, name)
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise RowRejected(f"{write.gid!r}: {name} can't be stored: {error}") from None
    for name in ("rev", "begun", "updated", "finished"):
        number: int = getattr(write, name)
        if not -_MOST - 1 <= number <= _MOST:
            raise RowRejected(f"{write.gid!r}: {name} {number} does not fit in 64 bits")
