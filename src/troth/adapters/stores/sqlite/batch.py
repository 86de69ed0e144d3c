"""A whole batch as one SQL statement.

Every ``sqlite3_step`` gives the GIL away and waits up to a switch interval (5 ms) to get it back from a busy event
loop: 128 rows written one by one took half a second there. So a batch is one multi-row INSERT into a temporary view
whose triggers renew the node's row, insert, update and store chunks; outside an explicit transaction that single step
also takes the write lock and commits. Row counts are padded to a few sizes, so that few statements are ever prepared.

Values are bound as ``bytearray``, str and int: for ``bytes`` and None the driver looks for adapters first, which costs
more than the binding.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

from troth.adapters.stores.ledger import gid_key
from troth.ports.store import Batch, Write

_COLUMNS: Final = (
    "kind, uid, gid, rev, pattern, definition, state, begun, updated, finished, content, waiting, body, key"
)
_WIDTH: Final = 14
_RENEW, _FRESH, _GIVEN, _GO_ON, _FINISH, _CHUNK, _PAD, _DECIDE = range(8)
_SIZES: Final = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Rows of one statement; the largest keeps its variables under SQLite's default of 32,766."""
MOST_ROWS: Final = _SIZES[-1]
_PADDING: Final[tuple[Any, ...]] = (_PAD,) * _WIDTH
_NOTHING: Final = bytearray()

_INSERT: Final = """
    INSERT INTO tx (gid, uid, rev, pattern, definition, state, begun, updated, finished, content, owner, claims,
        waiting, body)
    SELECT NEW.gid, NEW.uid, NEW.rev, NEW.pattern, NEW.definition, NEW.state, NEW.begun, NEW.updated, NEW.finished,
        NEW.content, {node}, 0, NEW.waiting, NEW.body WHERE {condition} ON CONFLICT (gid) DO NOTHING;"""
_KEY_IS_FREE: Final = """NOT EXISTS (SELECT 1 FROM ledger WHERE key = NEW.key)
        AND NOT EXISTS (SELECT 1 FROM decision WHERE uid = NEW.uid AND gid <> NEW.gid)"""
_TAKE_KEY: Final = """
    INSERT INTO decision (uid, gid, incarnation, at) SELECT uid, gid, '', updated FROM tx
        WHERE gid = NEW.gid AND uid = NEW.uid ON CONFLICT (uid) DO NOTHING;"""
_UPDATE: Final = """
    UPDATE tx SET rev = NEW.rev, state = NEW.state, updated = NEW.updated, waiting = NEW.waiting, body = NEW.body{more},
        claims = CASE WHEN NEW.rev > rev THEN 0 ELSE claims END
    WHERE gid = NEW.gid AND uid = NEW.uid AND owner = {node} AND rev <= NEW.rev;"""
_CHUNKS: Final = """
    INSERT INTO chunk (tx, number, body) SELECT seq, NEW.begun, NEW.body FROM tx
        WHERE gid = NEW.gid AND uid = NEW.uid AND owner = {node} AND rev = NEW.rev
        ON CONFLICT (tx, number) DO UPDATE SET body = excluded.body;"""
_NODE: Final = """
    UPDATE node SET batch = NEW.rev, floor = max(floor, NEW.begun) WHERE node = {node} AND alive = 1;
    SELECT RAISE(ABORT, 'fenced') WHERE changes() = 0;"""
FENCED: Final = "fenced"
"""The message of the error that the node's renewal raises when it finds no living node."""


def preparation(node: int) -> list[str]:
    """Statements that make the temporary view and its triggers on a writer's connection."""
    actions = {
        _RENEW: _NODE,
        _FRESH: _INSERT.replace("{condition}", "1"),
        _GIVEN: _INSERT.replace("{condition}", "NOT EXISTS (SELECT 1 FROM ledger WHERE key = NEW.key)"),
        _GO_ON: _UPDATE.replace("{more}", ""),
        _FINISH: _UPDATE.replace("{more}", ", finished = NEW.finished"),
        _CHUNK: _CHUNKS,
        _DECIDE: _INSERT.replace("{condition}", _KEY_IS_FREE) + _TAKE_KEY,
    }
    nulls = ", ".join(f"NULL AS {name}" for name in _COLUMNS.split(", "))
    return [f"CREATE TEMP VIEW batch AS SELECT {nulls}"] + [
        f"CREATE TEMP TRIGGER batch_{kind} INSTEAD OF INSERT ON batch WHEN NEW.kind = {kind} BEGIN"
        f"{action.replace('{node}', str(node))}\nEND"
        for kind, action in actions.items()
    ]


def _statement(rows: int) -> str:
    row = f"({', '.join('?' * _WIDTH)})"
    return f"INSERT INTO batch ({_COLUMNS}) VALUES {', '.join([row] * rows)}"


_STATEMENTS: Final = {size: _statement(size) for size in _SIZES}


def rows_of(batch: Batch) -> int:
    """Rows that a batch changes if everything in it finds what it expects."""
    keys = sum([write.insert and write.pattern == "two_phase" for write in batch.writes])
    return 1 + len(batch.writes) + keys + sum(len(write.chunks) for write in batch.writes)


def statements(batch: Batch) -> list[tuple[str, list[Any]]]:
    """The batch as statements with their parameters; one, unless it has more than `MOST_ROWS` rows."""
    values: list[Any] = [_RENEW, 0, "", batch.number, "", "", "", batch.floor, 0, 0, 0, "", 0, 0]
    for write in batch.writes:
        values += _row(write)
        if write.chunks:
            _add_chunks(values, write)
    most = MOST_ROWS * _WIDTH
    if len(values) <= most:
        return [_padded(values)]
    return [_padded(values[start : start + most]) for start in range(0, len(values), most)]


def _row(write: Write) -> Sequence[Any]:
    uid, gid, insert, fresh, rev, pattern, definition, state, begun, updated, finished, content, body, _, waiting = (
        write
    )
    key: Any = 0
    if insert:
        if fresh:
            kind = _FRESH
        else:
            kind, key = _GIVEN, bytearray(gid_key(gid))
        if pattern == "two_phase":
            kind = _DECIDE
    else:
        kind = _FINISH if finished else _GO_ON
    return (
        kind,
        bytearray(uid),
        gid,
        rev,
        pattern,
        definition,
        state,
        begun,
        updated,
        finished,
        bytearray(content),
        waiting,
        bytearray(body),
        key,
    )


def _add_chunks(values: list[Any], write: Write) -> None:
    uid = bytearray(write.uid)
    for number, body in write.chunks:
        values += (_CHUNK, uid, write.gid, write.rev, "", "", "", number, 0, 0, _NOTHING, "", bytearray(body), 0)


def _padded(values: list[Any]) -> tuple[str, list[Any]]:
    rows = len(values) // _WIDTH
    size = _SIZES[bisect_left(_SIZES, rows)]
    values += _PADDING * (size - rows)
    return _STATEMENTS[size], values
