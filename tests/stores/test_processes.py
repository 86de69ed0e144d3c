"""Several processes on one file: one turnstile, and death seen at once."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stores.conftest import Process
from troth.adapters.stores.sqlite import SqliteStore
from troth.testing.exams.store_bench import START, names

Start = Callable[..., Process]


def test_processes_write_side_by_side(process: Start, tmp_path: Path) -> None:
    """Nothing is lost and nobody is refused, however the writers meet."""
    writers = [process() for _ in range(3)]
    for number, writer in enumerate(writers, 1):
        writer.ask("open", number)
    for number, writer in enumerate(writers, 1):
        writer.tell("work", 1_000 * number, 60)
    for writer in writers:
        while "durable" in (said := writer.line()):
            pass
        assert said == {"answer": 60}
    with SqliteStore(str(tmp_path / "log.db")).open_reader() as log:
        records = log.find(limit=1_000)
    assert len(records) == 3 * 60 * 3
    assert {record.rev for record in records} == {2}


@pytest.mark.kill
def test_a_killed_process_is_seen_at_once_and_a_paused_one_never(process: Start, tmp_path: Path) -> None:
    """The kernel's lock tells: SIGSTOP keeps it, SIGKILL frees it."""
    paused, killed, watch = process(), process(), SqliteStore(str(tmp_path / "log.db"))
    paused.ask("open", 1)
    node = killed.ask("open", 2)
    killed.ask("begin", 1, 2)
    watch.open("3" * 32, START)
    try:
        assert watch.dead_nodes() == []
        paused.popen.send_signal(signal.SIGSTOP)
        killed.end(signal.SIGKILL)
        assert watch.dead_nodes() == [node]
        assert watch.declare_dead(node)
        page = watch.unfinished(0, 10)
        assert names(page) == [1, 2]
        assert len(watch.adopt([record.uid for record in page], START)) == 2
        assert watch.dead_nodes() == []
        paused.popen.send_signal(signal.SIGCONT)
        paused.ask("begin", 3)
    finally:
        watch.close()
    assert not (tmp_path / "log.db-nodes" / str(node)).exists()


@pytest.mark.kill
def test_a_process_paused_and_declared_dead_is_fenced_when_it_wakes(process: Start, tmp_path: Path) -> None:
    """Whoever declared it dead may be wrong about the process; the fence isn't."""
    paused, judge = process(), SqliteStore(str(tmp_path / "log.db"))
    node = paused.ask("open", 1)
    paused.ask("begin", 1)
    paused.popen.send_signal(signal.SIGSTOP)
    judge.open("2" * 32, START)
    try:
        assert judge.declare_dead(node)
        paused.tell("go_on", 2, 1)
        paused.popen.send_signal(signal.SIGCONT)
        assert paused.line()["error"] == "Fenced"
        assert [record.rev for record in judge.unfinished(0, 10)] == [1]
    finally:
        judge.close()


@pytest.mark.kill
def test_a_kill_in_the_middle_loses_nothing_and_leaves_nothing_half_written(process: Start, tmp_path: Path) -> None:
    """What was said to be durable is there, and each batch is there as a whole or not at all."""
    durable: set[str] = set()
    for life in range(1, 9):
        writer = process()
        writer.ask("open", life)
        writer.tell("work", 3_000 * life, 900)
        for _ in range(5 * life):
            durable |= {f"order-{name}" for name in writer.line()["durable"]}
        writer.popen.send_signal(signal.SIGKILL)
        while said := writer.line():
            durable |= {f"order-{name}" for name in said["durable"]}
        writer.popen.wait()
    with SqliteStore(str(tmp_path / "log.db")).open_reader() as log:
        revs = {record.gid: record.rev for record in log.find(limit=100_000)}
    assert durable <= {gid for gid, rev in revs.items() if rev == 2}
    batches: dict[int, set[int]] = {}
    for gid, rev in revs.items():
        batches.setdefault(int(gid.removeprefix("order-")) // 3, set()).add(rev)
    assert all(len(seen) == 1 for seen in batches.values())
    assert len(revs) == 3 * len(batches)
    with sqlite3.connect(tmp_path / "log.db") as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    conn.close()
