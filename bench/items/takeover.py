"""Four processes on one file under load, one killed: how long until its last transaction ended elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from bench.log import Look, wait
from bench.proxy import Proxy
from bench.sizes import Sizes

PROCESSES = 4
IN_FLIGHT = 64
BUSY = 0.3
"""Seconds of load before the kill, so that the victim is in full swing."""


def one(path: Path) -> dict[str, float]:
    """One kill; at least one transaction must have been in flight."""
    with ExitStack() as stack:
        sides = [stack.enter_context(Proxy("troth-declared", path)) for _ in range(PROCESSES)]
        for side in sides:
            side.ready()
        log = stack.enter_context(Look(path))
        victim, *others = sides
        node = log.node_of(victim.pid)
        for side in sides:
            side.tell("run", in_flight=IN_FLIGHT, seconds=BUSY + 2.0)
        sleep(BUSY)
        begin = perf_counter()
        victim.kill()
        left = log.open_of(node)
        wait(lambda: not log.owns_any(node), "adopting what was left")
        adopted = perf_counter() - begin
        wait(lambda: not log.any_open(left), "ending what was left")
        ended = perf_counter() - begin
        for side in others:
            side.answer()
    return {"left": len(left), "adopted_ms": adopted * 1e3, "ended_ms": ended * 1e3}


def measure(sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Several kills, each on a file of its own."""
    kills = []
    for number in range(sizes.takeovers):
        say(f"kill {number + 1} of {sizes.takeovers} among {PROCESSES} processes")
        kills.append(one(room / f"takeover-{number}.db"))
    return {"kills": kills}


def figures(result: dict[str, Any]) -> dict[str, float]:
    """The figures that bars are set for: the slowest take-over counts."""
    return {"takeover_ms": max(one["ended_ms"] for one in result["kills"])}
