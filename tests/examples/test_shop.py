"""The shop itself: real processes, real HTTP, really killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from examples.shop.demo.audit import audit
from examples.shop.demo.orderfile import Entry, read_orders
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
    assert ended == expected
    assert found["orders"] == sum(ended.values()) == 36
    assert found["duplicates_absorbed"] > 0


def test_a_customer_at_the_gateway(tmp_path: Path) -> None:
    """What one is answered: at the decision, about the status, at a repetition, for somebody else's id, without a key."""
    visitors = [visitor(f"{what}-{kind}", kind) for what in ("v", "quiet") for kind in ("ordinary", "flash")]
    run = Run(tmp_path, 1, [*read_orders(12), *visitors], Weather(1, 0), None, lambda _: None)

    async def go() -> None:
        try:
            await run.open()
            async with aiohttp.ClientSession(run.shop.gateways[0].url) as session:
                for entry in visitors[:2]:
                    await visit(session, entry.order)
                await order_without_notification(session, run, visitors[2:])
            assert await run.go() == ""
        finally:
            await run.close()

    asyncio.run(go())
    assert run.tally.repeated == 0
    assert not {name: found for name, found in audit(run).items() if found}
    for database, statement, invariant in TAMPERING:
        with closing(sqlite3.connect(tmp_path / f"{database}.db")) as db, db:
            assert db.execute(statement).rowcount == 1
        assert audit(run)[invariant], statement


CONFIRM = "op = 'confirm'"
TAMPERING = (
    ("stock", "UPDATE stock SET n = n - 1 WHERE sku = 'drum'", "stock_conserved"),
    ("stock", "UPDATE stock SET frozen = 1 WHERE sku = 'drum'", "nothing_frozen"),
    ("payment", "UPDATE accounts SET balance = balance + 1 WHERE name = 'ada'", "money_conserved"),
    ("logistics", "UPDATE vans SET room = room + 1 WHERE place = 'town'", "room_conserved"),
    ("notification", "INSERT INTO messages (order_id) VALUES ('v-flash')", "effects_once"),
    ("payment", f"DELETE FROM troth_barrier WHERE {CONFIRM} AND uid = (SELECT min(uid) FROM troth_barrier WHERE {CONFIRM})",
     "barriers_consistent"),
)  # fmt: skip
"""What somebody could do to the books, and what would show it."""


def visitor(id_: str, kind: str) -> Entry:
    """An order of a customer who is in no file."""
    lines = [{"sku": "drum", "n": 2, "price": 50}]
    return Entry({"id": id_, "customer": "ada", "place": "town", "kind": kind, "lines": lines}, "confirmed", "")


async def visit(session: aiohttp.ClientSession, order: dict[str, Any]) -> None:
    """Place an order twice, ask for it, and try what doesn't work."""
    key = {"Idempotency-Key": order["id"]}
    for _ in range(2):
        async with session.post("/orders", json=order, headers=key) as answer:
            assert (answer.status, (await answer.json())["status"]) == (201, "accepted")
            assert answer.headers["Location"] == f"/orders/{order['id']}"
    async with session.get(f"/orders/{order['id']}") as answer:
        assert (await answer.json())["status"] == "accepted"
    async with session.post("/orders", json={**order, "customer": "grace"}, headers=key) as answer:
        assert answer.status == 422
    async with session.post("/orders", json=order) as answer:
        assert answer.status == 422
    async with session.get("/orders/none") as answer:
        assert answer.status == 404


async def order_without_notification(session: aiohttp.ClientSession, run: Run, entries: list[Entry]) -> None:
    """The notification service is down: orders of both kinds are answered all the same, and announced when it is back."""
    service = run.shop.services["notification"]
    service.kill()
    for entry in entries:
        async with session.post("/orders", json=entry.order, headers={"Idempotency-Key": entry.id}) as answer:
            assert (answer.status, (await answer.json())["status"]) == (201, "accepted")
        async with session.get(f"/orders/{entry.id}") as answer:
            assert (await answer.json())["state"] == "confirming"
    run.shop.start(service)


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
