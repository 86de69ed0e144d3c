"""Disks that are full or fail, commits without an answer, strangers: nothing lost, nothing half-written."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stores.conftest import Process
from troth.adapters.stores.sqlite import SqliteStore, connect
from troth.ports.errors import CommitUnknown, StoreFull, StoreUnavailable
from troth.ports.store import Batch, BatchOutcome
from troth.testing.exams.store_bench import START, accept, go_on, uid_of

Start = Callable[..., Process]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "log.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A node."""
    store = SqliteStore(str(path))
    store.open("1" * 32, START)
    yield store
    store.close()


def connection(store: SqliteStore) -> sqlite3.Connection:
    """The connection that the store writes on."""
    assert store._node is not None and store._node.writer._conn is not None
    return store._node.writer._conn


def replace_connection(store: SqliteStore, other: Any) -> None:
    """Let the store write on this instead, until it opens anew."""
    assert store._node is not None
    store._node.writer._conn = other


def intact(path: Path) -> bool:
    """Does SQLite find the file in order?"""
    conn = sqlite3.connect(path)
    try:
        return bool(conn.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    finally:
        conn.close()


class LosesAnswers:
    """A connection whose next commit gets no answer, after or before it was done."""

    def __init__(self, real: sqlite3.Connection, *, done: bool) -> None:
        self._real = real
        self._done = done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def executemany(self, sql: str, rows: Any) -> None:
        if self._done:
            self._real.executemany(sql, rows)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error


def test_a_full_disk_refuses_the_batch_and_the_store_goes_on_when_space_is_back(store: SqliteStore, path: Path) -> None:
    """Nothing of the refused batch is there; reading goes on meanwhile."""
    store.commit(Batch(1, START, [accept(1)]))
    conn = connection(store)
    pages = conn.execute("PRAGMA page_count").fetchone()[0]
    conn.execute(f"PRAGMA max_page_count = {pages}")
    large = [accept(name, body=b"x" * 10_000) for name in range(2, 60)]
    with pytest.raises(StoreFull, match="nothing was written"):
        store.commit(Batch(2, START, large))
    assert store.counts() == {"trying": 1}
    assert not store.settle(2)
    conn.execute("PRAGMA max_page_count = 1000000")
    store.commit(Batch(2, START, large))
    assert store.counts() == {"trying": 59}
    assert intact(path)


@pytest.mark.parametrize("rows", [3, 400])
def test_an_io_error_at_commit_leaves_the_batch_unknown_and_settles_as_not_written(process: Start, rows: int) -> None:
    """The write-ahead log may not grow: the commit fails in the middle. Nothing is half-written, and work goes on."""
    node = process()
    node.ask("open", 1)
    node.ask("begin", 1, 2)
    node.ask("let_no_file_grow")
    kind, words = node.fail("begin", *range(10, 10 + rows))
    assert kind == "CommitUnknown" and "may or may not" in words
    assert node.fail("settle", 2)[0] == "StoreUnavailable"
    assert node.ask("settle", 1) is True
    node.ask("let_files_grow")
    assert node.ask("settle", 2) is False
    assert node.ask("get_revs") == {"order-1": 1, "order-2": 1}
    node.ask("begin", *range(10, 10 + rows))
    assert len(node.ask("get_revs")) == 2 + rows
    node.ask("close")


def test_after_an_io_error_a_kill_brings_nothing_back_that_was_settled_as_not_written(
    process: Start, path: Path
) -> None:
    """What settle said about the lost batch holds for whoever opens the file next."""
    node = process()
    node.ask("open", 1)
    node.ask("begin", 1)
    node.ask("let_no_file_grow")
    node.fail("begin", *range(10, 100))
    node.ask("let_files_grow")
    assert node.ask("settle", 2) is False
    node.dispose()
    heir = process()
    heir.ask("open", 2)
    assert heir.ask("get_revs") == {"order-1": 1}
    heir.ask("close")
    assert intact(path)


@pytest.mark.parametrize("done", [True, False])
def test_a_commit_without_an_answer_is_settled_right_both_ways(store: SqliteStore, done: bool) -> None:
    """On a connection opened anew the node's row tells; the store goes on from there."""
    store.commit(Batch(1, START, [accept(1)]))
    real = connection(store)
    replace_connection(store, LosesAnswers(real, done=done))
    with pytest.raises(CommitUnknown):
        store.commit(Batch(2, START, [go_on(1), accept(2)]))
    assert (store.settle(2) is not None) is done
    assert connection(store) is not real
    assert (store.get("order-2") is not None) is done
    outcome = store.commit(Batch(3, START, [go_on(1, rev=3)] if done else [go_on(1), accept(2)]))
    assert not outcome.lost and not outcome.conflicts


def test_a_commit_without_an_answer_keeps_its_conflicts(store: SqliteStore) -> None:
    """What of it was not written is told when it is settled: a taken gid, an abort that came first."""
    store.commit(Batch(1, START, [accept(1)]))
    store.abort(uid_of(2), "1" * 32, START)
    replace_connection(store, LosesAnswers(connection(store), done=True))
    voted = accept(2, pattern="two_phase")
    with pytest.raises(CommitUnknown):
        store.commit(Batch(2, START, [accept(1, uid=uid_of(91)), voted, accept(3), go_on(4)]))
    outcome = store.settle(2)
    assert outcome is not None
    assert (outcome.conflicts, outcome.overruled) == ({uid_of(91), uid_of(2)}, {uid_of(2)})
    assert outcome.lost == {uid_of(4)}
    assert store.settle(1) is not None


def test_a_lost_commit_that_still_runs_is_waited_for(store: SqliteStore, path: Path) -> None:
    """The node's row is read under the write lock: before the late commit lands nothing is said."""
    late = sqlite3.connect(path, isolation_level=None)
    late.execute("BEGIN IMMEDIATE")
    late.execute("UPDATE node SET batch = 7")
    said: list[object] = []
    asker = threading.Thread(target=lambda: said.append(store.settle(7)))
    asker.start()
    turn = os.open(f"{path}-turn", os.O_RDWR)
    while asker.is_alive() and _is_free(turn):
        pass  # until the asker is in the turnstile
    os.close(turn)
    late.execute("COMMIT")
    asker.join()
    late.close()
    assert said == [BatchOutcome()]


def _is_free(turn: int) -> bool:
    try:
        fcntl.flock(turn, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(turn, fcntl.LOCK_UN)
    return True


def test_a_stranger_that_keeps_the_file_locked_makes_the_store_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, readers go on, and so does the store once the stranger is gone."""
    monkeypatch.setattr(connect, "BUSY_MILLISECONDS", 20)
    store = SqliteStore(str(path))
    store.open("1" * 32, START)
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="nothing was written"):
        store.commit(Batch(1, START, [accept(1)]))
    assert store.counts() == {}
    stranger.execute("ROLLBACK")
    stranger.close()
    store.commit(Batch(1, START, [accept(1)]))
    assert store.adopt([uid_of(1)], START) == []
    store.close()


def test_the_write_ahead_log_is_kept_short(store: SqliteStore, path: Path) -> None:
    """Checkpoints are made as it grows, and nothing is missing after them."""
    for number in range(1, 200):
        store.commit(Batch(number, START, [accept(number, body=b"x" * 100_000)]))
    assert os.path.getsize(f"{path}-wal") < 16 * 1024 * 1024
    assert store.counts() == {"trying": 199}
