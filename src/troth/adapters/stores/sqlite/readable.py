"""The questions of the store port, asked of a node's store or of a reader alike."""

from __future__ import annotations

from collections.abc import Sequence

from troth.adapters.stores.sqlite.reading import Reader
from troth.ports.store import LedgerEntry, NodeRow, Record


class Readable:
    """Answers what can be read of a log."""

    def _reading(self) -> Reader:
        """The reader to ask; raises `StoreError` where there is none."""
        raise AssertionError("a readable log says which reader to ask")

    def get(self, gid: str) -> Record | LedgerEntry | None:
        """Clause 12: a record, a ledger entry, or None."""
        return self._reading().get(gid)

    def find(
        self, *, states: Sequence[str] = (), since: int = 0, definition: str = "", after_seq: int = 0, limit: int = 100,
        newest_first: bool = True,
    ) -> list[Record]:  # fmt: skip
        """Transactions by seq.

        :param states: only these; all if empty.
        :param since: begun at or after this, microseconds.
        :param definition: only those of this saga; all if empty.
        :param after_seq: the seq of the last one of the page before; 0 for the first page.
        """
        return self._reading().find(states, since, definition, after_seq, limit, newest_first)

    def counts(self) -> dict[str, int]:
        """Transactions by state. Finished ones are counted in an index, their rows are not read."""
        return self._reading().counts()

    def nodes(self) -> list[NodeRow]:
        """All known nodes, oldest first."""
        return self._reading().nodes()

    def decisions(self, uids: Sequence[bytes]) -> dict[bytes, Record | LedgerEntry]:
        """Clause 20."""
        return self._reading().decisions(uids)

    def mark(self) -> int:
        """Clause 15: the low-water mark, microseconds."""
        return self._reading().mark()
