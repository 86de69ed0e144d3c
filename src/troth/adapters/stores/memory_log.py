"""What several memory stores share: the rows of one log."""

from __future__ import annotations

import threading
from typing import NamedTuple

import msgspec

from troth.ports.store import LedgerEntry, NodeRow, Record, Request, Write


class Decision(NamedTuple):
    """Who has a uid's key: the row of that gid, or ("") an abort, which holds while its incarnation lives."""

    gid: str
    incarnation: str
    at: int


class Row:
    """One transaction in memory: the last write of it and what the store knows beside."""

    __slots__ = ("chunks", "claims", "owner", "seq", "write")

    def __init__(self, seq: int, owner: int, write: Write) -> None:
        self.seq = seq
        self.owner = owner
        self.write = write
        self.claims = 0
        self.chunks: dict[int, bytes] = dict(write.chunks)

    @property
    def uid(self) -> bytes:
        """The transaction's uid."""
        return self.write.uid


class MemoryLog:
    """The rows that several `MemoryStore` objects, each a node, work on.

    :param log: the log's id: 32 hex digits. Two logs in one test get two ids.
    """

    def __init__(self, log: str = "0" * 32) -> None:
        self.id = log
        self.lock = threading.RLock()
        self.rows: dict[str, Row] = {}
        self.ledger: dict[bytes, LedgerEntry] = {}
        self.decisions: dict[bytes, Decision] = {}
        """By uid, of two-phase transactions."""
        self.nodes: dict[int, NodeRow] = {}
        self.held: set[int] = set()
        """Nodes whose process lives (a paused one too)."""
        self.requests: list[Request] = []
        self._open: dict[int, dict[int, Row]] = {}
        self._seq = 0
        self._last_node = 0
        self._last_request = 0
        self._floor = 0

    # -- nodes

    def kill(self, node: int) -> None:
        """Say that a node's process is gone: `MemoryStore.dead_nodes` will name it."""
        with self.lock:
            self.held.discard(node)

    def register(self, incarnation: str, now: int) -> NodeRow:
        """A new node, alive; its floor is above every floor there ever was."""
        self._last_node += 1
        self._floor = max(self._floor, now)
        row = NodeRow(self._last_node, incarnation, True, 0, self._floor, now, 0, "memory")
        self.nodes[row.node] = row
        self.held.add(row.node)
        return row

    def renew(self, node: NodeRow, batch: int, floor: int) -> None:
        """What each batch starts with. A floor never sinks."""
        floor = max(node.floor, floor)
        self._floor = max(self._floor, floor)
        self.nodes[node.node] = msgspec.structs.replace(node, batch=batch, floor=floor)

    def bury(self, node: int) -> bool:
        """Declare a node dead; True if it counted as alive."""
        row = self.nodes.get(node)
        if row is None or not row.alive:
            return False
        self.nodes[node] = msgspec.structs.replace(row, alive=False)
        self.held.discard(node)
        return True

    def alive(self, node: int) -> bool:
        """Does this node count as alive?"""
        row = self.nodes.get(node)
        return row is not None and row.alive

    def owned(self, node: int) -> bool:
        """Does this node own anything unfinished?"""
        return bool(self._open.get(node))

    def forget_nodes(self) -> None:
        """Drop dead nodes that own nothing unfinished."""
        for row in list(self.nodes.values()):
            if not row.alive and not self.owned(row.node):
                del self.nodes[row.node]

    def mark(self) -> int:
        """The lowest begin of an unfinished row and floor of a live node."""
        begins = [row.write.begun for rows in self._open.values() for row in rows.values()]
        return min(begins + [n.floor for n in self.nodes.values() if n.alive], default=self._floor)

    # -- rows

    def add(self, write: Write, owner: int) -> None:
        """A new transaction."""
        self._seq += 1
        row = Row(self._seq, owner, write)
        self.rows[write.gid] = row
        if not write.finished:
            self._open.setdefault(owner, {})[row.seq] = row

    def replace(self, row: Row, write: Write) -> None:
        """A newer write of a transaction; what never changes is kept from the first."""
        first = row.write
        row.write = write._replace(
            pattern=first.pattern, definition=first.definition, begun=first.begun, content=first.content
        )
        row.chunks.update(write.chunks)
        mine = self._open.setdefault(row.owner, {})
        if write.finished:
            mine.pop(row.seq, None)
        else:
            mine[row.seq] = row

    def orphans(self) -> list[Row]:
        """Unfinished rows whose owner is not alive, lowest seq first."""
        rows = [row for owner, rows in self._open.items() if not self.alive(owner) for row in rows.values()]
        return sorted(rows, key=lambda row: row.seq)

    def give(self, row: Row, node: int) -> None:
        """Make a node the owner of a row and count the claim."""
        self._open[row.owner].pop(row.seq)
        row.owner = node
        row.claims += 1
        self._open.setdefault(node, {})[row.seq] = row

    def overruled(self, write: Write) -> bool:
        """Clause 18: has an abort taken the row's second key?"""
        there = self.decisions.get(write.uid) if write.pattern == "two_phase" else None
        return there is not None and not there.gid

    def forget_decisions(self, before: int) -> None:
        """Clause 20: drop aborts of dead incarnations, and older keys of which neither row nor ledger is left."""
        living = {node.incarnation for node in self.nodes.values() if node.alive}
        for uid, there in list(self.decisions.items()):
            if (there.at < before and there.gid not in self.rows) if there.gid else there.incarnation not in living:
                del self.decisions[uid]

    def record(self, row: Row) -> Record:
        """A row as readers see it."""
        w = row.write
        return Record(
            uid=w.uid,
            gid=w.gid,
            rev=w.rev,
            pattern=w.pattern,
            definition=w.definition,
            state=w.state,
            begun=w.begun,
            updated=w.updated,
            finished=w.finished,
            content=w.content,
            owner=row.owner,
            owner_alive=self.alive(row.owner),
            claims=row.claims,
            waiting=w.waiting,
            body=w.body,
            chunks=tuple(sorted(row.chunks.items())),
            seq=row.seq,
        )

    # -- the mailbox

    def post(self, request: Request) -> None:
        """Put a request into the mailbox, under a fresh id."""
        self._last_request += 1
        self.requests.append(msgspec.structs.replace(request, id=self._last_request))
