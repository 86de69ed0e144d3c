"""A sync Django view under gunicorn: four workers, one log; one worker is killed in the middle of orders."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("django", reason="Django isn't installed")
pytest.importorskip("gunicorn", reason="gunicorn isn't installed")
pytest.importorskip("psutil", reason="psutil isn't installed")
import psutil

from tests.app.patience import until
from tests.integrations.project import Shop
from tests.processes.gunicorn import Gunicorn
from troth.adapters.stores.sqlite import SqliteStore, SqliteViewer

WORKERS = 4
CUSTOMERS = 6
APPLES = 100_000
OPEN = ("trying", "confirming", "cancelling")


class Customers:
    """Threads that order, one order after the other, and ask again when no answer came.

    :ivar answers: status by order number.
    :ivar broken: orders whose answer was lost.
    """

    def __init__(self, server: Gunicorn) -> None:
        self.server = server
        self.answers: dict[int, int] = {}
        self.broken: list[int] = []
        self.over = threading.Event()
        self._numbers = itertools.count(1)
        self._threads = [threading.Thread(target=self._order) for _ in range(CUSTOMERS)]
        for thread in self._threads:
            thread.start()

    def _order(self) -> None:
        while not self.over.is_set():
            number = next(self._numbers)
            body = {"number": number, "sku": "apple", "quantity": 60 if number % 4 == 0 else 1}
            while number not in self.answers:
                try:
                    self.answers[number] = self.server.send("POST", "/orders/", body)[0]
                except (OSError, http.client.HTTPException):
                    self.broken.append(number)
                    if self.over.is_set():
                        break

    def more(self, count: int) -> None:
        """Wait for so many further answers."""
        wanted = len(self.answers) + count
        until(lambda: len(self.answers) >= wanted or self.server.process.poll() is not None, "answers")
        assert self.server.process.poll() is None, self.server.told()

    def stop(self) -> None:
        """The last orders are answered."""
        self.over.set()
        for thread in self._threads:
            thread.join(60)


def kill_one_at_work(server: Gunicorn, log: SqliteViewer) -> tuple[int, set[str]]:
    """SIGKILL a worker that drives something; its node, and the open transactions of it."""
    workers = [each.pid for each in psutil.Process(server.process.pid).children()]
    for pid in itertools.cycle(workers):
        os.kill(pid, signal.SIGSTOP)
        own = {node.node for node in log.nodes() if node.pid == pid}
        open_ones = {record.gid for record in log.find(states=OPEN, limit=1_000) if record.owner in own}
        if open_ones:
            os.kill(pid, signal.SIGKILL)
            return own.pop(), open_ones
        os.kill(pid, signal.SIGCONT)
    raise AssertionError("no worker")


@pytest.fixture(params=[True, False], ids=["preload", "no preload"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Gunicorn]:
    shop = Shop(tmp_path)
    shop.prepared(APPLES)
    env = shop.environment(SHOP_PACE="0.03")
    made = Gunicorn(tmp_path, "project.wsgi:application", env, workers=WORKERS, preload=request.param)
    yield made
    made.close()


@pytest.mark.kill
@pytest.mark.slow
def test_every_order_of_a_killed_worker_ends_right_in_another(server: Gunicorn, tmp_path: Path) -> None:
    """Each order is answered, at the second asking where its worker died; effects are there once, or not at all."""
    customers = Customers(server)
    try:
        customers.more(CUSTOMERS * 2)
        log = SqliteStore(str(tmp_path / "troth-log.db")).open_reader()
        dead, left_open = kill_one_at_work(server, log)
        customers.more(CUSTOMERS * 2)
    finally:
        customers.stop()
    elsewhere = [log.get(gid) for gid in left_open]
    assert all(found.owner != dead and found.finished for found in elsewhere)
    log.close()
    assert customers.broken
    assert server.stop() == 0, server.told()
    assert "Traceback" not in server.told(), server.told()
    facts = Shop(tmp_path).facts()
    assert set(facts["log"].values()) <= {"confirmed", "cancelled"}
    states = {number: facts["log"][f"order-{number}"] for number in customers.answers}
    assert customers.answers == {number: 201 if state == "confirmed" else 409 for number, state in states.items()}
    assert all(number in customers.answers for number in customers.broken)
    assert Counter(states.values()).keys() == {"confirmed", "cancelled"}
    confirmed = sorted(number for number, state in states.items() if state == "confirmed")
    assert facts["paid"] == [[number, 10] for number in confirmed]
    assert facts["left"] == APPLES - len(confirmed)
    assert {number: state for number, _, state in facts["orders"]} == {
        number: "paid" if state == "confirmed" else "cancelled" for number, state in states.items()
    }
