"""The vital signs of a log's files, read without changing anything."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing
from typing import NamedTuple

from troth.adapters.stores.sqlite import connect, failures, schema
from troth.adapters.stores.sqlite.locks import NodeFiles
from troth.ports.errors import StoreError

WAL_RESET_CURED = (3, 51, 3)
"""SQLite before this may damage a file when two connections checkpoint and reset the write-ahead log at once. Nodes
checkpoint only in the turnstile, one at a time, so they never meet it; other tools may."""


class File(NamedTuple):
    """One of the log's files, as this user sees it.

    :ivar mode: permission bits.
    :ivar size: bytes.
    """

    path: str
    is_dir: bool
    mode: int
    owner: int
    size: int
    readable: bool
    writable: bool


class Vitals(NamedTuple):
    """What was found; ``trouble`` says why the rest is missing, if it is.

    :ivar files: the log and whichever of its side files exist.
    :ivar free: bytes left on its disk for this user.
    :ivar version: the file's schema version; 0: none.
    :ivar faults: what ``PRAGMA quick_check`` found; empty: nothing.
    """

    sqlite: tuple[int, int, int]
    files: tuple[File, ...]
    free: int
    version: int = 0
    known_version: int = schema.VERSION
    journal_mode: str = ""
    faults: tuple[str, ...] = ()
    trouble: StoreError | None = None

    @property
    def has_reset_bug(self) -> bool:
        """Is this SQLite one of those with the WAL-reset bug?"""
        return (3, 7, 0) <= self.sqlite < WAL_RESET_CURED


def examine(path: str) -> Vitals:
    """Look at a log's files and let SQLite check the database's structure. Takes a read lock, never a write lock."""
    found = Vitals(
        sqlite3.sqlite_version_info, _files(path), shutil.disk_usage(os.path.dirname(os.path.abspath(path))).free
    )
    try:
        with closing(connect.connect(path, create=False, cache_kib=connect.READER_CACHE_KIB)) as conn:
            found = found._replace(version=schema.version(conn, path))
            try:
                mode = conn.execute("PRAGMA journal_mode").fetchone()[0]
                rows = [str(row[0]) for row in conn.execute("PRAGMA quick_check(20)").fetchall()]
            except sqlite3.Error as error:
                raise failures.reading(error, path) from error
            return found._replace(journal_mode=mode, faults=tuple(row for row in rows if row != "ok"))
    except StoreError as error:
        return found._replace(trouble=error)


def _files(path: str) -> tuple[File, ...]:
    names = [path, *(path + suffix for suffix in ("-wal", "-shm", "-turn", "-nodes"))]
    return tuple(_file(name) for name in names if os.path.exists(name))


def _file(path: str) -> File:
    status = os.stat(path)
    is_dir = stat.S_ISDIR(status.st_mode)
    search = os.X_OK if is_dir else 0
    return File(
        path, is_dir, stat.S_IMODE(status.st_mode), status.st_uid, status.st_size, os.access(path, os.R_OK | search),
        os.access(path, os.W_OK | search),
    )  # fmt: skip


def gone(path: str, nodes: Iterable[int]) -> frozenset[int]:
    """Which of these nodes' processes are gone, by their locks; what another node has not noticed yet included."""
    files = NodeFiles(f"{path}-nodes")
    return frozenset(node for node in nodes if files.is_free(node))
