"""kill -9 on the process that opened a TCC: another process cancels at once, and everything held is free again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.patience import until
from tests.processes import market
from tests.processes.crew import Worker
from troth.adapters.stores.sqlite import SqliteStore
from troth.ports.store import Record

pytestmark = pytest.mark.kill


def books(home: Path) -> dict[str, dict[str, int]]:
    """The amounts by database and side."""
    found = {}
    for name in ("bank", "stock"):
        db = sqlite3.connect(home / f"{name}.db")
        found[name] = dict(db.execute("SELECT side, amount FROM book").fetchall())
        db.close()
    return found


def make(home: Path) -> None:
    """The market's databases, with a side for what is held."""
    market.make_databases(home)
    for name in ("bank", "stock"):
        with sqlite3.connect(home / f"{name}.db") as db:
            db.execute("INSERT INTO book VALUES ('held', 0)")
        db.close()


def state_of(home: Path, gid: str) -> tuple[str, bytes]:
    """The log's word about a transaction: its state and its document."""
    log = SqliteStore(str(home / "log.db")).open_reader()
    try:
        found = log.get(gid)
        assert isinstance(found, Record)
        return found.state, found.body
    finally:
        log.close()


def test_a_killed_initiators_holds_are_released_at_once(worker: Callable[..., Worker], tmp_path: Path) -> None:
    """Its timeout is an hour; nobody waits for it. An initiator that lives goes on to confirm."""
    make(tmp_path)
    watcher = worker("tests.processes.opener", "watch")
    watcher.until(lambda: watcher.heard("watching"), "a node that stays")
    victim, survivor = worker("tests.processes.opener", "victim"), worker("tests.processes.opener", "survivor")
    for each in (victim, survivor):
        each.until(lambda each=each: each.heard("held"), "everything held")  # type: ignore[misc]
    held = books(tmp_path)
    assert (held["bank"]["held"], held["stock"]["held"]) == (10, 14)
    victim.kill()
    until(lambda: state_of(tmp_path, "victim")[0] == "cancelled", "the cancel by another process")
    assert b"its initiator is gone" in state_of(tmp_path, "victim")[1]
    left = books(tmp_path)
    assert (left["bank"]["held"], left["stock"]["held"]) == (5, 7)
    assert survivor.leave() == 0, survivor.told()
    assert survivor.heard("ended") == [["ended", "survivor", "confirmed"]]
    assert watcher.leave() == 0, watcher.told()
    assert books(tmp_path) == {
        "bank": {"ours": market.MONEY - 5, "held": 0, "theirs": 5},
        "stock": {"ours": market.THINGS - 7, "held": 0, "theirs": 7},
    }


def test_the_next_start_cancels_what_nobody_was_left_to(worker: Callable[..., Worker], tmp_path: Path) -> None:
    """With no other process alive, the next one does it before anything else."""
    make(tmp_path)
    victim = worker("tests.processes.opener", "victim")
    victim.until(lambda: victim.heard("held"), "everything held")
    victim.kill()
    assert state_of(tmp_path, "victim")[0] == "trying"
    after = worker("tests.processes.opener", "watch")
    until(lambda: state_of(tmp_path, "victim")[0] == "cancelled", "the cancel by the next process")
    assert after.leave() == 0, after.told()
    assert all(sides["held"] == 0 for sides in books(tmp_path).values())
