"""Sagas in Celery's tasks: a real worker with a prefork pool, whose processes are killed and stopped."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("celery", reason="Celery isn't installed")
pytest.importorskip("psutil", reason="psutil isn't installed")
import psutil
from celery import Celery
from celery.exceptions import Retry

from tests.app.patience import until
from tests.processes import market
from tests.processes.crew import environment
from tests.processes.test_kills import Evidence, check_effects
from troth import Cancelled, InDoubt, NeedsAttention, NotAccepted, TrothError
from troth.integrations.celery import SagaTask
from troth.testing.servers.valkey import ValkeyServer

PROCESSES = 2
OPEN = ("trying", "confirming", "cancelling")


class CeleryWorker:
    """A worker with a prefork pool, and a client that sends it tasks."""

    def __init__(self, home: Path, broker: str) -> None:
        self.home = home
        self.client = Celery("client", broker=broker, backend=broker)
        self.log = (home / "celery.txt").open("w+b")
        command = [sys.executable, "-m", "celery", "-A", "tests.integrations.celery_market", "worker", "--pool", "prefork"]
        command += ["--concurrency", str(PROCESSES), "--without-gossip", "--without-mingle", "--without-heartbeat"]
        env = environment(home, MARKET_BROKER=broker, MARKET_PACE="0.03", PYTHONWARNINGS="")
        self.process = subprocess.Popen(command, env=env, cwd=home, stdout=self.log, stderr=self.log)

    def send(self, task: str, gid: str, n: int) -> Any:
        """Send a task; what will hold its result."""
        return self.client.send_task(f"tests.integrations.celery_market.{task}", args=[gid, n])

    def pool(self) -> list[int]:
        """The pool's processes."""
        return [each.pid for each in psutil.Process(self.process.pid).children()]

    def told(self) -> str:
        """What it logged."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def stop(self) -> int:
        """Gracefully: what was taken is ended."""
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        """Whatever it does."""
        if self.process.poll() is None:
            for pid in [*self.pool(), self.process.pid]:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.client.close()
        self.log.close()


@pytest.fixture
def worker(tmp_path: Path, valkey_server: ValkeyServer) -> Iterator[CeleryWorker]:
    market.make_databases(tmp_path)
    valkey_server.execute("FLUSHALL")
    made = CeleryWorker(tmp_path, valkey_server.uri)
    yield made
    made.close()


def results(worker: CeleryWorker, sent: dict[str, Any]) -> dict[str, Any]:
    """What each task returned."""
    until(lambda: all(each.ready() for each in sent.values()) or worker.process.poll() is not None, "results")
    assert worker.process.poll() is None, worker.told()
    return {gid: each.get(disable_sync_subtasks=False) for gid, each in sent.items()}


def kill_one_at_work(worker: CeleryWorker, evidence: Evidence) -> tuple[int, set[str]]:
    """SIGKILL a process of the pool that drives something; its node, and what it had open."""
    for pid in itertools.cycle(worker.pool()):
        os.kill(pid, signal.SIGSTOP)
        own = {node.node for node in evidence.log.nodes() if node.pid == pid}
        open_ones = {record.gid for record in evidence.log.find(states=OPEN, limit=100) if record.owner in own}
        os.kill(pid, signal.SIGKILL if open_ones else signal.SIGCONT)
        if open_ones:
            return own.pop(), open_ones
    raise AssertionError("no process")


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.services
def test_a_killed_processs_saga_ends_elsewhere_and_its_task_is_told(worker: CeleryWorker, tmp_path: Path) -> None:
    """No `with` anywhere: first use in the child starts its node. A redelivered task finds its own transaction by gid."""
    sent = {f"t-{n}": worker.send("buy", f"t-{n}", n) for n in range(1, 25)}
    until(lambda: sum(each.ready() for each in sent.values()) >= 2 or worker.process.poll() is not None, "first results")
    assert worker.process.poll() is None, worker.told()
    evidence = Evidence(tmp_path)
    dead, left_open = kill_one_at_work(worker, evidence)
    told = results(worker, sent)
    assert all(evidence.record(gid).owner != dead and evidence.ended(gid) for gid in left_open)  # type: ignore[union-attr]
    states = check_effects({gid: ("buy", int(gid[2:])) for gid in sent}, evidence)
    assert set(states) == {"confirmed", "cancelled"}
    for gid, (state, value) in told.items():
        assert (state, value) == (evidence.record(gid).state, 4 * int(gid[2:]) if state == "confirmed" else None)  # type: ignore[union-attr]
    evidence.log.close()
    assert worker.stop() == 0, worker.told()


@pytest.mark.services
def test_a_stopping_worker_ends_what_its_tasks_began(worker: CeleryWorker, tmp_path: Path) -> None:
    """A warm shutdown drains each process's node: nothing is left for others."""
    sent = {f"s-{n}": worker.send("begin", f"s-{n}", n) for n in range(1, 13)}
    assert results(worker, sent) == {gid: gid for gid in sent}
    assert worker.stop() == 0, worker.told()
    evidence = Evidence(tmp_path)
    assert evidence.log.counts().keys() <= {"confirmed", "cancelled"}, evidence.log.counts()
    check_effects({gid: ("abuy", int(gid[2:])) for gid in sent}, evidence)
    assert {evidence.record(gid).claims for gid in sent} == {0}  # type: ignore[union-attr]
    evidence.log.close()


def test_a_saga_that_was_not_begun_is_tried_again_after_the_time_that_is_named() -> None:
    """As often as it takes; any other error is the task's own."""
    app = Celery("here", broker="memory://", set_as_current=False)
    errors: list[Exception] = [NotAccepted("full", 7.5), InDoubt("order-1"), Cancelled("order-1", None, "sold out")]

    @app.task(base=SagaTask, bind=True)
    def place(self: Any) -> None:
        raise errors.pop(0)

    place.push_request(called_directly=False, retries=50, is_eager=False, delivery_info={"routing_key": "x"})
    try:
        waits = []
        for _ in range(2):
            with pytest.raises(Retry) as caught:
                place()
            waits.append(caught.value.when)
        assert waits == [7.5, 1.0]
        with pytest.raises(Cancelled):
            place()
    finally:
        place.pop_request()
    assert (place.acks_late, place.reject_on_worker_lost) == (True, True)


@pytest.mark.parametrize(
    "error",
    [NotAccepted("full", 2.0), Cancelled("g", "0/a#1", "no"), NeedsAttention("g", ("0/a#1",), "why"), InDoubt("g")],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_processes_as_they_are(error: TrothError) -> None:
    """A pool sends them to its parent by pickle, with all that they say."""
    other = pickle.loads(pickle.dumps(error))
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
