"""Looking at transactions, and asking for what a person decided, as the Troth object does it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from troth.app.current import in_loop
from troth.app.naming import checked_gid
from troth.app.outcome import TransactionView
from troth.app.telling import moment, view_of
from troth.engine.clock import Clock
from troth.ports.errors import AlreadyBegun, ConfigurationError, StoreError, UnknownTransaction, WrongColour
from troth.ports.store import LedgerEntry, Record, Request, Store

if TYPE_CHECKING:
    from troth.app.runtime import Runtime


class Operates:
    """The part of the Troth object that reads the log and writes its mailbox."""

    runtime: Runtime

    def get(self, gid: str) -> TransactionView:
        """A transaction as the log holds it.

        :raises UnknownTransaction: if it never began, or is older than the retention.
        :raises AlreadyBegun: if only its outcome is still known.
        """
        found = self._read().get(checked_gid(gid))
        if found is None:
            raise UnknownTransaction(gid)
        if isinstance(found, LedgerEntry):
            raise AlreadyBegun(gid, found.outcome)
        return view_of(found)

    def find(
        self, *, state: str | Sequence[str] = (), since: datetime | timedelta | None = None, definition: str = "", limit: int = 100
    ) -> list[TransactionView]:
        """Transactions, newest first.

        :param state: one or several states; none: all.
        :param since: only those begun since that time, or within that time.
        :param definition: only those of this saga.
        """
        states = (state,) if isinstance(state, str) else tuple(state)
        if isinstance(since, timedelta):
            since = moment(Clock().now()) - since
        micros = 0 if since is None else int(since.timestamp() * 1e6)
        return [view_of(r) for r in self._read().find(states=states, since=micros, definition=definition, limit=limit)]

    def retry(self, gid: str) -> None:
        """Ask for another round of a transaction that needs attention, wherever it is driven.

        :raises UnknownTransaction: if the log doesn't have it.
        :raises AlreadyBegun: if it has ended.
        """
        self._wish(gid, "retry", "")

    def resolve(self, gid: str, *, reason: str) -> None:
        """Close a transaction that needs attention: what was open has been settled by hand.

        :param reason: what was done, for the record.
        """
        if not reason.strip():
            raise ConfigurationError("resolve needs a reason: say what was settled, and by whom")
        self._wish(gid, "resolve", reason)

    def stats(self) -> dict[str, int]:
        """Counters of this process's node since its start: ``commits``, ``written``, ``transactions``, outcomes, replies."""
        node = self.runtime.node
        return {} if node is None else node.stats()

    def _wish(self, gid: str, what: str, reason: str) -> None:
        store = self._read()
        found = store.get(checked_gid(gid))
        if found is None:
            raise UnknownTransaction(gid)
        if not isinstance(found, Record) or found.finished:
            raise AlreadyBegun(gid, found.outcome if isinstance(found, LedgerEntry) else found.state)
        node = self.runtime.started()
        store.post(Request(gid, what, f"process {os.getpid()}", reason, node.now()))

    def _read(self) -> Store:
        if in_loop():
            verbs = "await troth.aio.get(…), .find(…), .retry(…), .resolve(…)"
            raise WrongColour(f"this would block the event loop that runs here. Write: {verbs}")
        self.runtime.started()
        store = self.runtime.store
        if store is None:
            raise StoreError("the log is not open")
        return store
