"""Statements beside the hot path: nodes, ownership, the mailbox, retention. The caller holds a write transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from troth.adapters.stores.ledger import gid_key
from troth.adapters.stores.sqlite.reading import ORPHAN
from troth.ports.errors import Fenced
from troth.ports.store import Request

_FLOORS: Final = "SELECT value AS floor FROM meta WHERE name = 'floor' UNION ALL SELECT floor FROM node"

_DUE: Final = """
    SELECT group_concat(seq || ' ' || finished || ' ' || hex(gid) || ' ' || hex(content), ';') FROM (
        SELECT seq, finished, gid, content FROM tx INDEXED BY tx_done
        WHERE state = ? AND finished > 0 AND finished < ? ORDER BY finished LIMIT ?)"""


def register(conn: sqlite3.Connection, incarnation: str, now: int, pid: int, host: str) -> tuple[int, int]:
    """A new node, alive: (number, floor). The floor is above every floor there ever was, so above the mark."""
    floor = max(now, conn.execute(f"SELECT max(floor) FROM ({_FLOORS})").fetchone()[0])
    cursor = conn.execute(
        "INSERT INTO node (incarnation, alive, batch, floor, started, pid, host) VALUES (?, 1, 0, ?, ?, ?, ?)",
        (incarnation, floor, now, pid, host),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid, floor


def require_alive(conn: sqlite3.Connection, node: int) -> None:
    """The fence of what is no batch: the write lock is held, so nobody can declare the node dead meanwhile.

    :raises Fenced: the node was declared dead.
    """
    row = conn.execute("SELECT alive FROM node WHERE node = ?", (node,)).fetchone()
    if row is None or not row[0]:
        raise _fenced(node)


def _fenced(node: int) -> Fenced:
    return Fenced(f"node {node} was declared dead by another one: nothing was written")


def bury(conn: sqlite3.Connection, node: int) -> bool:
    """Declare a node dead; True if it counted as alive."""
    return conn.execute("UPDATE node SET alive = 0 WHERE node = ? AND alive = 1", (node,)).rowcount == 1


def retire(conn: sqlite3.Connection, node: int) -> bool:
    """A node that leaves: dead if it owns nothing unfinished."""
    cursor = conn.execute(
        "UPDATE node SET alive = 0 WHERE node = ?1 AND NOT EXISTS"
        " (SELECT 1 FROM tx INDEXED BY tx_open WHERE finished = 0 AND owner = ?1)",
        (node,),
    )
    return cursor.rowcount == 1


def adopt(conn: sqlite3.Connection, node: int, seqs: Iterable[int]) -> set[bytes]:
    """Make a node the owner of those rows that no living node owns; their uids.

    :raises Fenced: the node was declared dead.
    """
    where = f"seq IN ({_listed(seqs)}) AND {ORPHAN}"
    alive, packed = conn.execute(
        "SELECT (SELECT alive FROM node WHERE node = ?), (SELECT group_concat(hex(uid)) FROM tx WHERE " + where + ")",
        (node,),
    ).fetchone()
    if not alive:
        raise _fenced(node)
    if packed is None:
        return set()
    conn.execute(f"UPDATE tx SET owner = ?, claims = claims + 1 WHERE {where}", (node,))
    return {bytes.fromhex(uid) for uid in packed.split(",")}


def set_waiting(conn: sqlite3.Connection, waiting: Sequence[tuple[int, str]]) -> None:
    """Note what code rows wait for that no living node owns."""
    values = [value for pair in waiting for value in pair]
    rows = ",".join(["(?,?)"] * len(waiting))
    conn.execute(
        f"UPDATE tx SET waiting = v.column2 FROM (VALUES {rows}) AS v"
        f" WHERE tx.seq = v.column1 AND tx.waiting <> v.column2 AND {ORPHAN}",
        values,
    )


class Mail(NamedTuple):
    """Ids of requests: for this node's transactions, and for nobody's."""

    mine: list[int]
    stale: list[int]


MAIL: Final = """
    SELECT group_concat(CASE WHEN seq IS NOT NULL AND finished = 0 THEN id END),
           group_concat(CASE WHEN seq IS NULL OR finished > 0 THEN id END)
    FROM request LEFT JOIN tx USING (gid) WHERE seq IS NULL OR finished > 0 OR owner = ?"""
"""What `take` has to do; its parameter is the node."""


def mail(row: tuple[str | None, str | None]) -> Mail:
    """Unpack the row of `MAIL`."""
    mine, stale = ([int(number) for number in ids.split(",")] if ids else [] for ids in row)
    return Mail(mine, stale)


def take(conn: sqlite3.Connection, node: int) -> list[Request]:
    """Delete and return the requests for a node's transactions; delete those for finished and unknown ones."""
    todo = mail(conn.execute(MAIL, (node,)).fetchone())
    rows = conn.execute(
        f'SELECT gid, what, "by", reason, at, id FROM request WHERE id IN ({_listed(todo.mine)}) ORDER BY id'
    ).fetchall()
    conn.execute(f"DELETE FROM request WHERE id IN ({_listed([*todo.mine, *todo.stale])})")
    return [Request(*row) for row in rows]


