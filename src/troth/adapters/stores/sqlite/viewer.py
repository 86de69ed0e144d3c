"""A log opened without becoming a node: what the command line does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Self

from troth.adapters.forks import nothing_rested, rests_at_forks
from troth.adapters.stores.sqlite import connect, upkeep
from troth.adapters.stores.sqlite.locks import Turnstile, require_flock
from troth.adapters.stores.sqlite.readable import Readable
from troth.adapters.stores.sqlite.reading import Reader
from troth.adapters.stores.sqlite.writer import Writer
from troth.ports.errors import StoreError
from troth.ports.store import Request


class SqliteViewer(Readable):
    """Reads a log and posts into its mailbox; creates nothing and migrates nothing.

    :param path: the log's file.
    :raises StoreError: there is none, or it is not readable as a log of this version.
    """

    def __init__(self, path: str) -> None:
        connect.require_version()
        require_flock()
        connect.require_place(path, create=False)
        self.path = path
        self._pid = os.getpid()
        self._reader: Reader | None = Reader(path)
        try:
            self._reader.check()
        except StoreError:
            self._reader.close()
            raise
        rests_at_forks(self)

    def rest(self, patience: float) -> Callable[[], None] | None:
        """As `troth.adapters.forks.Rests` says."""
        reader = self._reader
        if reader is None or self._pid != os.getpid():
            return nothing_rested
        return reader.wake if reader.rest(patience) else None

    def _reading(self) -> Reader:
        if self._reader is None or self._pid != os.getpid():
            raise StoreError(f"this view of {self.path} is closed, or was opened before a fork: open it anew")
        return self._reader

    def post(self, request: Request) -> None:
        """Clause 14: put a request into the mailbox; its owner takes it within a moment."""
        self._reading()
        writer = Writer(self.path, Turnstile(f"{self.path}-turn"))
        try:
            with writer.transaction() as conn:
                upkeep.post(conn, request)
        finally:
            writer.close()

    def close(self) -> None:
        """Close it; a second time does nothing."""
        reader, self._reader = self._reader, None
        if reader is not None:
            if self._pid == os.getpid():
                reader.close()
            else:
                reader.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
