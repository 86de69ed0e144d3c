"""Four processes on one file under load, one killed: how long until its last transaction ended elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from psutil import STATUS_STOPPED, Process

from bench.log import PAUSE, Look, wait
from bench.proxy import Proxy
from bench.sizes import Sizes

PROCESSES = 4
IN_FLIGHT = 64
BUSY = 0.3
"""Seconds of load before the kill, so that the victim is in full swing."""


def caught(victim: Proxy, log: Look, node: int) -> list[str]:
    """Stop the process at a moment when the log holds unfinished transactions of its own: their gids.

    Group commit makes its callers go in step, so that at many moments it has none.
    """
    process = Process(victim.pid)
    while True:
        victim.freeze()
        wait(lambda: process.status() == STATUS_STOPPED, "stopping the process to kill")
        if left := log.open_of(node):
            return left
        victim.thaw()
        sleep(PAUSE)


def one(path: Path, seconds: float) -> dict[str, float]:
    """One kill, timed from the SIGKILL; the others are under load for so many seconds after it."""
    with ExitStack() as stack:
        sides = [stack.enter_context(Proxy("troth-declared", path)) for _ in range(PROCESSES)]
        for side in sides:
            side.ready()
        log = stack.enter_context(Look(path))
        victim, *others = sides
        node = log.node_of(victim.pid)
        for side in sides:
            side.tell("run", in_flight=IN_FLIGHT, seconds=BUSY + seconds)
        sleep(BUSY)
        left = caught(victim, log, node)
        begin = perf_counter()
        victim.kill()
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
        kills.append(one(room / f"takeover-{number}.db", sizes.seconds))
    return {"kills": kills}


def figures(result: dict[str, Any]) -> dict[str, float]:
    """The figures that bars are set for: the slowest take-over counts."""
    return {"takeover_ms": max(one["ended_ms"] for one in result["kills"])}