def post(conn: sqlite3.Connection, request: Request) -> None:
    """Put a request into the mailbox."""
    conn.execute(
        'INSERT INTO request (gid, what, "by", reason, at) VALUES (?, ?, ?, ?, ?)',
        (request.gid, request.what, request.by, request.reason, request.at),
    )


def abort(conn: sqlite3.Connection, uid: bytes, incarnation: str, now: int) -> bool:
    """Clause 19: take a two-phase transaction's key unless its row has it; True if the abort stands."""
    conn.execute("INSERT INTO decision VALUES (?, '', ?, ?) ON CONFLICT (uid) DO NOTHING", (uid, incarnation, now))
    found: str = conn.execute("SELECT gid FROM decision WHERE uid = ?", (uid,)).fetchone()[0]
    return not found


def forget_decisions(conn: sqlite3.Connection, before: int, limit: int) -> None:
    """Clause 20: drop aborts whose incarnation is dead, and older keys whose row is gone."""
    conn.execute("DELETE FROM decision WHERE gid = '' AND incarnation NOT IN (SELECT incarnation FROM node WHERE alive = 1)")
    conn.execute(
        "DELETE FROM decision WHERE uid IN (SELECT uid FROM decision WHERE gid <> '' AND at < ?"
        " AND NOT EXISTS (SELECT 1 FROM tx WHERE tx.gid = decision.gid) ORDER BY at LIMIT ?)",
        (before, limit),
    )


def purge(conn: sqlite3.Connection, before: int, ledger_before: int, limit: int) -> int:
    """Move rows that finished before a time to the ledger, and drop ledger rows older than theirs; how many moved."""
    moved = 0
    for state in ("confirmed", "cancelled", "failed"):
        if moved < limit:
            moved += _move(conn, state, before, limit - moved)
    conn.execute(
        "DELETE FROM ledger WHERE key IN (SELECT key FROM ledger WHERE finished < ? ORDER BY finished LIMIT ?)",
        (ledger_before, limit),
    )
    return moved


def forget_nodes(conn: sqlite3.Connection) -> list[int]:
    """Drop dead nodes that own nothing unfinished, keeping the highest floor; their numbers."""
    where = "alive = 0 AND NOT EXISTS (SELECT 1 FROM tx INDEXED BY tx_open WHERE finished = 0 AND owner = node.node)"
    packed = conn.execute(f"SELECT group_concat(node) FROM node WHERE {where}").fetchone()[0]
    if packed is None:
        return []
    conn.execute(f"UPDATE meta SET value = (SELECT max(floor) FROM ({_FLOORS})) WHERE name = 'floor'")
    conn.execute(f"DELETE FROM node WHERE node IN ({packed})")
    return [int(node) for node in packed.split(",")]


def _move(conn: sqlite3.Connection, state: str, before: int, limit: int) -> int:
    packed = conn.execute(_DUE, (state, before, limit)).fetchone()[0]
    if packed is None:
        return 0
    rows = [item.split(" ") for item in packed.split(";")]
    for start in range(0, len(rows), 500):
        page = rows[start : start + 500]
        values = [
            value
            for _, finished, gid, content in page
            for value in (gid_key(bytes.fromhex(gid).decode()), bytes.fromhex(content), state, int(finished))
        ]
        conn.execute(f"INSERT OR REPLACE INTO ledger VALUES {','.join(['(?,?,?,?)'] * len(page))}", values)
    seqs = ",".join(row[0] for row in rows)
    conn.execute(f"DELETE FROM chunk WHERE tx IN ({seqs})")
    conn.execute(f"DELETE FROM tx WHERE seq IN ({seqs})")
    return len(rows)


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))
