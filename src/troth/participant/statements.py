"""The barrier's statements and its rows: SQL with ``?`` for each parameter, the same for every database.

Table ``troth_barrier`` holds one row per (uid, branch, op), compared byte by byte; ``troth_barrier_mark`` one row per
log: every row of that log begun before the mark may have been purged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from msgspec import Raw

from troth.core.barrier import Outcome, Row
from troth.core.reply import NULL
from troth.ports.database import Dialect

UPDATE: Final = (
    "UPDATE troth_barrier SET outcome = ?, payload_hash = ?, result = ?, reason = ?"
    " WHERE uid = ? AND branch = ? AND op = ?"
)
SEAL_ROW: Final = "UPDATE troth_barrier SET outcome = 'sealed' WHERE uid = ? AND branch = ? AND op = ?"
MARK: Final = "SELECT mark FROM troth_barrier_mark WHERE log = ?"
MOVE_MARK: Final = "UPDATE troth_barrier_mark SET mark = ? WHERE log = ? AND mark < ?"
_ROW: Final = "troth_barrier (uid, branch, op, outcome, payload_hash, begun, log) VALUES (?, ?, ?, ?, ?, ?, ?)"
_FIRST_MARK: Final = "troth_barrier_mark (log, mark) VALUES (?, 0)"
_COLUMNS: Final = "SELECT outcome, payload_hash, result, reason, begun, log FROM troth_barrier"
_KEY: Final = " WHERE uid = ? AND branch = ? AND op = ?"


class ForeignRowError(Exception):
    """A row holds an outcome that no barrier writes."""


class Statements(NamedTuple):
    """The statements that differ by dialect.

    :param insert: inserts a row unless there is one.
    :param look: reads a row.
    :param look_and_lock: reads a row and keeps others from it until the local transaction ends.
    :param first_mark: inserts a log's purge mark unless there is one.
    :param purge: deletes at most so many rows of a log below its mark.
    """

    insert: str
    look: str
    look_and_lock: str
    mark: str
    first_mark: str
    purge: str


@lru_cache(maxsize=16)
def statements(dialect: Dialect) -> Statements:
    """The statements as one database wants them.

    MySQL's form is INSERT IGNORE, whose count of affected rows means the same under every client flag; what else it
    would ignore (too long, too large, not of the character set) no value of ours can be.
    """
    if dialect.mysql:
        before, after = "INSERT IGNORE INTO ", ""
    else:
        before, after = "INSERT INTO ", " ON CONFLICT DO NOTHING"
    purge = "DELETE FROM troth_barrier WHERE log = ? AND begun < ? LIMIT ?" if dialect.mysql else (
        "DELETE FROM troth_barrier WHERE (uid, branch, op) IN (SELECT uid, branch, op FROM troth_barrier"
        f" WHERE log = ? AND begun < ? LIMIT ?{dialect.skip})"
    )
    return Statements(
        insert=before + _ROW + after,
        look=_COLUMNS + _KEY,
        look_and_lock=_COLUMNS + _KEY + dialect.lock,
        mark=MARK + dialect.share,
        first_mark=before + _FIRST_MARK + after,
        purge=purge,
    )


def row_from(values: Sequence[Any]) -> Row:
    """A row of ours from what `Statements.look` selects.

    :raises ForeignRowError: if its outcome is none of ours.
    """
    outcome, payload, result, reason, begun, log = values
    kept = NULL if result is None else Raw(bytes(result))
    try:
        return Row(Outcome(outcome), bytes(payload or b""), kept, reason or "", begun, log)
    except ValueError:
        raise ForeignRowError(f"a barrier row's outcome is {outcome!r}") from None
