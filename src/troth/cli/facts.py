"""What a stored transaction says about itself: facts for tables, trees and programs alike."""

from __future__ import annotations

from typing import NamedTuple

from troth.adapters.stores.sqlite import SqliteViewer
from troth.adapters.stores.sqlite.health import gone
from troth.cli.plain import clean
from troth.core.draft import REMEMBER
from troth.core.state import Branch, Transaction
from troth.core.words import FINAL, Fate, State
from troth.engine.live import doc_of
from troth.ports.store import NodeRow, Record


class Nodes(NamedTuple):
    """The nodes of the log: all rows, and the numbers of those that live."""

    rows: dict[int, NodeRow]
    alive: frozenset[int]

    def text(self, node: int) -> str:
        """``3 alive (pid 4711 on shop-1)``."""
        row = self.rows.get(node)
        if row is None:
            return "none" if node == 0 else f"{node} gone"
        return f"{node} {'alive' if node in self.alive else 'dead'} (pid {row.pid} on {clean(row.host)})"


def nodes_of(reader: SqliteViewer) -> Nodes:
    """Who lives: a node whose row says so and whose lock, or lease, holds."""
    rows = {row.node: row for row in reader.nodes()}
    living = frozenset(number for number, row in rows.items() if row.alive)
    return Nodes(rows, living - gone(reader.path, living))


class Facts(NamedTuple):
    """A transaction and what its row and the nodes say about it."""

    record: Record
    doc: Transaction
    nodes: Nodes

    @property
    def finished(self) -> bool:
        """Ended, or closed by hand."""
        return self.record.finished != 0

    @property
    def owned(self) -> bool:
        """A living node drives it."""
        return self.record.owner in self.nodes.alive

    @property
    def state(self) -> str:
        """As shown."""
        return f"{self.doc.state} (closed)" if self.doc.closed else self.record.state

    @property
    def waits_for(self) -> str:
        """What an unfinished transaction that nobody drives waits for; "" if somebody does, or it is finished."""
        if self.finished or self.owned:
            return ""
        if self.record.waiting:
            return f"waiting for code: {clean(self.record.waiting)}"
        return "waiting for take-over" if self.nodes.alive else "waiting for a node"

    @property
    def why(self) -> str:
        """The reason, in one line."""
        doc = self.doc
        if doc.closed:
            return f"closed by hand: {clean(doc.closed)}"
        if doc.resolving:
            return f"being closed: {clean(doc.resolving)}"
        return clean(doc.reason or doc.stuck or doc.doom)

    def took(self, now: int) -> int:
        """Microseconds from its begin to its end, or until now."""
        return max(0, (self.record.finished or now) - self.record.begun)


def facts_of(record: Record, nodes: Nodes) -> Facts:
    """Decode a row."""
    return Facts(record, doc_of(record), nodes)


def real(doc: Transaction) -> list[Branch]:
    """The branches that have a participant: remembered values have none."""
    return [branch for branch in doc.branches if branch.name != REMEMBER]


def is_open(doc: Transaction, branch: Branch) -> bool:
    """Is something still owed for this branch, as far as the log alone can say?"""
    if doc.state in FINAL or branch.name == REMEMBER:
        return False
    if branch.stuck or branch.calling or branch.due or branch.unknown:
        return True
    if branch.fate in (Fate.CALLING, Fate.GAVE_UP):
        return True
    if doc.phase is State.CANCELLING:
        return branch.fate is Fate.DONE
    if doc.phase is State.CONFIRMING and doc.pattern == "tcc":
        return branch.fate is Fate.DONE
    return branch.fate in (Fate.IDLE, Fate.HELD)


def open_of(doc: Transaction) -> list[Branch]:
    """The branches for which something is still owed."""
    return [branch for branch in doc.branches if is_open(doc, branch)]
