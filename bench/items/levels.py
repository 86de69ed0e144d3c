"""All sides at each level of concurrency, interleaved; forced writes and commits per transaction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.proxy import Proxy
from bench.sizes import FULL, LEVELS, SIDES, Sizes

Cell = dict[str, Any]


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
    cells: dict[str, dict[int, list[Cell]]] = {side: {level: [] for level in LEVELS} for side in SIDES}
    writes: dict[str, dict[int, dict[str, float]]] = {side: {} for side in SIDES}
    with ExitStack() as stack:
        sides = {}
        for name in SIDES:
            say(f"starting {name}")
            sides[name] = stack.enter_context(Proxy(name, room / f"{name}.db")).ready()
            sides[name].ask("run", in_flight=FULL, seconds=seconds(name, sizes) / 2)
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
    """The figures that bars are set for."""
    levels = result["levels"]

    def of(side: str, level: int, figure: str = "rate") -> float:
        return float(levels[side][level][figure])

    best = max(cell["rate"] for cell in levels["dbos-wal"].values())
    found = {
        "declared_of_bare": of("troth-declared", FULL) / of("bare-declared", FULL),
        "function_of_bare": of("troth-function", FULL) / of("bare-function", FULL),
        "declared_of_dbos": of("troth-declared", FULL) / best,
        "function_of_dbos": of("troth-function", FULL) / best,
        "declared_p50_of_bare": of("troth-declared", 1, "p50_ms") / of("bare-declared", 1, "p50_ms"),
        "function_p50_of_bare": of("troth-function", 1, "p50_ms") / of("bare-function", 1, "p50_ms"),
    }
    written = result["writes"]["troth-declared"].get(FULL, {})
    if written:
        found["transactions_per_commit"] = written["transactions_per_commit"]
    return found
