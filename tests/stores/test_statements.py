"""The hot path's shape: one statement a batch, and finished rows never in the way."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from troth.adapters.stores.sqlite import SqliteStore, batch, reading, upkeep
from troth.ports.store import Batch, LedgerEntry
from troth.testing.exams.store_bench import START, accept, finish, gid_of, go_on


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A node."""
    store = SqliteStore(str(tmp_path / "log.db"))
    store.open("1" * 32, START)
    yield store
    store.close()


def connection(store: SqliteStore) -> sqlite3.Connection:
    """The connection that the store writes on."""
    assert store._node is not None and store._node.writer._conn is not None
    return store._node.writer._conn


def plan(store: SqliteStore, sql: str) -> str:
    """How SQLite means to answer a query."""
    nulls = [0] * sql.count("?")
    return "\n".join(row[3] for row in connection(store).execute(f"EXPLAIN QUERY PLAN {sql}", nulls))


@pytest.mark.parametrize("size", [0, 1, 5, 60])
def test_a_batch_is_one_statement(store: SqliteStore, size: int) -> None:
    """Lock, fence, rows and commit are one step, of a few sizes that are prepared once."""
    seen: list[str] = []
    connection(store).set_trace_callback(seen.append)
    store.commit(Batch(1, START, [accept(name) for name in range(size)]))
    assert len(batch.statements(Batch(1, START, [accept(1)] * 1_000))) == 1
    assert {statement[:17] for statement in seen} == {"INSERT INTO batch"}  # its triggers' steps are traced by its name


def test_a_batch_of_more_rows_than_a_statement_holds_is_still_one_transaction(store: SqliteStore) -> None:
    """A batch with many chunks is written, or rejected, as a whole."""
    chunks = tuple((number, b"[]") for number in range(1, 32))
    writes = [accept(name, chunks=chunks) for name in range(100)]
    assert batch.rows_of(Batch(1, START, writes)) > batch.MOST_ROWS
    store.commit(Batch(1, START, writes))
    again = store.commit(
        Batch(2, START, [*(go_on(name, chunks=chunks) for name in range(99)), accept(99, uid=bytes(16))])
    )
    assert again.conflicts == {bytes(16)} and not again.lost
    assert store.counts() == {"trying": 100}


@pytest.mark.parametrize("sql", [reading._UNFINISHED, reading._MARK, reading._COUNTS, upkeep._DUE])
def test_questions_about_the_whole_log_use_the_partial_indexes(store: SqliteStore, sql: str) -> None:
    """No plan walks the rows of the table."""
    assert not re.search(r"SCAN tx(?! USING)", plan(store, sql)), plan(store, sql)


def test_finished_rows_are_counted_in_an_index_that_covers_the_question(store: SqliteStore) -> None:
    """Their bodies are not read."""
    assert "SCAN tx USING COVERING INDEX tx_done" in plan(store, reading._COUNTS)


def test_an_update_finds_its_row_by_gid(store: SqliteStore) -> None:
    """The one unique index serves inserts and updates."""
    assert "USING INDEX sqlite_autoindex_tx_1 (gid=?)" in plan(store, "UPDATE tx SET rev = 1 WHERE gid = ? AND uid = ?")


def test_pages_of_large_bodies_come_back_whole(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a page is cut, order and bytes are kept."""
    monkeypatch.setattr(reading, "_PAGE_BYTES", 2_500)
    store.commit(Batch(1, START, [accept(name, body=bytes([name]) * (1_000 + name)) for name in range(1, 21)]))
    found = store.find(newest_first=False)
    assert [record.body for record in found] == [bytes([name]) * (1_000 + name) for name in range(1, 21)]
    assert [record.seq for record in found] == sorted(record.seq for record in found)


def test_a_large_purge_is_one_batch(store: SqliteStore) -> None:
    """More rows than one statement takes are moved all the same."""
    for start in (0, 1_000):
        store.commit(Batch(1, START, [accept(name) for name in range(start, start + 1_000)]))
        store.commit(Batch(2, START, [finish(name, at=START + 1) for name in range(start, start + 1_000)]))
    assert store.purge(START + 100, 10, 10**9, 1_700) == 1_700
    assert store.counts() == {"confirmed": 300}
    assert isinstance(store.get(gid_of(1_699)), LedgerEntry)
