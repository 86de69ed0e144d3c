"""Sagas and TCC over two services, against the same calls made bare with the same client.

Each service is a process of its own. With plain ones a call is a request; services of troth take many calls in one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.items.levels import WARM, Cell, middle
from bench.proxy import ROOT, Proxy
from bench.sizes import LEVELS, Sizes

SIDES = ("calls-bare", "calls-saga", "calls-bare-served", "calls-saga-served", "calls-bare-tcc-served", "calls-tcc-served")
COMPARED = 64
"""In flight where rates are compared."""


@contextmanager
def service(kind: str) -> Iterator[str]:
    """A service in its own process; its URL."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "bench.sides.services", kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True)
    try:
        assert process.stdout is not None
        with process.stdout as said:
            yield said.readline().strip()
    finally:
        process.kill()
        process.wait()


def measure(sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Race the sides: ``{side: {level: cell}}``."""
    cells: dict[str, dict[int, list[Cell]]] = {side: {level: [] for level in LEVELS} for side in SIDES}
    with ExitStack() as stack:
        say("starting the services")
        urls = {kind: " ".join(stack.enter_context(service(kind)) for _ in range(2)) for kind in ("plain", "served")}
        sides = {}
        for name in SIDES:
            where = urls["served" if name.endswith("served") else "plain"]
            sides[name] = stack.enter_context(Proxy(name, room / f"{name}.db", TROTH_BENCH_SERVICES=where)).ready()
            sides[name].ask("run", in_flight=WARM, seconds=sizes.seconds / 2)
            sides[name].freeze()
        for number in range(sizes.rounds):
            for level in LEVELS:
                for name, side in sides.items():
                    say(f"round {number + 1} of {sizes.rounds}: {level} in flight, {name}")
                    cells[name][level].append(side.ask("run", in_flight=level, seconds=sizes.seconds))
    return {side: {level: middle(found) for level, found in by.items()} for side, by in cells.items()}


def figures(result: dict[str, Any]) -> dict[str, float]:
    """The figures that bars are set for."""

    def of(side: str, bare: str) -> float:
        found: float = result[side][COMPARED]["rate"] / result[bare][COMPARED]["rate"]
        return found

    return {
        "call_added_ms": result["calls-saga"][1]["p50_ms"] - result["calls-bare"][1]["p50_ms"],
        "call_of_bare": of("calls-saga", "calls-bare"),
        "batched_of_bare": of("calls-saga-served", "calls-bare-served"),
        "tcc_of_bare": of("calls-tcc-served", "calls-bare-tcc-served"),
    }
