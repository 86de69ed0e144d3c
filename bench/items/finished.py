"""Throughput beside history: it must not depend on how many finished transactions the log holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.log import fill
from bench.proxy import Proxy
from bench.sizes import FULL, Sizes


def measure(sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[int, Any]:
    """One log for each amount of history, measured in turns: ``{finished: cell}``."""
    found: dict[int, list[dict[str, Any]]] = {count: [] for count in sizes.finished}
    with ExitStack() as stack:
        sides = {}
        for count in sizes.finished:
            path = room / f"finished-{count}.db"
            say(f"making a log of {count:,} finished transactions")
            with Proxy("troth-declared", path) as seeding:
                seeding.ready().ask("run", in_flight=16, seconds=0.2)
            fill(path, count)
            sides[count] = stack.enter_context(Proxy("troth-declared", path)).ready()
            sides[count].ask("run", in_flight=FULL, seconds=sizes.seconds / 2)
            sides[count].freeze()
        for number in range(sizes.rounds):
            for count, side in sides.items():
                say(f"round {number + 1} of {sizes.rounds}: {count:,} finished")
                found[count].append(side.ask("run", in_flight=FULL, seconds=sizes.seconds))
    keys = ("rate", "p50_ms", "p99_ms")
    return {count: {key: median(cell[key] for cell in cells) for key in keys} for count, cells in found.items()}


def figures(result: dict[int, Any]) -> dict[str, float]:
    """The figures that bars are set for."""
    return {"finished_ratio": result[max(result)]["rate"] / result[min(result)]["rate"]}
