"""Every store sits the same exam, memory first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from troth.adapters.stores.memory import MemoryLog, MemoryStore
from troth.adapters.stores.sqlite import SqliteStore
from troth.ports.store import Store
from troth.testing.exams.store import LogUnderTest, StoreExam


class _Memory(LogUnderTest):
    def __init__(self) -> None:
        self.shared = MemoryLog()

    def store(self) -> Store:
        return MemoryStore(self.shared)

    def kill(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        self.shared.kill(store.node)


class _Sqlite(LogUnderTest):
    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened: list[SqliteStore] = []

    def store(self) -> Store:
        store = SqliteStore(str(self.path))
        self.opened.append(store)
        return store

    def kill(self, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        store.abandon()


class TestMemoryStore(StoreExam):
    """The memory store."""

    @pytest.fixture
    def log(self) -> Iterator[LogUnderTest]:
        yield _Memory()


class TestSqliteStore(StoreExam):
    """The SQLite store, on a path that needs quoting."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[LogUnderTest]:
        sqlite = _Sqlite(tmp_path / "the log? 100%.db")
        yield sqlite
        for store in sqlite.opened:
            store.close()
