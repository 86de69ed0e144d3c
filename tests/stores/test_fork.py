"""A forked child: what it inherited is neither used nor closed nor unlocked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores.conftest import ROOT
from troth.adapters.stores.sqlite import SqliteStore
from troth.ports.errors import StoreError
from troth.testing.exams.store_bench import START


def forking(path: Path, mode: str) -> subprocess.Popen[str]:
    """Start the program that opens a log and forks."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests/stores/forking.py"), str(path), mode],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def test_a_child_is_a_node_of_its_own_and_the_parent_goes_on(tmp_path: Path) -> None:
    """The child is told so in words, opens anew, sees its parent alive, and neither loses anything."""
    said, _ = forking(tmp_path / "log.db", "use").communicate(timeout=60)
    answer = json.loads(said)
    assert "not open here" in answer["child"]["refused"] and "forked" in answer["child"]["refused"]
    assert answer["child"]["node"] != answer["node"]
    assert answer["child"]["dead"] == []
    assert answer["child"]["count"] == {"trying": 2}
    assert answer["count"] == {"trying": 3}


@pytest.mark.kill
def test_a_child_does_not_keep_its_dead_parent_alive(tmp_path: Path) -> None:
    """The lock ends with the parent although the child inherited the descriptor and lives on."""
    program = forking(tmp_path / "log.db", "outlive")
    assert program.stdin is not None and program.stdout is not None
    try:
        node = json.loads(program.stdout.readline())["node"]
        assert program.wait() == -signal.SIGKILL
        watch = SqliteStore(str(tmp_path / "log.db"))
        watch.open("3" * 32, START)
        assert watch.dead_nodes() == [node]
        watch.close()
    finally:
        program.communicate()


def test_use_in_a_process_that_did_not_open_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the fork went unnoticed; ``abandon`` and ``open`` are the way on."""
    store = SqliteStore(str(tmp_path / "log.db"))
    store.open("1" * 32, START)
    real = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: real + 1)
    with pytest.raises(StoreError, match=r"abandon\(\), then open\(\)"):
        store.counts()
    monkeypatch.undo()
    store.close()
