"""The run's results as tables a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.sizes import BARS, LEVELS


def number(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(title: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """A table whose first column is words and whose others are figures."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for place, head in enumerate(heads):
        made.add_column(head, justify="left" if place == 0 else "right")
    for row in rows:
        made.add_row(*row)
    return made


def levels(result: dict[str, Any]) -> list[Table]:
    """Rates, latencies and writes of every side."""
    by_side = result["levels"]
    rates = [(side, *(number(cells[level]["rate"]) for level in LEVELS)) for side, cells in by_side.items()]
    times = [
        (side, *(f"{number(cells[level]['p50_ms'])} / {number(cells[level]['p99_ms'])}" for level in LEVELS))
        for side, cells in by_side.items()
    ]
    writes = [
        (side, *(f"{number(found[level]['forced'])} / {number(found[level]['commits'])}" for level in LEVELS))
        for side, found in result["writes"].items()
        if all(found.get(level) for level in LEVELS)
    ]
    heads = ("side", *(f"{level} in flight" for level in LEVELS))
    return [
        table("Durable transactions of two steps per second (median)", heads, rates),
        table("Milliseconds, p50 / p99", heads, times),
        table("Forced writes / commits per transaction", heads, writes),
    ]


def processes(result: dict[Any, Any]) -> list[Table]:
    """Several processes on one file."""
    rows = [
        (str(count), *(number(cell[key]) for key in ("rate", "p50_ms", "p99_ms")), f"{cell['least_of_most']:.0%}")
        for count, cell in result.items()
    ]
    heads = ("processes", "a second, in all", "p50 ms", "p99 ms", "slowest of fastest")
    return [table("Processes on one file, 256 in flight in all", heads, rows)]


def finished(result: dict[Any, Any]) -> list[Table]:
    """Throughput beside history."""
    rows = [(f"{count:,}", number(cell["rate"]), number(cell["p99_ms"])) for count, cell in result.items()]
    return [table("Finished transactions already in the log, 256 in flight", ("finished", "a second", "p99 ms"), rows)]


def memory(result: dict[Any, Any]) -> list[Table]:
    """Open transactions."""
    rows = [
        (f"{count:,}", number(cell["begun_per_second"]), f"{cell['bytes_each']:,.0f}", number(cell["ended_per_second"]))
        for count, cell in result.items()
    ]
    heads = ("open at a time", "begun a second", "bytes each", "ended a second")
    return [table("Transactions in flight", heads, rows)]


def recovery(result: dict[str, Any]) -> list[Table]:
    """After a death."""
    rows = [
        ("unfinished transactions of a dead process", f"{result['unfinished']:,}"),
        ("seconds until the last was adopted", number(result["adopted_seconds"])),
        ("seconds until the last ended", number(result["seconds"])),
    ]
    return [table("Recovery", ("", ""), rows)]


def takeover(result: dict[str, Any]) -> list[Table]:
    """A death among others."""
    rows = [
        (str(place + 1), str(one["left"]), number(one["adopted_ms"]), number(one["ended_ms"]))
        for place, one in enumerate(result["kills"])
    ]
    heads = ("kill -9", "transactions left", "ms until adopted", "ms until ended")
    return [table("4 processes on one file under load, one killed", heads, rows)]


PROFILE = {
    "busy": "each thread: share of the time in which it did anything",
    "rooms": "event loop: share of its busy time, by part of the program",
    "places": "event loop: the same, by function",
    "journal": "journal: share of its busy time, SQLite and the disk included",
}


def profile(result: dict[str, Any]) -> list[Table]:
    """Where the time goes."""
    made = []
    for form, found in result.items():
        one = table(f"{form}, 256 in flight: where the time goes", ("", "share"), ())
        for part, title in PROFILE.items():
            one.add_row(title, style="bold")
            for name, share in found[part]:
                one.add_row(f"  {name}", f"{share:.1%}")
            one.add_section()
        made.append(one)
    return made


def calls(result: dict[str, Any]) -> list[Table]:
    """Over HTTP."""
    rows = [
        (side, *(f"{number(cells[level]['rate'])} ({number(cells[level]['p50_ms'])} ms)" for level in LEVELS))
        for side, cells in result.items()
    ]
    heads = ("side", *(f"{level} in flight" for level in LEVELS))
    return [table("Calls to two services over HTTP: transactions a second (p50)", heads, rows)]


TABLES = {
    "levels": levels,
    "processes": processes,
    "finished": finished,
    "memory": memory,
    "recovery": recovery,
    "takeover": takeover,
    "calls": calls,
    "profile": profile,
}


def verdicts(figures: dict[str, float]) -> list[dict[str, Any]]:
    """Every bar with what was reached and, in words, whether it holds."""
    return [
        {
            "bar": bar.title,
            "wanted": f"{bar.relation} {bar.bar:g}{bar.unit}",
            "reached": figures[bar.key],
            "verdict": "pass" if bar.holds(figures[bar.key]) else "miss",
        }
        for bar in BARS
        if bar.key in figures
    ]


def show(console: Console, items: dict[str, Any], judged: list[dict[str, Any]]) -> None:
    """Print everything."""
    for name, result in items.items():
        for made in TABLES[name](result):
            console.print(made)
    rows = [(one["bar"], one["wanted"], number(one["reached"]), one["verdict"]) for one in judged]
    if rows:
        console.print(table("Acceptance bars", ("what", "wanted", "reached", "verdict"), rows))
