"""The orders demo itself: real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from examples.orders.opening import read_orders

ROOT = Path(__file__).resolve().parents[2]
BOUND = 150
"""Seconds until a run counts as hung."""


def start(*arguments: str) -> subprocess.Popen[str]:
    """The demo as its own process."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    return subprocess.Popen(
        [sys.executable, "-m", "examples.orders", *arguments], cwd=ROOT, env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def demo(*arguments: str) -> tuple[int, str, str]:
    """Run the demo: exit code, stdout, stderr."""
    with start(*arguments) as process:
        try:
            out, err = process.communicate(timeout=BOUND)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return process.returncode, out, err


def result(*arguments: str) -> dict[str, Any]:
    """A run's JSON, all invariants holding."""
    code, out, err = demo("--json", *arguments)
    found: dict[str, Any] = json.loads(out)
    assert code == 0, (found["problems"], err)
    assert all(found["invariants"].values())
    return found


@pytest.mark.kill
@pytest.mark.slow
def test_a_few_orders_survive_a_few_kills() -> None:
    """Two workers, killed now and then: every order ends as the file says, and whoever dies is taken over."""
    found = result("--orders", "40", "--workers", "2", "--seed", "5")
    assert found["orders"] == 40
    assert found["kills"] >= 1
    assert found["kills"] == sum(found["kills_by_place"].values())
    assert sum(found["states"].values()) == 40
    assert found["duplicates_absorbed"] > 0
    assert found["takeover_ms_max"] > 0


@pytest.mark.kill
@pytest.mark.slow
def test_a_lone_worker_is_taken_over_by_its_successor() -> None:
    """With one worker there is nobody else: the process that replaces it goes on with what it left."""
    found = result("--orders", "24", "--workers", "1", "--seed", "2")
    assert found["kills"] >= 1


def test_without_faults_nobody_is_killed() -> None:
    """`--no-faults`: no kills, no repeated calls, the same outcomes."""
    found = result("--orders", "60", "--no-faults")
    assert (found["kills"], found["retries"], found["duplicates_absorbed"]) == (0, 0, 0)
    assert found["states"] == Counter(entry.expected for entry in read_orders(60))


def test_the_log_is_kept_where_asked(tmp_path: Path) -> None:
    """`--keep` leaves log and databases, and says what to try with them."""
    code, out, err = demo("--orders", "5", "--workers", "1", "--no-faults", "--keep", str(tmp_path / "shop"))
    assert code == 0, err
    assert (tmp_path / "shop" / "log.db").exists()
    assert f"troth list --store sqlite:///{tmp_path}/shop/log.db" in out


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """Every run begins with a new shop: a folder that holds something is a usage error."""
    (tmp_path / "something").touch()
    code, out, err = demo("--keep", str(tmp_path))
    assert (code, out) == (2, "")
    assert "isn't empty" in err


@pytest.mark.kill
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """Stopped in the middle: no folder, no process."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(tmp_path)
    try:
        process = start("--workers", "2")
    finally:
        os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)
    with process:
        shops = wait_for_log(tmp_path, process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=BOUND)
    assert process.returncode == 130
    assert not [shop for shop in shops if shop.exists()]


def wait_for_log(folder: Path, process: subprocess.Popen[str]) -> list[Path]:
    """The demo's folders, once its log is there."""
    for _ in range(10 * BOUND):
        if logs := list(folder.glob("troth-demo-*/log.db")):
            return [log.parent for log in logs]
        try:
            process.wait(timeout=0.1)
            break
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(process.communicate())
