"""The barrier's statements and its rows: SQL with ``?`` for each parameter, the same for every database.

Table ``troth_barrier`` holds one row per (uid, branch, op), compared byte by byte; ``troth_barrier_mark`` one row per
log: every row of that log begun before the mark may have been purged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from msgspec import Raw

from troth.core.barrier import Outcome, Row
from troth.core.reply import NULL
from troth.ports.database import Dialect

INSERT: Final = (
    "INSERT INTO troth_barrier (uid, branch, op, outcome, payload_hash, begun, log)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
UPDATE: Final = (
    "UPDATE troth_barrier SET outcome = ?, payload_hash = ?, result = ?, reason = ?"
    " WHERE uid = ? AND branch = ? AND op = ?"
)
SEAL_ROW: Final = "UPDATE troth_barrier SET outcome = 'sealed' WHERE uid = ? AND branch = ? AND op = ?"
MARK: Final = "SELECT mark FROM troth_barrier_mark WHERE log = ?"
FIRST_MARK: Final = "INSERT INTO troth_barrier_mark (log, mark) VALUES (?, 0) ON CONFLICT DO NOTHING"
MOVE_MARK: Final = (
    "INSERT INTO troth_barrier_mark (log, mark) VALUES (?, ?)"
    " ON CONFLICT (log) DO UPDATE SET mark = excluded.mark WHERE troth_barrier_mark.mark < excluded.mark"
)
_COLUMNS: Final = "SELECT outcome, payload_hash, result, reason, begun, log FROM troth_barrier"
_KEY: Final = " WHERE uid = ? AND branch = ? AND op = ?"


class ForeignRowError(Exception):
    """A row holds an outcome that no barrier writes."""


class Statements(NamedTuple):
    """The statements that differ by dialect.

    :param look: reads a row.
    :param look_and_lock: reads a row and keeps others from it until the local transaction ends.
    :param purge: deletes at most so many rows of a log below its mark.
    """

    look: str
    look_and_lock: str
    mark: str
    purge: str


def statements(dialect: Dialect) -> Statements:
    """The statements as one database wants them."""
    purge = (
        "DELETE FROM troth_barrier WHERE (uid, branch, op) IN (SELECT uid, branch, op FROM troth_barrier"
        f" WHERE log = ? AND begun < ? LIMIT ?{dialect.skip})"
    )
    return Statements(_COLUMNS + _KEY, _COLUMNS + _KEY + dialect.lock, MARK + dialect.share, purge)


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
