"""The bare loop: the same calls and the same forced writes, group-committed, and nothing that manages a transaction.

It is what a competent engineer would write by hand for exactly this case: one row per saga in a WAL file with
``synchronous=FULL``, a writer thread that commits whatever is waiting with one statement, nothing on the loop but the
calls. It recovers nothing, retries nothing and fences nobody; it is the floor, not a peer.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Sequence

from msgspec.json import encode

from bench.sides.side import TEXT

Row = tuple[int, str, bytes]
"""id, state, body (JSON)"""

SCHEMA = "CREATE TABLE IF NOT EXISTS saga (id INTEGER PRIMARY KEY, state TEXT NOT NULL, body BLOB NOT NULL)"
UPSERT = "INSERT INTO saga (id, state, body) VALUES "
ON_CONFLICT = " ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body"
ROWS = 5_000
"""Rows of one statement: SQLite takes 32,766 parameters."""


class GroupCommit:
    """Rows in, durable rows out: while one batch is being committed, the next one gathers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._busy = False
        self._batches: queue.SimpleQueue[list[tuple[Row, asyncio.Future[None]]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="writer")
        self._thread.start()
        self.commits = 0
        self.forced = 0

    def save(self, row: Row) -> asyncio.Future[None]:
        """Queue the row; the future is done when it is durable."""
        future: asyncio.Future[None] = self._loop.create_future()
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._hand_over)
        self._waiting.append((row, future))
        return future

    def close(self) -> None:
        """Wait for the writer to end."""
        self._batches.put(None)
        self._thread.join()

    def _hand_over(self) -> None:
        batch, self._waiting = self._waiting, []
        self._busy = bool(batch)
        if batch:
            self._batches.put(batch)

    def _durable(self, batch: list[tuple[Row, asyncio.Future[None]]]) -> None:
        self.commits += 1
        self.forced += len(batch)
        for _, future in batch:
            future.set_result(None)
        self._loop.call_soon(self._hand_over)  # after those just woken have queued their next rows

    def _write(self) -> None:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(SCHEMA)
        while (batch := self._batches.get()) is not None:
            db.execute("BEGIN IMMEDIATE")
            for first in range(0, len(batch), ROWS):
                upsert(db, [row for row, _ in batch[first : first + ROWS]])
            db.execute("COMMIT")
            self._loop.call_soon_threadsafe(self._durable, batch)
        db.close()


def upsert(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """All rows in one statement: `executemany` would take the interpreter lock again for every row."""
    values = ",".join(["(?,?,?)"] * len(rows))
    db.execute(UPSERT + values + ON_CONFLICT, [value for row in rows for value in row])


async def reserve(text: str) -> str:
    """The first step."""
    return text


async def charge(text: str) -> str:
    """The second step."""
    return text


class Bare:
    """Two calls, with two forced writes (``declared``) or three (``function``) around them."""

    def __init__(self, name: str, log: str) -> None:
        self._log_path = log
        self._function = name.endswith("function")
        self._next = 0

    async def start(self) -> None:
        """Open the file."""
        self._log = GroupCommit(self._log_path)

    async def stop(self) -> None:
        """Close the file."""
        self._log.close()

    async def one(self) -> str:
        """One saga of two steps."""
        self._next += 1
        return await (self._by_function if self._function else self._declared)(self._next)

    async def _declared(self, number: int) -> str:
        await self._log.save((number, "trying", encode({"input": TEXT})))
        first = await reserve(TEXT)
        second = await charge(TEXT)
        await self._log.save((number, "confirmed", encode({"input": TEXT, "results": [first, second]})))
        return second

    async def _by_function(self, number: int) -> str:
        await self._log.save((number, "trying", encode({"input": TEXT, "calls": [["reserve", TEXT]]})))
        first = await reserve(TEXT)
        calls = [["reserve", TEXT, first], ["charge", TEXT]]
        await self._log.save((number, "trying", encode({"input": TEXT, "calls": calls})))
        second = await charge(TEXT)
        calls[1].append(second)
        await self._log.save((number, "confirmed", encode({"input": TEXT, "calls": calls, "result": second})))
        return second

    def stats(self) -> dict[str, int]:
        """Commits, forced writes and sagas since the start."""
        return {"commits": self._log.commits, "forced": self._log.forced, "transactions": self._next}


def make(name: str, log: str) -> Bare:
    """The side of that name."""
    return Bare(name, log)
