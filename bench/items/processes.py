"""Several processes on one file: what they reach together, and how long the unlucky one waits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.load import measure as sum_up
from bench.proxy import Proxy
from bench.sizes import FULL, Sizes


def together(sides: list[Proxy], in_flight: int, seconds: float) -> dict[str, Any]:
    """Run all of them at once: the total rate, the latencies of all, and how evenly they were served."""
    for side in sides:
        side.tell("run", in_flight=in_flight, seconds=seconds, raw=True)
    answers = [side.answer() for side in sides]
    latencies = [value for answer in answers for value in answer["latencies"]]
    total = sum_up(latencies, max(answer["seconds"] for answer in answers))
    shares = [len(answer["latencies"]) for answer in answers]
    return {**total, "least_of_most": min(shares) / max(1, *shares)}


def measure(sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[int, Any]:
    """So many processes, 256 in flight in all: ``{count: cell}``."""
    found: dict[int, list[dict[str, Any]]] = {count: [] for count in sizes.processes}
    for number in range(sizes.rounds):
        for count in sizes.processes:
            say(f"round {number + 1} of {sizes.rounds}: {count} processes on one file")
            log = room / f"processes-{number}-{count}.db"
            with ExitStack() as stack:
                sides = [stack.enter_context(Proxy("troth-declared", log)) for _ in range(count)]
                for side in sides:
                    side.ready()
                together(sides, FULL // count, sizes.seconds / 3)
                found[count].append(together(sides, FULL // count, sizes.seconds))
    keys = ("rate", "p50_ms", "p99_ms", "max_ms", "least_of_most")
    return {count: {key: median(cell[key] for cell in cells) for key in keys} for count, cells in found.items()}


def figures(result: dict[int, Any]) -> dict[str, float]:
    """The figures that bars are set for."""
    if 4 not in result or 1 not in result:
        return {}
    return {"four_of_one": result[4]["rate"] / result[1]["rate"], "four_p99_ms": result[4]["p99_ms"]}
