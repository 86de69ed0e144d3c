"""The connection that a step on SQLite gets: sqlite3's own, except for what would end our local transaction."""

from __future__ import annotations

import sqlite3
import sys
import weakref
from typing import Any, NoReturn, TypeVar

from troth.adapters.databases.guard import refuse

K = TypeVar("K", bound=sqlite3.Cursor)


class StepConnection(sqlite3.Connection):
    """sqlite3's connection inside a step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()
        super().__init__(*args, **kwargs)

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        """A cursor, remembered so that an unfinished one can't stand in the commit's way."""
        made = super().cursor(factory)
        self._cursors.add(made)
        return made

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """sqlite3's, through a remembered cursor."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """sqlite3's, through a remembered cursor."""
        return self.cursor().executemany(sql, parameters)

    def tidy(self) -> None:
        """After the step: end its unfinished statements, undo what it set on the connection."""
        for cursor in list(self._cursors):
            cursor.close()
        self._cursors.clear()
        self.row_factory = None
        self.text_factory = str

    def statement(self, sql: str, params: Any = ()) -> tuple[int, list[Any]]:
        """One statement of ours: rows changed, rows returned."""
        cursor = sqlite3.Connection.cursor(self)
        try:
            cursor.execute(sql, params)
            return cursor.rowcount, cursor.fetchall()
        finally:
            cursor.close()

    def really_close(self) -> None:
        """Close it, whatever is open on it; SQLite rolls back."""
        try:
            self.tidy()
            if self.in_transaction:
                self.statement("ROLLBACK")
        except sqlite3.Error:
            pass
        finally:
            super().close()

    def commit(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("commit")

    def rollback(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("rollback")

    def close(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def executescript(self, sql_script: str, /) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("executescript")

    def __enter__(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("with db")

    @property
    def isolation_level(self) -> None:
        """None: the transaction is begun and ended by troth."""
        return None

    @isolation_level.setter
    def isolation_level(self, value: Any) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("isolation_level")

    if sys.version_info >= (3, 12):

        @property
        def autocommit(self) -> int:
            """sqlite3's legacy control, with no implicit transactions."""
            return sqlite3.LEGACY_TRANSACTION_CONTROL

        @autocommit.setter
        def autocommit(self, value: Any) -> NoReturn:
            refuse("autocommit")


def connect(path: str) -> StepConnection:
    """Open the database file: WAL, and every commit on disk before it is answered.

    :param path: absolute.
    """
    connection = sqlite3.connect(
        path, timeout=1.0, isolation_level=None, check_same_thread=False, factory=StepConnection
    )
    try:
        if connection.statement("PRAGMA journal_mode")[1] != [("wal",)]:
            connection.statement("PRAGMA journal_mode = WAL")
        connection.statement("PRAGMA synchronous = FULL")
        connection.statement("PRAGMA fullfsync = 1")
    except BaseException:
        connection.really_close()
        raise
    return connection
