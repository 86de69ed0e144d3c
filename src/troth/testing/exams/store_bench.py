"""What every test of the store exam starts from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from troth.ports.store import Batch, BatchOutcome, Opened, Record, Store, Write

START = 1_700_000_000_000_000
"""When the exam's nodes open, microseconds."""


class LogUnderTest(ABC):
    """One log of the kind under test: the adapter's author says how to get at it."""

    @abstractmethod
    def store(self) -> Store:
        """A store on this log, not open yet: another node to be."""

    @abstractmethod
    def kill(self, store: Store) -> None:
        """Make it look to all others as though this open store's process had been killed."""


class Node:
    """An open store with the journal's habits: batch numbers that count up, a floor."""

    def __init__(self, log: LogUnderTest, name: int, now: int = START) -> None:
        self.log = log
        self.store = log.store()
        self.opened: Opened = self.store.open(f"{name:032x}", now)
        self.number = 0

    @property
    def node(self) -> int:
        """The number it got."""
        return self.opened.node

    def commit(self, *writes: Write, floor: int = START) -> BatchOutcome:
        """Write these as the next batch."""
        self.number += 1
        return self.store.commit(Batch(self.number, floor, writes))

    def begin(self, *names: int) -> None:
        """Accept a transaction for each name."""
        self.commit(*(accept(name) for name in names))

    def kill(self) -> None:
        """End its process the hard way; what nobody knows yet."""
        self.log.kill(self.store)

    def record(self, name: int) -> Record:
        """The record of a transaction that must be there."""
        found = self.store.get(gid_of(name))
        assert isinstance(found, Record)
        return found


def gid_of(name: int) -> str:
    """The gid of the exam's transaction of that number."""
    return f"order-{name}"


def uid_of(name: int) -> bytes:
    """Its uid."""
    return name.to_bytes(16, "big")


def accept(name: int, **changed: Any) -> Write:
    """The first write of a transaction."""
    write = Write(
        uid=uid_of(name), gid=gid_of(name), insert=True, fresh=False, rev=1, pattern="saga", definition="shop:order",
        state="trying", begun=START + name, updated=START + name, finished=0, content=name.to_bytes(16, "little"),
        body=b'{"name":%d}' % name,
    )  # fmt: skip
    return write._replace(**changed)


def go_on(name: int, rev: int = 2, **changed: Any) -> Write:
    """A later write of it."""
    return accept(name, insert=False, rev=rev, body=b'{"name":%d,"rev":%d}' % (name, rev))._replace(**changed)


def finish(name: int, rev: int = 2, *, at: int = START + 1_000, state: str = "confirmed") -> Write:
    """Its last write."""
    return go_on(name, rev, state=state, updated=at, finished=at)


def names(records: Iterable[Record]) -> list[int]:
    """Which transactions these records are of."""
    return [int.from_bytes(record.uid, "big") for record in records]
