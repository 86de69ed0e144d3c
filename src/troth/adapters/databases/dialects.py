"""What the barrier's tables look like in each kind of database, whichever library speaks to it. No driver is imported."""

from __future__ import annotations

from typing import Final

from troth.ports.database import Dialect, fence_table

SQLITE_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS troth_barrier (uid BLOB NOT NULL, branch TEXT NOT NULL, op TEXT NOT NULL,
    outcome TEXT NOT NULL, payload_hash BLOB NOT NULL, result BLOB, reason TEXT NOT NULL DEFAULT '',
    begun INTEGER NOT NULL, log TEXT NOT NULL, created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (uid, branch, op)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS troth_barrier_begun ON troth_barrier (log, begun)",
    """CREATE TABLE IF NOT EXISTS troth_barrier_mark (log TEXT NOT NULL PRIMARY KEY, mark INTEGER NOT NULL)
    WITHOUT ROWID""",
    fence_table(),
)
POSTGRES_TABLES: Final = (
    "SELECT pg_advisory_xact_lock(8390880603146837)",  # two who create a table at once fail, IF NOT EXISTS or not
    """CREATE TABLE IF NOT EXISTS troth_barrier (uid bytea NOT NULL, branch text COLLATE "C" NOT NULL,
    op text COLLATE "C" NOT NULL, outcome text NOT NULL, payload_hash bytea NOT NULL, result bytea,
    reason text NOT NULL DEFAULT '', begun bigint NOT NULL, log text COLLATE "C" NOT NULL,
    created timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (uid, branch, op))""",
    "CREATE INDEX IF NOT EXISTS troth_barrier_begun ON troth_barrier (log, begun)",
    """CREATE TABLE IF NOT EXISTS troth_barrier_mark (log text COLLATE "C" PRIMARY KEY, mark bigint NOT NULL)""",
    fence_table('COLLATE "C"'),
)

SQLITE: Final = Dialect(SQLITE_TABLES)
"""One writer holds the whole database, so nothing needs a lock of its own."""


def postgres(isolation: str = "read committed") -> Dialect:
    """PostgreSQL at an isolation level, in lower case.

    Above read committed an older snapshot may not see a purge mark that was moved since, so the row is locked, which
    fails then.
    """
    share = "" if isolation == "read committed" else " FOR SHARE"
    return Dialect(POSTGRES_TABLES, lock=" FOR UPDATE", share=share, skip=" FOR UPDATE SKIP LOCKED")
