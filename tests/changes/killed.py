"""Shops whose process was killed while many of their sagas were under way, each at a point of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.changes.bodies import BODIES, Body, calls
from tests.changes.evidence import log_of
from tests.changes.shop import shop
from troth.engine.live import doc_of

ROOT = Path(__file__).parents[2]
ORDERS = 24
"""Orders of each saga."""
IN_FLIGHT = 20
"""Of them, at least so many are unfinished when the process dies."""


UNDONE = {"leaving": 3, "nested": 2}
"""Compensations of a saga that runs its course."""


class Killed(NamedTuple):
    """A shop's files as its process left them.

    :ivar folder: ``log.db``, ``shop.db``, and the program.
    :ivar bodies: of its sagas.
    """

    folder: Path
    bodies: dict[str, Body]
    asynchronous: bool

    def copy(self, to: Path) -> Path:
        """The same files elsewhere."""
        shutil.copytree(self.folder, to, ignore=shutil.ignore_patterns("*.json", "*.py"))
        return to

    def text(self, folder: Path, bodies: Mapping[str, Body] = {}, without: tuple[str, ...] = ()) -> str:
        """The program, with other bodies where they are given."""
        return shop(folder, {**self.bodies, **bodies}, asynchronous=self.asynchronous, without=without)


def points(name: str, body: Body, first: int, orders: int, turn: int = 0) -> list[tuple[str, int, str, int]]:
    """Orders for a saga, spread over every point where it may stay."""
    actions = sum(step != "troth.remember" for made in calls(body).values() for step, _ in made)
    places = [("between", n) for n in range(1, len(body) + 1)]
    places += [(point, n) for point in ("before", "after") for n in range(1, actions + 1)]
    places += [(point, n) for point in ("unbefore", "unafter") for n in range(1, UNDONE.get(name, 0) + 1)]
    return [(name, first + k, *places[(k + turn) % len(places)]) for k in range(orders)]


def set_up(
    folder: Path, names: Iterable[str], *, asynchronous: bool, orders: int = ORDERS, turn: int = 0
) -> Killed:
    """A shop that has not run yet, or shall run again.

    :param orders: of each saga.
    :param turn: another one leads the same orders to other points.
    """
    folder.mkdir(exist_ok=True)
    bodies = {name: BODIES[name] for name in names}
    todo = []
    for k, (name, body) in enumerate(bodies.items()):
        todo += points(name, body, 1 + k * orders, orders, turn)
    (folder / "orders.json").write_text(json.dumps(todo))
    (folder / "shop.py").write_text(shop(folder, bodies, asynchronous=asynchronous))
    return Killed(folder, bodies, asynchronous)


def run_and_end(*shops: Killed, how: str = "kill") -> None:
    """Run the shops in one process until every order stays at its point, and end it there."""
    worker = process("worker", *[str(each.folder) for each in shops])
    assert worker.stdin is not None and worker.stdout is not None
    try:
        assert worker.stdout.readline() == "ready\n"
        if how == "kill":
            worker.send_signal(signal.SIGKILL)
        else:
            worker.communicate("leave\n")
    finally:
        worker.kill()
        worker.communicate()


@contextmanager
def successor(shop: Path, text: str) -> Iterator[None]:
    """Another process works on a shop's files with this code; it leaves gracefully at the end."""
    program = shop / "successor.py"
    program.write_text(text)
    worker = process("successor", str(program))
    assert worker.stdout is not None
    try:
        assert worker.stdout.readline() == "ready\n"
        yield
        worker.communicate()
        assert worker.returncode == 0
    finally:
        worker.kill()
        worker.communicate()


def process(module: str, *args: str) -> subprocess.Popen[str]:
    """A process that runs a module of this directory."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.changes.{module}", *args],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def unfinished(folder: Path) -> int:
    """Transactions that have not ended."""
    return sum(not record.finished for record in log_of(folder).values())


def in_flight_at(folder: Path) -> set[tuple[int, str]]:
    """(calls recorded, state of the newest) of the unfinished ones: where in their lives they are."""
    docs = [doc_of(record) for record in log_of(folder).values() if not record.finished]
    return {(len(doc.branches), doc.branches[-1].fate.value if doc.branches else "") for doc in docs}
