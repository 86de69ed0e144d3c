"""`gunicorn --preload`: the master uses the module's Troth, then forks; each worker is a node of its own."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.patience import until
from tests.processes import market
from tests.processes.crew import environment
from tests.processes.gunicorn import Gunicorn
from tests.processes.test_fork import check_market
from tests.processes.test_kills import Evidence

pytest.importorskip("gunicorn")
WORKERS = 3


class Server(Gunicorn):
    """The market behind it."""

    def __init__(self, home: Path, master_buys: bool) -> None:
        more = {"MARKET_MASTER_BUYS": "1"} if master_buys else {}
        env = environment(home, MARKET_PACE="0.01", **more)
        super().__init__(home, "tests.processes.web:app", env, workers=WORKERS, preload=True)

    def ask(self, form: str, gid: str, n: int) -> list[Any]:
        """Buy."""
        status, said = self.send("GET", f"/{form}/{gid}/{n}")
        assert status == 200, self.told()
        answer: list[Any] = said
        return answer


@pytest.fixture(params=[True, False], ids=["used in the master", "not used in the master"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    market.make_databases(tmp_path)
    made = Server(tmp_path, request.param)
    yield made
    made.close()


@pytest.mark.kill
@pytest.mark.slow
def test_workers_are_nodes_and_a_killed_ones_sagas_end_elsewhere(server: Server, tmp_path: Path) -> None:
    """Requests are served by several nodes; one worker is killed -9 while it buys, and all that it began ends."""
    answers: list[list[Any]] = []
    broken: list[str] = []
    killed = threading.Event()
    over = threading.Event()

    def shop(customer: int) -> None:
        n = customer * 1_000 + 1
        while not over.is_set():
            gid = f"c{customer}-{n}"
            try:
                answers.append([gid, *server.ask(["buy", "abuy", "buy-graph"][n % 3], gid, n)])
            except (OSError, http.client.HTTPException):
                assert killed.is_set(), server.told()
                broken.append(gid)
            n += 1

    threads = [threading.Thread(target=shop, args=(customer,)) for customer in range(1, 7)]
    for thread in threads:
        thread.start()
    until(lambda: len({answer[1] for answer in list(answers)}) == WORKERS or server.process.poll() is not None, "all workers")
    assert server.process.poll() is None, server.told()
    victim = answers[-1][1]
    killed.set()
    os.kill(victim, signal.SIGKILL)
    more = len(answers) + 60
    until(lambda: len(answers) > more, "purchases after the kill")
    over.set()
    for thread in threads:
        thread.join()
    evidence = Evidence(tmp_path)
    until(lambda: all(evidence.ended(gid) for gid in broken), "the end of what the killed one began")
    for gid, _, _, state, _ in answers:
        found = evidence.record(gid)
        assert found is not None
        assert found.state == state
    nodes = {answer[1]: answer[2] for answer in answers}
    assert len(set(nodes.values())) == len(nodes) >= WORKERS
    assert victim in nodes
    assert evidence.log.counts().keys() <= {"confirmed", "cancelled"}
    evidence.log.close()
    assert server.stop() == 0, server.told()
    assert "Traceback" not in server.told(), server.told()
    check_market(tmp_path)
