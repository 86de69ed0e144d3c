"""All sides at each level of concurrency, interleaved; forced writes and commits per transaction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.proxy import Proxy
from bench.sizes import FULL, LEVELS, Sizes

Cell = dict[str, Any]
WARM = 64
"""In flight while a side warms up."""


def seconds(side: str, sizes: Sizes) -> float:
    """How long the side is measured: the slow ones longer, to answer often enough to count."""
    return sizes.slow_seconds if side.startswith("dbos") else sizes.seconds


def middle(cells: list[Cell]) -> Cell:
    """The median of the rounds, figure by figure, with every round's rate beside it."""
    figures: Cell = {key: median(cell[key] for cell in cells) for key in ("rate", "p50_ms", "p99_ms", "max_ms")}
    return {**figures, "rates": [round(cell["rate"], 1) for cell in cells]}


def per_transaction(before: dict[str, int], after: dict[str, int]) -> dict[str, float]:
    """What the log did between two looks, per transaction."""
    if not before or after["transactions"] == before["transactions"]:
        return {}
    grown = {key: after[key] - before[key] for key in ("commits", "forced", "transactions")}
    return {
        "forced": grown["forced"] / grown["transactions"],
        "commits": grown["commits"] / grown["transactions"],
        "transactions_per_commit": grown["transactions"] / max(1, grown["commits"]),
    }


def measure(sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Race all sides: ``{"levels": {side: {level: cell}}, "writes": {side: {level: …}}}``."""
    cells: dict[str, dict[int, list[Cell]]] = {side: {level: [] for level in LEVELS} for side in sizes.sides}
    writes: dict[str, dict[int, dict[str, float]]] = {side: {} for side in sizes.sides}
    with ExitStack() as stack:
        sides = {}
        for name in sizes.sides:
            say(f"starting {name}")
            sides[name] = stack.enter_context(Proxy(name, room / f"{name}.db")).ready()
            sides[name].ask("run", in_flight=WARM, seconds=seconds(name, sizes) / 2)
            sides[name].freeze()
        for number in range(sizes.rounds):
            for level in LEVELS:
                for name, side in sides.items():
                    say(f"round {number + 1} of {sizes.rounds}: {level} in flight, {name}")
                    before = side.ask("stats")
                    cells[name][level].append(side.ask("run", in_flight=level, seconds=seconds(name, sizes)))
                    writes[name][level] = per_transaction(before, side.ask("stats"))
    levels = {side: {level: middle(found) for level, found in by.items()} for side, by in cells.items()}
    return {"levels": levels, "writes": writes}


def figures(result: dict[str, Any]) -> dict[str, float]:
    """The figures that bars are set for; what wasn't raced gives none. Sides on uvloop are judged by no bar."""
    levels = result["levels"]
    found: dict[str, float] = {}
    for form in ("declared", "function"):
        troth, bare = levels.get(f"troth-{form}"), levels.get(f"bare-{form}")
        if troth and bare:
            found[f"{form}_of_bare"] = troth[FULL]["rate"] / bare[FULL]["rate"]
            found[f"{form}_p50_of_bare"] = troth[1]["p50_ms"] / bare[1]["p50_ms"]
        if troth and "dbos-wal" in levels:
            best = max(cell["rate"] for cell in levels["dbos-wal"].values())
            found[f"{form}_of_dbos"] = troth[FULL]["rate"] / best
    written = result["writes"].get("troth-declared", {}).get(FULL)
    if written:
        found["transactions_per_commit"] = written["transactions_per_commit"]
    return found
