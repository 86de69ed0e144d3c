"""What the barrier's tables look like in each kind of database, whichever library speaks to it. No driver is imported."""

from __future__ import annotations

from typing import Final

from troth.ports.database import Dialect, fence_table
from troth.ports.outbox import MYSQL as MYSQL_OUTBOX
from troth.ports.outbox import POSTGRES as POSTGRES_OUTBOX
from troth.ports.outbox import SQLITE as SQLITE_OUTBOX

SQLITE_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS troth_barrier (uid BLOB NOT NULL, branch TEXT NOT NULL, op TEXT NOT NULL,
    outcome TEXT NOT NULL, payload_hash BLOB NOT NULL, result BLOB, reason TEXT NOT NULL DEFAULT '',
    begun INTEGER NOT NULL, log TEXT NOT NULL, created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (uid, branch, op)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS troth_barrier_begun ON troth_barrier (log, begun)",
    """CREATE TABLE IF NOT EXISTS troth_barrier_mark (log TEXT NOT NULL PRIMARY KEY, mark INTEGER NOT NULL)
    WITHOUT ROWID""",
    fence_table(),
    *SQLITE_OUTBOX,
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
    *POSTGRES_OUTBOX[1:],
)

MYSQL_TABLES: Final = (
    # Keys compare byte by byte, whatever the server's collation is: the usual ones take Order-1 for order-1. A branch
    # holds a name, which may be of any script. Long texts have no default that every version takes.
    """CREATE TABLE IF NOT EXISTS troth_barrier (uid VARBINARY(64) NOT NULL,
    branch VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    op VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    outcome VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, payload_hash VARBINARY(64) NOT NULL,
    result LONGBLOB, reason MEDIUMTEXT CHARACTER SET utf8mb4, begun BIGINT NOT NULL,
    log VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (uid, branch, op), KEY troth_barrier_begun (log, begun)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC""",
    """CREATE TABLE IF NOT EXISTS troth_barrier_mark (
    log VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, mark BIGINT NOT NULL)
    ENGINE=InnoDB ROW_FORMAT=DYNAMIC""",
    fence_table("CHARACTER SET ascii COLLATE ascii_bin", " ENGINE=InnoDB ROW_FORMAT=DYNAMIC"),
    *MYSQL_OUTBOX,
)
_MYSQL_FLAWS: Final = (
    "SELECT CONCAT('column ', column_name, ' compares as ', collation_name, '; make it utf8mb4_bin')"
    " FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'troth_barrier'"
    " AND column_name IN ('uid', 'branch', 'op', 'log') AND RIGHT(collation_name, 4) <> '_bin'"
    " UNION ALL SELECT CONCAT('the engine of ', table_name, ' is ', engine, '; make it InnoDB')"
    " FROM information_schema.tables WHERE table_schema = DATABASE()"
    " AND table_name IN ('troth_barrier', 'troth_barrier_mark') AND engine <> 'InnoDB'"
)
MYSQL: Final = Dialect(MYSQL_TABLES, lock=" FOR UPDATE", mysql=True, inspect=_MYSQL_FLAWS)
"""MariaDB and MySQL, at any isolation level.

At repeatable read, their default, a snapshot is made by the first plain SELECT. The barrier inserts first, which sees and
waits for what is there now, so its snapshot is never older than the lock that it holds.
"""

SQLITE: Final = Dialect(SQLITE_TABLES)
"""One writer holds the whole database, so nothing needs a lock of its own."""


def postgres(isolation: str = "read committed") -> Dialect:
    """PostgreSQL at an isolation level, in lower case.

    Above read committed an older snapshot may not see a purge mark that was moved since, so the row is locked, which
    fails then.
    """
    share = "" if isolation == "read committed" else " FOR SHARE"
    return Dialect(POSTGRES_TABLES, lock=" FOR UPDATE", share=share, skip=" FOR UPDATE SKIP LOCKED")
