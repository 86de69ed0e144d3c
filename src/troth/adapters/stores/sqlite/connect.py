"""Opening the file: versions, pragmas, and connections that must outlive a fork."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path
from typing import Final

from troth.adapters.stores.sqlite import failures
from troth.ports.errors import ConfigurationError, StoreError, StoreReadOnly, StoreUnavailable

OLDEST: Final = (3, 35, 0)
"""The first SQLite with everything used here."""
BUSY_MILLISECONDS: Final = 5_000
"""How long a stranger (the sqlite3 shell, a backup) may hold the file; our own writers queue at the turnstile."""
CACHE_KIB: Final = 65_536
"""Page cache of the writer: holds the index of a million gids."""
READER_CACHE_KIB: Final = 8_192
STATEMENTS: Final = 64
"""Prepared statements kept: more than there are batch sizes, so that nothing is prepared on the hot path."""

_inherited: list[sqlite3.Connection] = []
"""Connections made before a fork: never used or closed in the child, and never collected (that would close them)."""


def require_version() -> None:
    """:raises ConfigurationError: SQLite is too old."""
    if sqlite3.sqlite_version_info < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise ConfigurationError(
            f"the SQLite log needs SQLite {needed} or newer, here is {sqlite3.sqlite_version}: use a newer Python"
        )


def require_place(path: str, create: bool) -> None:
    """Say early and in words what SQLite would say late and in general.

    :raises StoreError: the file is not there and may not be created.
    :raises StoreReadOnly: it can't be written.
    """
    if path.startswith(":memory:") or not path:
        raise ConfigurationError("the SQLite log needs a file: give its path, or use the memory store")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.exists(path):
        if not create:
            raise StoreError(f"there is no log at {path}: nothing was created. Name the file that your nodes use.")
        if not os.path.isdir(folder):
            raise StoreUnavailable(f"{path} can't be created: there is no directory {folder}. Make it first.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StoreReadOnly(f"{path} can't be created: {folder} can't be written by this user.")
    elif os.path.isdir(path):
        raise ConfigurationError(f"{path} is a directory: the SQLite log needs a file")
    elif create and not os.access(path, os.W_OK):
        raise StoreReadOnly(
            f"{path} can't be written by this user. Give it write permission on the file and its directory."
        )


def connect(path: str, *, create: bool, cache_kib: int, statements: int = STATEMENTS) -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use, one at a time.

    :param create: make the file if it is not there.
    :param cache_kib: page cache, KiB.
    """
    mode = "rwc" if create else "rw"
    try:
        conn = sqlite3.connect(
            f"{Path(path).absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=statements,
            timeout=BUSY_MILLISECONDS / 1000,
        )
    except sqlite3.Error as error:
        raise failures.reading(error, path) from error
    try:
        conn.execute(f"PRAGMA cache_size = -{cache_kib}")
        conn.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error as error:
        conn.close()
        raise failures.reading(error, path) from error
    return conn


def make_durable(conn: sqlite3.Connection, path: str) -> None:
    """Write-ahead log, a real flush at each commit, checkpoints only where we make them.

    ``fullfsync`` because on macOS a plain fsync leaves data in the drive's cache. ``secure_delete`` off: some
    distributions switch it on, and it writes every freed page once more.
    """
    try:
        mode = conn.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreUnavailable(f"{path} can't use a write-ahead log (it answers {mode}): put it on a local disk.")
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("PRAGMA wal_autocheckpoint = 0")
        conn.execute("PRAGMA secure_delete = OFF")
        if sys.platform == "darwin":
            conn.execute("PRAGMA fullfsync = 1")
            conn.execute("PRAGMA checkpoint_fullfsync = 1")
    except sqlite3.Error as error:
        raise failures.reading(error, path) from error


def keep_for_ever(conn: sqlite3.Connection) -> None:
    """Keep an inherited connection from being closed or collected in a forked child."""
    _inherited.append(conn)
