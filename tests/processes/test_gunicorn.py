"""`gunicorn --preload`: the master uses the module's Troth, then forks; each worker is a node of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.patience import until
from tests.processes import market
from tests.processes.crew import environment
from tests.processes.test_fork import check_market
from tests.processes.test_kills import Evidence

pytest.importorskip("gunicorn")
WORKERS = 3


def quiet() -> list[str]:
    """Newer ones open a control socket in the home directory."""
    from gunicorn.config import KNOWN_SETTINGS

    flag = "--no-control-socket"
    return [flag] if any(flag in (setting.cli or ()) for setting in KNOWN_SETTINGS) else []


class Server:
    """A gunicorn with sync workers, on a socket that we bound."""

    def __init__(self, home: Path, master_buys: bool) -> None:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.errors = (home / "gunicorn.txt").open("w+b")
        command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", str(WORKERS), "--bind"]
        command += [f"fd://{self.listener.fileno()}", "--graceful-timeout", "20", *quiet(), "tests.processes.web:app"]
        more = {"MARKET_MASTER_BUYS": "1"} if master_buys else {}
        self.process = subprocess.Popen(
            command,
            env=environment(home, MARKET_PACE="0.01", PYTHONWARNINGS="", **more),
            cwd=home,
            stdout=self.errors,
            stderr=self.errors,
            pass_fds=[self.listener.fileno()],
        )

    def ask(self, form: str, gid: str, n: int) -> list[Any]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", f"/{form}/{gid}/{n}")
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, self.told()
            said: list[Any] = json.loads(body)
            return said
        finally:
            connection.close()

    def told(self) -> str:
        """What it logged."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def stop(self) -> int:
        """Gracefully."""
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        """Whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.listener.close()
        self.errors.close()


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
