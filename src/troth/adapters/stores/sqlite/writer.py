"""The one connection that writes, behind the turnstile."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from troth.adapters.stores.sqlite import connect, failures
from troth.adapters.stores.sqlite.batch import FENCED
from troth.adapters.stores.sqlite.locks import Turnstile
from troth.ports.errors import CommitUnknown, Fenced, StoreError, StoreUnavailable

_CHECKPOINT_BYTES: Final = 4 * 1024 * 1024
"""Bytes we write before we move the write-ahead log into the file: about 10 ms of work every few thousand rows."""
_LONG_LOG_PAGES: Final = 16_384
"""Pages (64 MiB) after which the log is cut off, waiting for readers if need be."""
_ROW_BYTES: Final = 512
"""What a row costs in the write-ahead log beside its body, about."""
_log = logging.getLogger("troth.store")


class Writer:
    """Writes whole transactions, one at a time over all processes.

    :param path: the file.
    :param turnstile: shared by every writer of this process's store.
    :param prepare: statements run on each new connection (temporary view and triggers).
    """

    def __init__(self, path: str, turnstile: Turnstile, prepare: Sequence[str] = ()) -> None:
        self._path = path
        self._turnstile = turnstile
        self._prepare = prepare
        self._conn: sqlite3.Connection | None = None
        self._suspect = False
        self._unflushed = 0

    # -- the connection

    def _connection(self) -> sqlite3.Connection:
        """The connection, opened anew after a commit without an answer; the caller is in the turnstile."""
        if self._suspect and self._conn is not None:
            conn, self._conn = self._conn, None
            with suppress(sqlite3.Error):
                conn.close()
        if self._conn is None:
            self._conn = self._open()
            self._suspect = False
        return self._conn

    def _open(self) -> sqlite3.Connection:
        conn = connect.connect(self._path, create=False, cache_kib=connect.CACHE_KIB)
        try:
            connect.make_durable(conn, self._path)
            for statement in self._prepare:
                conn.execute(statement)
        except sqlite3.Error as error:
            conn.close()
            raise failures.reading(error, self._path) from error
        except StoreError:
            conn.close()
            raise
        return conn

    def prepare(self, statements: Sequence[str]) -> None:
        """Run these on this connection and on each later one."""
        self._prepare = statements
        with self._turnstile:
            conn = self._connection()
            try:
                for statement in statements:
                    conn.execute(statement)
            except sqlite3.Error as error:
                raise failures.reading(error, self._path) from error

    def close(self) -> None:
        """Close the connection; the last one of all processes empties the write-ahead log."""
        with self._turnstile:
            self.drop()

    def drop(self) -> None:
        """Close the connection while the turnstile rests; the next use opens another."""
        conn, self._conn = self._conn, None
        if conn is not None:
            with suppress(sqlite3.Error):
                conn.close()

    def abandon(self) -> None:
        """In a forked child: keep the inherited connection unused, give the descriptor back."""
        conn, self._conn = self._conn, None
        if conn is not None:
            connect.keep_for_ever(conn)
        self._turnstile.close()

    # -- transactions

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """``BEGIN IMMEDIATE`` … ``COMMIT`` in the turnstile; rolled back if the body raises.

        :raises StoreError: as the port's clause 7 says.
        """
        with self._turnstile:
            conn = self._connection()
            try:
                conn.execute("BEGIN IMMEDIATE")
                yield conn
            except BaseException as error:
                self._roll_back(conn)
                if isinstance(error, (sqlite3.Error, *failures.DATA_ERRORS)):
                    raise self._failed(error) from error
                raise
            try:
                conn.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back(conn)
                raise self._failed(error) from error

    def write(
        self,
        statements: Sequence[tuple[str, list[Any]]],
        rows: int,
        size: int,
        explain: Callable[[sqlite3.Connection], None],
    ) -> None:
        """Run a batch; if it changed other than ``rows`` rows, call ``explain`` before anyone else can write.

        One statement runs outside an explicit transaction: the same step takes the lock, writes and commits.

        :param size: bytes written, about.
        """
        with self._turnstile:
            conn = self._connection()
            before = conn.total_changes
            try:
                if len(statements) == 1:
                    sql, values = statements[0]
                    conn.executemany(sql, (values,))
                else:
                    self._write_many(conn, statements)
            except (sqlite3.Error, *failures.DATA_ERRORS) as error:
                self._roll_back(conn)
                raise self._failed(error) from error
            if conn.total_changes - before != rows:
                explain(conn)
            self._unflushed += size + rows * _ROW_BYTES
            if self._unflushed > _CHECKPOINT_BYTES:
                self._checkpoint(conn)

    def _write_many(self, conn: sqlite3.Connection, statements: Sequence[tuple[str, list[Any]]]) -> None:
        conn.execute("BEGIN IMMEDIATE")
        for sql, values in statements:
            conn.executemany(sql, (values,))
        conn.execute("COMMIT")

    def _roll_back(self, conn: sqlite3.Connection) -> None:
        try:
            if conn.in_transaction:
                conn.rollback()
        except sqlite3.Error:
            self._suspect = True

    def _failed(self, error: Exception) -> StoreError:
        if isinstance(error, sqlite3.IntegrityError) and str(error) == FENCED:
            return Fenced(
                f"this node was declared dead by another one on {self._path}: nothing of the batch was written"
            )
        failed = failures.writing(error, self._path)
        if isinstance(failed, CommitUnknown):
            self._suspect = True
        return failed

    # -- after a commit without an answer

    def settled(self, node: int, number: int, explain: Callable[[sqlite3.Connection], None]) -> tuple[bool, bool]:
        """(alive, was batch ``number`` written?) of a node, from a fresh look under the write lock, made certain.

        ``explain`` is called if it was, before anyone else can write.

        The lost commit's frames may lie in the write-ahead log behind its end, where recovery after a crash would find
        them. So when they are not seen, something is committed over them before that is said (something new: SQLite
        writes no page that stays as it was).

        :raises StoreUnavailable: nothing is known yet; ask again.
        """
        try:
            with self.transaction() as conn:
                row = conn.execute("SELECT alive, batch FROM node WHERE node = ?", (node,)).fetchone()
                written = row is not None and row[1] >= number
                if written:
                    explain(conn)
                else:
                    conn.execute("UPDATE meta SET value = value + 1 WHERE name = 'settled'")
        except StoreError as error:
            raise StoreUnavailable(f"whether the batch was written can't be known yet ({error}). Ask again.") from error
        return (row is not None and bool(row[0])), written

    # -- checkpoints

    def _checkpoint(self, conn: sqlite3.Connection) -> None:
        """Move the write-ahead log into the file. Only ever done in the turnstile: two at once met a bug of SQLite's.

        A failure loses nothing (the log keeps what the file lacks) and is tried again later.
        """
        self._unflushed = 0
        try:
            _, pages, moved = conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > _LONG_LOG_PAGES and moved == pages:
                conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            _log.warning("checkpoint of %s failed, will be tried again: %s", self._path, error)
