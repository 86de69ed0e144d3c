"""The tables of a SQLite log, and how an older file becomes a newer one.

Keys are chosen for the hot path. Updates find their row by ``gid``, the one unique index: generated gids are ordered by
time, so it grows at its right edge. Unfinished and finished rows are indexed apart, so that recovery, `mark` and the
mailbox never touch finished rows, and purge and find by state never read a body.
"""

from __future__ import annotations

import secrets
import sqlite3
from typing import Final

from troth.adapters.stores.sqlite import failures
from troth.ports.errors import StoreCorrupt, StoreError, StoreTooNew

_FIRST: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    """CREATE TABLE node (
        node INTEGER PRIMARY KEY AUTOINCREMENT, incarnation TEXT NOT NULL, alive INTEGER NOT NULL,
        batch INTEGER NOT NULL, floor INTEGER NOT NULL, started INTEGER NOT NULL, pid INTEGER NOT NULL,
        host TEXT NOT NULL)""",
    """CREATE TABLE tx (
        seq INTEGER PRIMARY KEY, gid TEXT NOT NULL UNIQUE, uid BLOB NOT NULL, rev INTEGER NOT NULL,
        pattern TEXT NOT NULL, definition TEXT NOT NULL, state TEXT NOT NULL, begun INTEGER NOT NULL,
        updated INTEGER NOT NULL, finished INTEGER NOT NULL, content BLOB NOT NULL, owner INTEGER NOT NULL,
        claims INTEGER NOT NULL, waiting TEXT NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX tx_open ON tx (owner, begun) WHERE finished = 0",
    "CREATE INDEX tx_done ON tx (state, finished) WHERE finished > 0",
    """CREATE TABLE chunk (
        tx INTEGER NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tx, number)) WITHOUT ROWID""",
    """CREATE TABLE ledger (
        key BLOB PRIMARY KEY, content BLOB NOT NULL, outcome TEXT NOT NULL, finished INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX ledger_age ON ledger (finished)",
    """CREATE TABLE request (
        id INTEGER PRIMARY KEY AUTOINCREMENT, gid TEXT NOT NULL, what TEXT NOT NULL, "by" TEXT NOT NULL,
        reason TEXT NOT NULL, at INTEGER NOT NULL)""",
)
_TWO_PHASE: Final = (
    """CREATE TABLE decision (
        uid BLOB PRIMARY KEY, gid TEXT NOT NULL, incarnation TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX decision_row ON decision (at) WHERE gid <> ''",
    "CREATE INDEX decision_abort ON decision (incarnation) WHERE gid = ''",
)
"""Who decides a two-phase transaction: the row of that gid, or ('') an abort."""
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST, _TWO_PHASE)
"""Statements that lead from version n to n + 1, oldest first. Never change one that was released; append."""
VERSION: Final = len(MIGRATIONS)


def version(conn: sqlite3.Connection, path: str) -> int:
    """The schema version of an open file; 0 if it is empty.

    :raises StoreCorrupt: the file is damaged, or is a database of something else.
    """
    try:
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()}
        if not tables:
            return 0
        if "troth_schema" not in tables:
            raise StoreCorrupt(f"{path} is a database, but no troth log. Give the log a file of its own.")
        return int(conn.execute("SELECT coalesce(max(version), 0) FROM troth_schema").fetchone()[0])
    except sqlite3.Error as error:
        raise failures.reading(error, path) from error


def require_known(found: int, path: str) -> None:
    """:raises StoreTooNew: the file's schema is newer than this code."""
    if found > VERSION:
        raise StoreTooNew(
            f"{path} has schema version {found}, this troth knows {VERSION}. Upgrade troth here; nothing was changed."
        )


def require_current(found: int, path: str) -> None:
    """What a reader needs: it never changes the schema.

    :raises StoreTooNew: the file is newer.
    :raises StoreError: the file is older, or empty.
    """
    require_known(found, path)
    if found < VERSION:
        raise StoreError(
            f"{path} has schema version {found}, this troth reads {VERSION}. Start a node on it once: it migrates."
        )


def migrate(conn: sqlite3.Connection, path: str) -> None:
    """Create the schema or bring it up to date, as one transaction; the caller holds the turnstile.

    :raises StoreTooNew: the file's schema is newer than this code.
    """
    found = version(conn, path)
    require_known(found, path)
    if found == VERSION:
        return
    try:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("CREATE TABLE IF NOT EXISTS troth_schema (version INTEGER PRIMARY KEY)")
        for number in range(found, VERSION):
            for statement in MIGRATIONS[number]:
                conn.execute(statement)
            conn.execute("INSERT INTO troth_schema VALUES (?)", (number + 1,))
        if not found:
            fresh = (("log", secrets.token_hex(16)), ("floor", 0), ("settled", 0))
            conn.executemany("INSERT INTO meta VALUES (?, ?)", fresh)
        conn.execute("COMMIT")
    except sqlite3.Error as error:
        if conn.in_transaction:
            conn.rollback()
        raise failures.reading(error, path) from error
