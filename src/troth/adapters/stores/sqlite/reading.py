"""Reading the log: every question is answered by a few rows, most by one.

Each row that the driver fetches costs a turn of the GIL, up to 5 ms beside a busy event loop, so rows are packed into
one text by SQLite and unpacked here. Readers have their own connection: they never wait for a writer, nor it for them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final

from troth.adapters.stores.ledger import ABORTED, decided, gid_key
from troth.adapters.stores.sqlite import connect, failures, schema
from troth.ports.errors import StoreError
from troth.ports.store import LedgerEntry, NodeRow, Record

_PAGE_BYTES: Final = 16 * 1024 * 1024
"""Body bytes packed into one text at most (hexadecimal doubles them)."""
_PAGE_ROWS: Final = 1_000
_AHEAD: Final = 20_000
"""Unfinished rows picked at once for the pages of a take-over."""

_DEAD_OWNERS: Final = """
    WITH RECURSIVE o (owner) AS (
        SELECT min(owner) FROM tx INDEXED BY tx_open WHERE finished = 0
        UNION ALL
        SELECT (SELECT min(owner) FROM tx INDEXED BY tx_open WHERE finished = 0 AND owner > o.owner) FROM o
        WHERE o.owner IS NOT NULL)"""
ORPHAN: Final = "finished = 0 AND owner NOT IN (SELECT node FROM node WHERE alive = 1)"
"""An unfinished row whose owner is not alive."""
_UNFINISHED: Final = f"""{_DEAD_OWNERS}
    SELECT seq FROM tx INDEXED BY tx_open WHERE finished = 0 AND seq > ? AND owner IN (
        SELECT owner FROM o WHERE owner IS NOT NULL AND owner NOT IN (SELECT node FROM node WHERE alive = 1))
    ORDER BY seq LIMIT ?"""
_MARK: Final = f"""{_DEAD_OWNERS}
    SELECT coalesce(min(lowest), (SELECT max(value) FROM (
        SELECT value FROM meta WHERE name = 'floor' UNION ALL SELECT floor FROM node)))
    FROM (
        SELECT (SELECT min(begun) FROM tx INDEXED BY tx_open WHERE finished = 0 AND owner = o.owner) AS lowest FROM o
        UNION ALL SELECT min(floor) FROM node WHERE alive = 1) WHERE lowest IS NOT NULL"""
_COUNTS: Final = """
    SELECT group_concat(state || ' ' || n, ';') FROM (
        SELECT state, count(*) AS n FROM tx INDEXED BY tx_open WHERE finished = 0 GROUP BY state
        UNION ALL
        SELECT state, count(*) AS n FROM tx INDEXED BY tx_done WHERE finished > 0 GROUP BY state)"""
_FIELDS: Final = (
    "seq", "rev", "begun", "updated", "finished", "owner",
    "coalesce((SELECT alive FROM node WHERE node.node = tx.owner), 0)", "claims", "hex(uid)", "hex(gid)",
    "hex(pattern)", "hex(definition)", "hex(state)", "hex(content)", "hex(waiting)", "hex(body)",
    "coalesce((SELECT group_concat(number || ':' || hex(chunk.body)) FROM chunk WHERE chunk.tx = tx.seq), '')",
)  # fmt: skip
_PACKED: Final = " || ' ' || ".join(_FIELDS)
_RECORDS: Final = f"SELECT group_concat({_PACKED}, ';') FROM tx WHERE "


class Reader:
    """A connection that only reads; safe to use from any thread.

    :param path: the log's file, which exists.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._ahead: tuple[int, tuple[tuple[int, int], ...]] = (0, ())
        self._closed = False
        self._conn: sqlite3.Connection | None = self._connect()

    def _connect(self) -> sqlite3.Connection:
        return connect.connect(self._path, create=False, cache_kib=connect.READER_CACHE_KIB)

    def _connection(self) -> sqlite3.Connection:
        """The connection, opened anew after a rest; the caller has the lock."""
        if self._closed:
            raise StoreError(f"{self._path} is not open here: open it first")
        if self._conn is None:
            self._conn = self._connect()
        return self._conn

    def check(self) -> None:
        """:raises StoreError: the schema is not the one this code reads."""
        with self._lock:
            schema.require_current(schema.version(self._connection(), self._path), self._path)

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        with self._lock:
            self._closed = True
            self._drop()

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def rest(self, patience: float) -> bool:
        """Close the connection once no query runs, and keep queries waiting; False after ``patience`` seconds."""
        if not self._lock.acquire(timeout=patience):
            return False
        self._drop()
        return True

    def wake(self) -> None:
        """Let queries run again, on a new connection."""
        self._lock.release()

    def abandon(self) -> None:
        """In a forked child: keep the inherited connection unused."""
        self._closed = True
        conn, self._conn = self._conn, None
        if conn is not None:
            connect.keep_for_ever(conn)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query; for the few-rows kind only."""
        with self._lock:
            conn = self._connection()
            try:
                return conn.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise failures.reading(error, self._path) from error

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the one row."""
        return self.rows(sql, parameters)[0][0]

    # -- transactions

    def get(self, gid: str) -> Record | LedgerEntry | None:
        """Clause 12: a record, a ledger entry, or None."""
        try:
            packed = self.value(f"{_RECORDS} gid = ?", (gid,))
            if packed is not None:
                return _record(packed)
            entries = self.rows("SELECT content, outcome, finished FROM ledger WHERE key = ?", (gid_key(gid),))
        except UnicodeError:
            return None
        return LedgerEntry(*entries[0]) if entries else None

    def decisions(self, uids: Iterable[bytes]) -> dict[bytes, Record | LedgerEntry]:
        """Clause 20: the keys first, then what they lead to; a row that is purged in between is found in the ledger."""
        listed = ",".join(f"x'{uid.hex()}'" for uid in uids)
        packed = self.value(
            f"SELECT group_concat(hex(uid) || ' ' || hex(gid) || ' ' || at, ';') FROM decision WHERE uid IN ({listed})"
        )
        keys = [item.split(" ") for item in (packed or "").split(";") if item]
        return {
            bytes.fromhex(uid): decided(bytes.fromhex(uid), int(at), self.get(_text(gid)) if gid else ABORTED)
            for uid, gid, at in keys
        }

    def unfinished(self, after_seq: int, limit: int) -> list[Record]:
        """Clause 10: unfinished rows of nodes that are not alive, lowest seq first.

        Many pages are picked at once, since picking looks at all unfinished rows; each is looked at again when read.
        """
        while True:
            position, ahead = self._ahead
            if position != after_seq or not ahead:
                ahead = tuple(self._pick(_UNFINISHED, (after_seq, max(limit, _AHEAD))))
                if not ahead:
                    return []
            page, rest = ahead[:limit], ahead[limit:]
            after_seq = page[-1][0]
            self._ahead = (after_seq, rest)
            records = [record for record in self._read(page) if not record.finished and not record.owner_alive]
            if records:
                return records

    def find(
        self, states: Sequence[str], since: int, definition: str, after_seq: int, limit: int, newest_first: bool
    ) -> list[Record]:
        """Transactions by seq, filtered; see the port."""
        sql, values = _find(states, since, definition, after_seq, newest_first)
        order = "DESC" if newest_first else "ASC"
        found = self._read(self._pick(f"{sql} ORDER BY seq {order} LIMIT ?", (*values, limit)))
        if newest_first:
            found.reverse()
        return [record for record in found if not states or record.state in states]

    def _pick(self, query: str, parameters: Sequence[Any]) -> list[tuple[int, int]]:
        """(seq, body size) of the rows whose seqs a query yields, lowest seq first."""
        packed = self.value(
            f"SELECT group_concat(seq || ' ' || length(body), ';') FROM tx WHERE seq IN ({query})", parameters
        )
        items = (item.split(" ") for item in packed.split(";")) if packed else ()
        return sorted((int(seq), int(size)) for seq, size in items)

    def _read(self, picked: Sequence[tuple[int, int]]) -> list[Record]:
        """The records of picked rows that are still there, lowest seq first."""
        records: list[Record] = []
        for page in _pages(picked):
            text = self.value(f"{_RECORDS} seq IN ({','.join(map(str, page))})")
            if text is not None:
                records += map(_record, text.split(";"))
        records.sort(key=lambda record: record.seq)
        return records

    # -- the whole log

    def counts(self) -> dict[str, int]:
        """Transactions by state; finished ones from an index that holds nothing else."""
        counted: dict[str, int] = {}
        for item in (self.value(_COUNTS) or "").split(";"):
            if item:
                state, number = item.rsplit(" ", 1)
                counted[state] = counted.get(state, 0) + int(number)
        return counted

    def nodes(self) -> list[NodeRow]:
        """All known nodes, oldest first."""
        rows = self.rows("SELECT node, incarnation, alive, batch, floor, started, pid, host FROM node ORDER BY node")
        return [NodeRow(row[0], row[1], bool(row[2]), *row[3:]) for row in rows]

    def alive_nodes(self) -> list[int]:
        """Numbers of the nodes that count as alive."""
        return [
            int(node)
            for node in (self.value("SELECT group_concat(node) FROM node WHERE alive = 1") or "").split(",")
            if node
        ]

    def mark(self) -> int:
        """Clause 15."""
        return int(self.value(_MARK))

    def seqs(self, uids: Iterable[bytes]) -> dict[bytes, int]:
        """Where rows of these uids are; by a scan of the unfinished ones, so only for uids that no page has shown."""
        listed = ",".join(f"x'{uid.hex()}'" for uid in uids)
        if not listed:
            return {}
        packed = self.value(
            "SELECT group_concat(seq || ' ' || hex(uid), ';') FROM tx INDEXED BY tx_open"
            f" WHERE finished = 0 AND uid IN ({listed})"
        )
        pairs = (item.split(" ") for item in (packed or "").split(";") if item)
        return {bytes.fromhex(uid): int(seq) for seq, uid in pairs}


