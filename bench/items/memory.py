"""Many transactions open at a time: how fast they begin, what each takes, how fast they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.log import Look, wait
from bench.proxy import Proxy
from bench.sizes import Sizes


def one(count: int, path: Path) -> dict[str, float]:
    """Begin so many with their first step held, then let them go."""
    with Proxy("held-shut", path).ready() as side, Look(path) as log:
        begun = side.ask("begin", count=count)
        begin = perf_counter()
        side.ask("open_gate")
        wait(lambda: not log.any_unfinished(), "ending what was open", pause=0.01)
        seconds = perf_counter() - begin
    return {
        "begun_per_second": count / begun["seconds"],
        "bytes_each": begun["bytes_each"],
        "ended_per_second": count / seconds,
    }


def measure(sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[int, Any]:
    """``{open at a time: cell}``."""
    found = {}
    for count in sizes.in_flight:
        say(f"{count:,} transactions open at a time")
        found[count] = one(count, room / f"memory-{count}.db")
    return found


def figures(result: dict[int, Any]) -> dict[str, float]:
    """No bar is set for these."""
    return {}
