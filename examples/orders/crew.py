"""The worker processes, as their parent holds them: orders in, reports out, one line each."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from examples.orders.opening import Entry

ROOT = Path(__file__).resolve().parents[2]


class Settings(NamedTuple):
    """What every worker is told.

    :param in_flight: orders that one worker places at a time.
    :param pace: seconds that a call takes one way on a bad network; None: the network is good.
    """

    home: Path
    in_flight: int
    pace: float | None
    seed: int


class Worker:
    """One process and what it was given to do."""

    def __init__(self, settings: Settings, slot: int) -> None:
        self.slot = slot
        self.ready = False
        self.orders: dict[str, Entry] = {}
        """Given to it and not answered yet, by order id."""
        self.told = settings.home / f"worker-{slot}.log"
        self._rest = b""
        command = [sys.executable, "-m", "examples.orders.worker", "--in-flight", str(settings.in_flight)]
        command += ["--seed", str(settings.seed)]
        if settings.pace is not None:
            command += ["--pace", str(settings.pace)]
        path = os.pathsep.join(filter(None, (str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
        with self.told.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0, cwd=settings.home,
                env={**os.environ, "SHOP_HOME": str(settings.home), "PYTHONPATH": path},
            )  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def give(self, entry: Entry) -> None:
        """Have it place an order. If it is dying nobody is told; the order is given to another one then."""
        self.orders[entry.id] = entry
        try:
            self.stdin.write(json.dumps(entry.order).encode() + b"\n")
        except BrokenPipeError:
            pass

    def heard(self) -> list[dict[str, Any]] | None:
        """What it has said; blocks if it hasn't said anything. None: it is gone."""
        data = os.read(self.stdout.fileno(), 1 << 20)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def freeze(self) -> bool:
        """Stop it between two instructions; False if it has just ended by itself."""
        os.kill(self.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return False

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Close our ends of its pipes."""
        for pipe in (self.stdin, self.stdout):
            try:
                pipe.close()
            except OSError:  # what was not yet written can't be, to a dead one
                pass


class Crew:
    """All workers."""

    def __init__(self, settings: Settings, size: int) -> None:
        self.settings = settings
        self.workers: dict[int, Worker] = {}
        self.selector = selectors.DefaultSelector()
        for slot in range(size):
            self.hire(slot)

    def hire(self, slot: int) -> None:
        """Start a new process in a place."""
        worker = self.workers[slot] = Worker(self.settings, slot)
        self.selector.register(worker.stdout, selectors.EVENT_READ, worker)

    def listen(self, seconds: float) -> Iterator[tuple[Worker, list[dict[str, Any]] | None]]:
        """Who said what within a time; None: it is gone."""
        for key, _ in self.selector.select(seconds):
            worker: Worker = key.data
            if self.workers.get(worker.slot) is worker:
                yield worker, worker.heard()

    def bury(self, worker: Worker) -> list[dict[str, Any]]:
        """After its death: what it had said before, and not been heard."""
        last = []
        while (heard := worker.heard()) is not None:
            last += heard
        self.selector.unregister(worker.stdout)
        worker.process.wait()
        worker.close()
        del self.workers[worker.slot]
        return last

    def dismiss(self, seconds: float) -> Iterator[tuple[Worker, list[dict[str, Any]]]]:
        """Let all finish and leave, within a time; what they say meanwhile."""
        for worker in self.workers.values():
            worker.stdin.close()
        until = time.monotonic() + seconds
        while self.workers and (left := until - time.monotonic()) > 0:
            for worker, heard in list(self.listen(left)):
                yield worker, self.bury(worker) if heard is None else heard

    def kill_all(self) -> None:
        """End them all at once, whatever they are doing."""
        for worker in list(self.workers.values()):
            worker.kill()
            self.selector.unregister(worker.stdout)
            worker.close()
        self.workers.clear()
        self.selector.close()
