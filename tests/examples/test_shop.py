"""The shop itself: real processes, real HTTP, really killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from examples.shop.demo.audit import audit
from examples.shop.demo.orderfile import REJECTED, read_orders
from examples.shop.demo.run import Run
from examples.shop.demo.weather import Weather

ROOT = Path(__file__).resolve().parents[2]
BOUND = 150
"""Seconds until a run counts as hung."""


def start(*arguments: str, **env: str) -> subprocess.Popen[str]:
    """The demo as its own process."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    return subprocess.Popen(
        [sys.executable, "-m", "examples.shop", *arguments], cwd=ROOT, env={**os.environ, "PYTHONPATH": path, **env},
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


@pytest.mark.kill
@pytest.mark.slow
def test_a_few_orders_survive_a_few_kills() -> None:
    """Killed now and then, on a bad network: every order ends as the file says, whichever pattern placed it."""
    code, out, err = demo("--json", "--orders", "36", "--workers", "2", "--seed", "5")
    found: dict[str, Any] = json.loads(out)
    assert code == 0, (found["problems"], err)
    assert all(found["invariants"].values())
    assert found["kills"] >= 1
    assert found["kills"] == sum(found["kills_by_place"].values()) == sum(found["kills_by_process"].values())
    expected = Counter((entry.pattern, entry.expected) for entry in read_orders(36))
    ended = {(pattern, state): n for pattern, states in found["by_pattern"].items() for state, n in states.items()}
    assert ended == {key: n for key, n in expected.items() if key[1] != REJECTED}
    assert found["orders"] == sum(found["states"].values()) + found["rejected"] == 36
    assert found["duplicates_absorbed"] > 0


def test_a_customer_at_the_gateway(tmp_path: Path) -> None:
    """What one is answered: at the decision, about the status, at a repetition, for somebody else's id, without a key."""
    entries = read_orders(12)
    run = Run(tmp_path, 1, entries, Weather(1, 0), None, lambda _: None)

    async def go() -> None:
        try:
            await run.open()
            async with aiohttp.ClientSession(run.shop.gateways[0].url) as session:
                await visit(session)
            assert await run.go() == ""
        finally:
            await run.close()

    asyncio.run(go())
    assert (run.tally.retries, run.tally.repeated, run.tally.absorbed) == (0, 0, 0)
    problems = {name: found for name, found in audit(run).items() if found}
    assert set(problems) <= {"stock_conserved", "money_conserved", "room_conserved"}, problems  # of the visitor's orders
    assert (tmp_path / "log.db").exists()


async def visit(session: aiohttp.ClientSession) -> None:
    """Orders of a customer who is in no file."""
    for kind in ("ordinary", "flash"):
        order = {"id": f"v-{kind}", "customer": "ada", "place": "town", "kind": kind,
                 "lines": [{"sku": "drum", "n": 2, "price": 50}]}  # fmt: skip
        key = {"Idempotency-Key": order["id"]}
        for _ in range(2):
            async with session.post("/orders", json=order, headers=key) as answer:
                assert (answer.status, (await answer.json())["status"]) == (201, "accepted")
                assert answer.headers["Location"] == f"/orders/v-{kind}"
        async with session.get(f"/orders/v-{kind}") as answer:
            assert (await answer.json())["status"] == "accepted"
        other = {**order, "lines": [{"sku": "drum", "n": 3, "price": 50}]}
        async with session.post("/orders", json=other, headers=key) as answer:
            assert answer.status == 422
        async with session.post("/orders", json=order) as answer:
            assert answer.status == 422
    async with session.get("/orders/none") as answer:
        assert answer.status == 404


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """Every run begins with a new shop: a folder that holds something is a usage error."""
    (tmp_path / "something").touch()
    code, out, err = demo("--keep", str(tmp_path))
    assert (code, out) == (2, "")
    assert "isn't empty" in err


@pytest.mark.kill
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """Stopped in the middle: no folder, no process."""
    with start("--workers", "1", TMPDIR=str(tmp_path)) as process:
        shop = wait_for_log(tmp_path, process)
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=BOUND)
    assert process.returncode == 130
    assert not shop.exists()
    assert len(children) == 6
    assert not [child for child in children if child.is_running()]


def wait_for_log(folder: Path, process: subprocess.Popen[str]) -> Path:
    """The demo's folder, once its log is there."""
    for _ in range(10 * BOUND):
        if logs := list(folder.glob("troth-demo-*/log.db")):
            return logs[0].parent
        try:
            process.wait(timeout=0.1)
            break
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(process.communicate())
