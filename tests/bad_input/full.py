"""Ways to fill the disk of a running node."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from troth import Troth

ROOM = 1_000_000
"""Pages that no test reaches."""


@contextmanager
def writer_of(app: Troth) -> Iterator[sqlite3.Connection]:
    """The connection that the node writes its log on, while nobody else uses it."""
    store: Any = app.runtime.store
    writer = store._node.writer
    with writer._turnstile:
        yield writer._conn


def fill(app: Troth) -> None:
    """No page can be added any more."""
    with writer_of(app) as conn:
        (pages,) = conn.execute("PRAGMA page_count").fetchone()
        conn.execute(f"PRAGMA max_page_count = {pages}")


def make_room(app: Troth) -> None:
    """Pages can be added again."""
    with writer_of(app) as conn:
        conn.execute(f"PRAGMA max_page_count = {ROOM}")
