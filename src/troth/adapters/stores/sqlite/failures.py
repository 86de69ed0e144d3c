"""What SQLite's error codes mean for a log.

The rule for commits (`docs` of the store port, clause 7): only codes that SQLite raises *before* anything of the
transaction can have reached the write-ahead log count as "nothing was written". Everything else, an I/O error first of
all, leaves the outcome unknown: measured with failing ``fdatasync``, such a batch was invisible in the process and
there after reopening.
"""

from __future__ import annotations

import errno
import sqlite3
from typing import Final

from troth.ports.errors import (
    CommitUnknown,
    RowRejected,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

_BUSY: Final = frozenset({5, 6, 15, 17})
"""SQLITE_BUSY, LOCKED, PROTOCOL, SCHEMA: the write lock was never held."""
_READONLY: Final = frozenset({8, 3, 23})
"""SQLITE_READONLY, PERM, AUTH."""
_FULL: Final = 13
_CANTOPEN: Final = 14
_CORRUPT: Final = frozenset({11, 26})
"""SQLITE_CORRUPT, NOTADB."""
_DATA: Final = frozenset({18, 19, 20, 25})
"""SQLITE_TOOBIG, CONSTRAINT, MISMATCH, RANGE."""
DATA_ERRORS: Final = (OverflowError, UnicodeError, ValueError, TypeError)
"""What the driver raises for a value that it can't bind."""


def reading(error: Exception, path: str) -> StoreError:
    """The error of a read, or of opening."""
    code = _code(error)
    if code in _CORRUPT:
        return StoreCorrupt(
            f"{path} is damaged or is no SQLite file ({error}). Stop all nodes, keep a copy, and restore a backup or"
            " run sqlite3's .recover; or name another file."
        )
    if code in _READONLY:
        return StoreReadOnly(
            f"{path} can't be written ({error}). Give this user write permission on the file and its directory."
        )
    if code == _FULL:
        return StoreFull(
            f"no space left for {path} ({error}); nothing was written. Free some: the log goes on by itself."
        )
    if code == _CANTOPEN:
        return StoreUnavailable(
            f"{path} can't be opened ({error}). Check that its directory exists and can be searched."
        )
    return StoreUnavailable(f"{path} can't be used now ({error}); nothing was written. Try again.")


def writing(error: Exception, path: str) -> StoreError:
    """The error of a write whose commit may have begun."""
    if isinstance(error, (*DATA_ERRORS, sqlite3.InterfaceError, sqlite3.ProgrammingError)):
        return RowRejected(f"{path} can't hold a value of this batch ({error}); nothing was written.")
    code = _code(error)
    if code in _DATA:
        return RowRejected(f"{path} refused a row of this batch ({error}); nothing was written.")
    if code in _BUSY or code in _READONLY or code in _CORRUPT or code in (_FULL, _CANTOPEN):
        return reading(error, path)
    return CommitUnknown(f"the commit to {path} got no answer ({error}): it may or may not have been written.")


def opening(error: OSError, path: str) -> StoreError:
    """The operating system's error about one of the log's files."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreReadOnly(f"{path} can't be written ({error.strerror}). Give this user write permission there.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"no space left for {path} ({error.strerror}); nothing was written.")
    return StoreUnavailable(f"{path} can't be opened ({error.strerror}). Check that its directory exists.")


def _code(error: Exception) -> int:
    """SQLite's primary result code, 0 if there is none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
