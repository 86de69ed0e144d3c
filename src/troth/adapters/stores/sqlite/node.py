"""What an open store holds: a node's number, its connections and its locks."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

from troth.adapters.stores.sqlite import connect, schema, upkeep
from troth.adapters.stores.sqlite.batch import preparation
from troth.adapters.stores.sqlite.locks import NodeFiles, Turnstile, require_flock
from troth.adapters.stores.sqlite.reading import Reader
from troth.adapters.stores.sqlite.writer import Writer
from troth.ports.errors import StoreError
from troth.ports.store import Opened


class OpenNode:
    """A registered node.

    :param path: the log's file; created or migrated if need be.
    :param incarnation: 32 hex digits.
    :param now: microseconds.
    """

    def __init__(self, path: str, incarnation: str, now: int) -> None:
        connect.require_version()
        require_flock()
        connect.require_place(path, create=True)
        self.pid = os.getpid()
        self.files = NodeFiles(f"{path}-nodes")
        turnstile = Turnstile(f"{path}-turn")
        self.writer = Writer(path, turnstile)
        try:
            with turnstile:
                make_schema(path)
            self.number, floor = self._register(incarnation, now)
            self.writer.prepare(preparation(self.number))
            self.reader = Reader(path)
        except BaseException:
            self.files.release()
            self.writer.close()
            turnstile.close()
            raise
        self._turnstile = turnstile
        self.opened = Opened(self.number, floor, str(self.reader.value("SELECT value FROM meta WHERE name = 'log'")))

    def _register(self, incarnation: str, now: int) -> tuple[int, int]:
        with self.writer.transaction() as conn:
            node, floor = upkeep.register(conn, incarnation, now, self.pid, socket.gethostname())
            self.files.hold(node)  # before the row can be seen: a visible row without its lock is a dead node
            return node, floor

    def close(self) -> None:
        """Leave the log: dead if nothing unfinished is owned, else left for others to find dead."""
        try:
            with self.writer.transaction() as conn:
                retired = upkeep.retire(conn, self.number)
        except StoreError:
            retired = False  # the freed lock tells the others
        self.reader.close()
        self.writer.close()
        self.files.release()
        if retired:
            self.files.remove(self.number)
        self._turnstile.close()

    def rest(self, patience: float) -> Callable[[], None] | None:
        """Have no connection open while the process forks; see `troth.adapters.forks`."""
        end = time.monotonic() + patience
        if not self._turnstile.rest(patience):
            return None
        if not self.reader.rest(max(0.0, end - time.monotonic())):
            self._turnstile.wake()
            return None
        self.writer.drop()

        def wake() -> None:
            self.reader.wake()
            self._turnstile.wake()

        return wake

    def abandon(self) -> None:
        """In a forked child: descriptors are closed and never unlocked, connections kept and never used."""
        self.reader.abandon()
        self.writer.abandon()
        self.files.release()


def make_schema(path: str) -> None:
    """Create or migrate the file; the caller is in the turnstile."""
    conn = connect.connect(path, create=True, cache_kib=connect.READER_CACHE_KIB)
    try:
        schema.require_known(schema.version(conn, path), path)
        connect.make_durable(conn, path)
        schema.migrate(conn, path)
    finally:
        conn.close()
