"""What the log and the five databases say: read from outside, beside the processes that work on them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from examples.shop.settings import SERVICES
from troth.adapters.stores.sqlite import SqliteStore
from troth.ports.store import Record

OPEN = ("trying", "confirming", "cancelling", "failed")
BARRIER = "SELECT uid, branch, op, outcome FROM troth_barrier"

AFTER_ACCEPT = "after_accept"
"""Accepted; no effect that the log doesn't know of."""
AFTER_EFFECT = "after_effect"
"""Some effect is in its database (a saga's action, a try's hold), and its result not yet in the log."""
PAST_PIVOT = "past_pivot"
"""It goes through: the parcel is loaded, or the holds are being confirmed."""
IN_COMPENSATION = "in_compensation"
"""Cancelled, and being undone or given back."""
PLACES = (AFTER_ACCEPT, AFTER_EFFECT, PAST_PIVOT, IN_COMPENSATION)


class Stored(NamedTuple):
    """One transaction as the log has it.

    :param pattern: ``saga`` or ``tcc``.
    :param owner: the number of the node that owns it.
    :param fates: how far each branch has come, by branch id.
    """

    gid: str
    uid: bytes
    pattern: str
    owner: int
    state: str
    phase: str
    step: str
    reason: str
    finished: bool
    fates: dict[str, str]


class Evidence:
    """Open files of the log and the databases, for reading.

    :param home: the folder that they are in.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = SqliteStore(str(home / "log.db")).open_reader()
        self.databases = {name: _open(home, name) for name in SERVICES}

    def close(self) -> None:
        """Close them."""
        self.log.close()
        for database in self.databases.values():
            database.close()

    def node_of(self, pid: int) -> int:
        """The number of a process's node; 0 if it has none yet."""
        return max((row.node for row in self.log.nodes() if row.pid == pid), default=0)

    def unfinished(self) -> list[Stored]:
        """Every transaction that has not ended."""
        return [stored for stored in map(_stored, self.log.find(states=OPEN, limit=100_000)) if not stored.finished]

    def all(self) -> list[Stored]:
        """Every transaction."""
        return [_stored(record) for record in self.log.find(limit=1_000_000)]

    def place(self, stored: Stored) -> str:
        """Where an unfinished transaction stands, from the log's row and the databases' barrier rows."""
        if stored.phase == "cancelling":
            return IN_COMPENSATION
        effects = set(self.effects(stored.uid))
        known = {branch for branch, fate in stored.fates.items() if fate == "done"}
        if stored.phase == "confirming" or any(_step(branch) == "ship" for branch in effects | known):
            return PAST_PIVOT
        return AFTER_EFFECT if effects - known else AFTER_ACCEPT

    def effects(self, uid: bytes) -> Iterator[str]:
        """Branches of a transaction whose action's or try's effect is in a database."""
        for name in self.databases:
            query = f"{BARRIER} WHERE uid = ? AND op IN ('action', 'try') AND outcome = 'done'"
            yield from (row[1] for row in self.barrier(name, query, uid))

    def barrier(self, name: str, query: str = BARRIER, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a database's barrier."""
        try:
            return self.databases[name].execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):  # the first call makes it
                raise
            return []

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """What a database answers."""
        return self.databases[database].execute(query).fetchall()


@contextmanager
def evidence_in(home: Path) -> Iterator[Evidence]:
    """The evidence below a folder, closed afterwards."""
    with closing(Evidence(home)) as evidence:
        yield evidence


def _open(home: Path, name: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{(home / f'{name}.db').as_uri()}?mode=ro", uri=True, isolation_level=None)


def _step(branch: str) -> str:
    """``/charge#1`` is ``charge``."""
    return branch.rpartition("#")[0].rpartition("/")[2]


def _stored(record: Record) -> Stored:
    doc: dict[str, Any] = msgspec.json.decode(record.body)
    fates = {branch["id"]: branch.get("fate", "idle") for branch in doc.get("branches", ())}
    return Stored(
        record.gid, record.uid, record.pattern, record.owner, record.state, doc.get("phase", "trying"), doc.get("step", ""),
        doc.get("reason", ""), record.finished > 0, fates,
    )  # fmt: skip
