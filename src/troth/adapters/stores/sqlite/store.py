"""The SQLite store: any number of processes of one machine on one file, each a node of the log."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Callable, Sequence
from typing import Final

from troth.adapters.forks import nothing_rested, rests_at_forks
from troth.adapters.stores.sqlite import upkeep
from troth.adapters.stores.sqlite.batch import rows_of, statements
from troth.adapters.stores.sqlite.failures import DATA_ERRORS
from troth.adapters.stores.sqlite.node import OpenNode
from troth.adapters.stores.sqlite.readable import Readable
from troth.adapters.stores.sqlite.reading import Reader
from troth.adapters.stores.sqlite.viewer import SqliteViewer
from troth.ports.errors import CommitUnknown, Fenced, RowRejected, StoreError
from troth.ports.store import Batch, BatchOutcome, Opened, Record, Request

_HINTS: Final = 20_000
"""Uids whose place is remembered between `unfinished` and `adopt`: a few pages of a take-over."""
_NOTHING: Final = BatchOutcome()


class SqliteStore(Readable):
    """The log in one SQLite file. See `troth.ports.store` for what each method promises.

    Beside the file stand ``<path>-turn`` (the write turnstile) and ``<path>-nodes/`` (a locked file per living node).

    :param path: the file; nothing is opened before `open`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._node: OpenNode | None = None
        self._seqs: dict[bytes, int] = {}
        self._unanswered: Batch | None = None
        """A batch whose commit got no answer."""

    # -- a node's life

    def open(self, incarnation: str, now: int) -> Opened:
        """Clause 1: create or migrate the file and register a new node.

        :raises ConfigurationError: SQLite is too old, or the path is no place for a file.
        :raises StoreError: read-only, damaged, too new, full, or unreachable.
        """
        if self._node is not None:
            if self._node.pid == os.getpid():
                raise StoreError(f"this store is open already, as node {self._node.number}: close it first")
            self.abandon()
        self._node = OpenNode(self.path, incarnation, now)
        _open_stores.add(self)
        rests_at_forks(self)
        return self._node.opened

    def open_reader(self) -> SqliteViewer:
        """The log as a stranger sees it: no node is registered, nothing is created.

        :raises StoreError: there is no log at the path, or not one of this version.
        """
        return SqliteViewer(self.path)

    def close(self) -> None:
        """Clause 17. Can be called twice."""
        node, self._node = self._node, None
        _open_stores.discard(self)
        if node is not None:
            if node.pid == os.getpid():
                node.close()
            else:
                node.abandon()

    def rest(self, patience: float) -> Callable[[], None] | None:
        """As `troth.adapters.forks.Rests` says."""
        node = self._node
        return nothing_rested if node is None or node.pid != os.getpid() else node.rest(patience)

    def abandon(self) -> None:
        """In a forked child: let go of all that was inherited without touching it, so that `open` works anew.

        Called by itself in a child of ``os.fork``. In the process that opened the store it looks to all others as
        though this process had been killed.
        """
        node, self._node = self._node, None
        self._seqs = {}
        if node is not None:
            node.abandon()

    def _mine(self) -> OpenNode:
        node = self._node
        if node is None:
            raise StoreError(f"{self.path} is not open here: call open() first (also in a forked process)")
        if node.pid != os.getpid():
            raise StoreError(
                f"{self.path} was opened by process {node.pid} and can't be used in its fork {os.getpid()}:"
                " call abandon(), then open(), here"
            )
        return node

    def _reading(self) -> Reader:
        return self._mine().reader

    # -- the journal

    def commit(self, batch: Batch) -> BatchOutcome:
        """Clauses 2 to 7: write a batch as a whole or not at all; durable when it returns."""
        node = self._mine()
        try:
            parts = statements(batch)
            size = sum(len(write.body) for write in batch.writes)
        except DATA_ERRORS as error:
            raise RowRejected(f"a value of this batch can't be stored ({error}); nothing was written") from error
        outcome = _NOTHING

        def explain(conn: sqlite3.Connection) -> None:
            nonlocal outcome
            outcome = _exceptions(conn, batch, node.number)

        try:
            node.writer.write(parts, rows_of(batch), size, explain)
        except CommitUnknown:
            self._unanswered = batch
            raise
        return outcome

    def settle(self, number: int) -> BatchOutcome | None:
        """Clause 8: what became of batch ``number``, if it was written? Asked under the write lock, on a connection opened anew.

        :raises StoreUnavailable: it can't be known yet; ask again.
        """
        node, batch = self._mine(), self._unanswered
        outcome = _NOTHING

        def explain(conn: sqlite3.Connection) -> None:
            nonlocal outcome
            if batch is not None and batch.number == number:
                outcome = _exceptions(conn, batch, node.number)

        alive, written = node.writer.settled(node.number, number, explain)
        if not alive:
            raise Fenced(f"node {node.number} was declared dead by another one")
        self._unanswered = None
        return outcome if written else None

    # -- other nodes

    def dead_nodes(self) -> list[int]:
        """Clause 9: nodes that count as alive and whose lock is free. A paused process holds its lock."""
        node = self._mine()
        return [n for n in node.reader.alive_nodes() if n != node.number and node.files.is_free(n)]

    def declare_dead(self, node: int) -> bool:
        """Clause 9: True to the one caller that declared it."""
        mine = self._mine()
        with mine.writer.transaction() as conn:
            buried = upkeep.bury(conn, node)
        if buried:
            mine.files.remove(node)
        return buried

    def unfinished(self, after_seq: int, limit: int) -> list[Record]:
        """Clause 10: unfinished rows of nodes that are not alive, lowest seq first."""
        records = self._reading().unfinished(after_seq, limit)
        if len(self._seqs) > _HINTS:
            self._seqs = {}
        self._seqs.update((record.uid, record.seq) for record in records)
        return records

    def adopt(self, uids: Sequence[bytes], now: int) -> list[bytes]:
        """Clause 10: own these rows; returns those it got, in the order asked."""
        node = self._mine()
        places = self._places(uids)
        with node.writer.transaction() as conn:
            got = upkeep.adopt(conn, node.number, places.values())
        return [uid for uid in dict.fromkeys(uids) if uid in got]

    def set_waiting(self, uids: Sequence[tuple[bytes, str]]) -> None:
        """Note what code rows wait for that no living node owns."""
        node = self._mine()
        places = self._places([uid for uid, _ in uids])
        waiting = [(places[uid], text) for uid, text in uids if uid in places]
        if waiting:
            with node.writer.transaction() as conn:
                upkeep.set_waiting(conn, waiting)

    def _places(self, uids: Sequence[bytes]) -> dict[bytes, int]:
        """The seq of each uid: remembered from `unfinished`, else looked for."""
        hints = self._seqs
        places = {uid: hints[uid] for uid in uids if uid in hints}
        places.update(self._reading().seqs(uid for uid in uids if uid not in places))
        return places

    # -- two-phase

    def abort(self, uid: bytes, incarnation: str, now: int) -> bool:
        """Clause 19: True if the abort stands. Times in microseconds."""
        node = self._mine()
        with node.writer.transaction() as conn:
            upkeep.require_alive(conn, node.number)
            return upkeep.abort(conn, uid, incarnation, now)

    # -- the mailbox

    def post(self, request: Request) -> None:
        """Clause 14: put a request into the mailbox."""
        with self._mine().writer.transaction() as conn:
            upkeep.post(conn, request)

    def take(self) -> list[Request]:
        """Clause 14: the requests for this node's transactions. An empty mailbox costs one read."""
        node = self._mine()
        todo = upkeep.mail(node.reader.rows(upkeep.MAIL, (node.number,))[0])
        if not todo.mine and not todo.stale:
            return []
        with node.writer.transaction() as conn:
            upkeep.require_alive(conn, node.number)
            return upkeep.take(conn, node.number)

    # -- retention

    def purge(self, now: int, retention: int, ledger: int, limit: int) -> int:
        """Clause 16. All times in microseconds; returns how many rows moved to the ledger."""
        mine = self._mine()
        with mine.writer.transaction() as conn:
            moved = upkeep.purge(conn, now - retention, now - ledger, limit)
            forgotten = upkeep.forget_nodes(conn)
            upkeep.forget_decisions(conn, now - ledger, limit)
        for node in forgotten:
            mine.files.remove(node)
        return moved


def _exceptions(conn: sqlite3.Connection, batch: Batch, node: int) -> BatchOutcome:
    """Which writes of a batch, just written, found their gid taken or another owner."""
    conflicts: set[bytes] = set()
    lost: set[bytes] = set()
    overruled: set[bytes] = set()
    for write in batch.writes:
        row = conn.execute("SELECT uid, owner FROM tx WHERE gid = ?", (write.gid,)).fetchone()
        ours = row is not None and row[0] == write.uid
        if write.insert and not ours:
            conflicts.add(write.uid)
            if conn.execute("SELECT 1 FROM decision WHERE uid = ? AND gid = ''", (write.uid,)).fetchone():
                overruled.add(write.uid)
        elif not write.insert and not (ours and row[1] == node):
            lost.add(write.uid)
    return BatchOutcome(frozenset(conflicts), frozenset(lost), frozenset(overruled))


_open_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()


def _abandon_inherited() -> None:
    for store in list(_open_stores):
        store.abandon()
    _open_stores.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_inherited)