def _find(
    states: Sequence[str], since: int, definition: str, after_seq: int, newest_first: bool
) -> tuple[str, list[Any]]:
    """The query that picks seqs: by the two partial indexes where a state or a time narrows it, else along the rows."""
    common = ["1"]
    given: list[Any] = []
    if after_seq:
        common.append("seq < ?" if newest_first else "seq > ?")
        given.append(after_seq)
    if definition:
        common.append("definition = ?")
        given.append(definition)
    if since:
        common.append("begun >= ?")
        given.append(since)
    if not states and not since:
        return f"SELECT seq FROM tx WHERE {' AND '.join(common)}", given
    wanted = list(states) or ["confirmed", "cancelled", "failed"]
    marks = ",".join("?" * len(wanted))
    where = " AND ".join(common)
    open_states = f"AND state IN ({marks})" if states else ""
    sql = f"""
        SELECT seq FROM (
            SELECT seq FROM tx INDEXED BY tx_open WHERE finished = 0 AND {where} {open_states}
            UNION ALL
            SELECT seq FROM tx INDEXED BY tx_done
            WHERE state IN ({marks}) AND finished > 0 AND finished >= ? AND {where})"""
    return sql, [*given, *(wanted if states else ()), *wanted, since, *given]


def _pages(sizes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Seqs in pages of a bounded size."""
    pages: list[list[int]] = []
    room = 0
    for seq, size in sizes:
        if size > room or len(pages[-1]) >= _PAGE_ROWS:
            pages.append([])
            room = max(_PAGE_BYTES, size)
        pages[-1].append(seq)
        room -= size
    return pages


def _record(packed: str) -> Record:
    """Unpack one row of `_RECORDS`."""
    row = packed.split(" ")
    seq, rev, begun, updated, finished, owner, alive, claims = map(int, row[:8])
    gid, pattern, definition, state, waiting = map(_text, (*row[9:13], row[14]))
    return Record(
        bytes.fromhex(row[8]), gid, rev, pattern, definition, state, begun, updated, finished, bytes.fromhex(row[13]),
        owner, bool(alive), claims, waiting, bytes.fromhex(row[15]), _chunks(row[16]), seq,
    )  # fmt: skip


def _text(packed: str) -> str:
    return bytes.fromhex(packed).decode()


def _chunks(packed: str) -> tuple[tuple[int, bytes], ...]:
    if not packed:
        return ()
    pairs = (item.split(":") for item in packed.split(","))
    return tuple(sorted((int(number), bytes.fromhex(body)) for number, body in pairs))
