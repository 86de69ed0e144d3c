"""A look into troth's SQLite log from outside, and a way to fill it with history. Knows the schema, as tools may."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PAUSE = 0.002
"""Seconds between two looks."""
PATIENCE = 300.0
"""Seconds after which something that should happen is given up."""
PAGE = 20_000
"""Rows of one transaction while history is made."""


class Look:
    """A reader's connection to the log at a path; ``with Look(path) as log``."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA query_only = ON")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._db.close()

    def node_of(self, pid: int) -> int:
        """The living node that a process is."""
        (node,) = self._db.execute("SELECT max(node) FROM node WHERE pid = ? AND alive = 1", (pid,)).fetchone()
        return int(node)

    def unfinished(self) -> int:
        """Transactions that have not ended."""
        return int(self._db.execute("SELECT count(*) FROM tx WHERE finished = 0").fetchone()[0])

    def any_unfinished(self) -> bool:
        """Whether any has not ended."""
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM tx WHERE finished = 0)").fetchone()[0])

    def open_of(self, node: int) -> list[str]:
        """The gids of the unfinished transactions that a node owns."""
        return [gid for (gid,) in self._db.execute("SELECT gid FROM tx WHERE finished = 0 AND owner = ?", (node,))]

    def owns_any(self, node: int) -> bool:
        """Whether a node owns anything unfinished."""
        found = self._db.execute("SELECT EXISTS (SELECT 1 FROM tx WHERE finished = 0 AND owner = ?)", (node,))
        return bool(found.fetchone()[0])

    def any_open(self, gids: Sequence[str]) -> bool:
        """Whether one of these transactions has not ended."""
        marks = ",".join("?" * len(gids))
        found = self._db.execute(f"SELECT EXISTS (SELECT 1 FROM tx WHERE finished = 0 AND gid IN ({marks}))", gids)
        return bool(found.fetchone()[0])


def wait(happened: Callable[[], bool], what: str, pause: float = PAUSE) -> None:
    """Look again and again until it has happened.

    :param pause: seconds between two looks: every look takes time from what is measured.
    :raises TimeoutError: it didn't, in five minutes.
    """
    end = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(pause)


def fill(path: Path, count: int) -> None:
    """Give a log that nobody has open so many finished transactions: copies of one it made itself, under older gids."""
    db = sqlite3.connect(path, isolation_level=None)
    names = [row[1] for row in db.execute("PRAGMA table_info(tx)") if row[1] not in ("seq", "gid", "uid")]
    columns = ", ".join(names)
    sample = db.execute("SELECT max(seq) FROM tx WHERE finished > 0").fetchone()[0]
    for first in range(0, count, PAGE):
        last = min(first + PAGE, count)
        db.execute(
            f"""
            WITH RECURSIVE n (i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
            INSERT INTO tx (gid, uid, {columns})
            SELECT printf('0-%012d', i), randomblob(16), {columns} FROM n, tx WHERE tx.seq = ?
            """,
            (first, last, sample),
        )
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
