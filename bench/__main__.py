"""``python -m bench [--quick] [--only NAME]… [--json FILE]``: measure, print tables, write JSON."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bench import tables
from bench.items import calls, finished, levels, memory, processes, profile, recovery, takeover
from bench.proxy import SideDied
from bench.sizes import QUICK, Sizes

ITEMS: dict[str, Any] = {
    "levels": levels,
    "processes": processes,
    "finished": finished,
    "memory": memory,
    "recovery": recovery,
    "takeover": takeover,
    "calls": calls,
    "profile": profile,
}
RESULTS = Path(__file__).with_name("results")
WIDTH = 110
"""Columns of the tables when they go to a file."""


def installed(name: str) -> str:
    """The version of an installed package, or "not installed"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": [round(value, 2) for value in os.getloadavg()],
        "fdatasync_us": round(sync_cost() * 1e6),
        "troth": installed("troth"),
        "dbos": installed("dbos"),
    }


def sync_cost() -> float:
    """Seconds one 4 KB write and its forcing take here: the floor of every durable answer."""
    force = getattr(os, "fdatasync", os.fsync)
    with tempfile.NamedTemporaryFile(dir=RESULTS.parent) as file:
        begin = time.perf_counter()
        for _ in range(100):
            os.write(file.fileno(), b"x" * 4_096)
            force(file.fileno())
        return (time.perf_counter() - begin) / 100


def measured(names: Sequence[str], sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the items; one that can't be measured doesn't take the others with it."""
    items: dict[str, Any] = {}
    figures: dict[str, float] = {}
    failed: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name in names:
        begin = time.perf_counter()
        try:
            items[name] = ITEMS[name].measure(sizes, room, lambda words, name=name: say(f"{name}: {words}"))
        except (SideDied, TimeoutError) as error:
            failed[name] = str(error)
        else:
            figures.update(ITEMS[name].figures(items[name]))
        seconds[name] = round(time.perf_counter() - begin, 1)
    return {"items": items, "figures": figures, "failed": failed, "seconds_each": seconds}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="About a second an item: shows that everything works, measures nothing.")
@click.option("--only", multiple=True, type=click.Choice(list(ITEMS)), help="Measure only this; may be given again.")
@click.option("--rounds", type=click.IntRange(1), help="Interleaved rounds; the median counts (default 5).")
@click.option("--json", "target", type=click.Path(dir_okay=False, path_type=Path), help="Where the JSON goes.")
@click.option("--strict", is_flag=True, help="Exit 1 if a bar is missed.")
def main(quick: bool, only: tuple[str, ...], rounds: int | None, target: Path | None, strict: bool) -> None:
    """Race troth, bare loops and DBOS side by side on this machine."""
    sizes = QUICK if quick else Sizes()
    if rounds:
        sizes = type(sizes)(**{**asdict(sizes), "rounds": rounds})
    console, progress = Console(), Console(stderr=True)
    if not console.is_terminal:
        console = Console(width=WIDTH)
    run: dict[str, Any] = {"machine": machine(), "sizes": asdict(sizes), "items": {}}
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="room-", dir=RESULTS.parent) as room, progress.status("") as status:
        run.update(measured(only or tuple(ITEMS), sizes, Path(room), status.update))
    run["seconds"] = time.perf_counter() - begin
    run["bars"] = tables.verdicts(run["figures"])
    told = ", ".join(f"{name} {value}" for name, value in run["machine"].items())
    console.print(told, style="dim", highlight=False)
    tables.show(console, run["items"], run["bars"])
    for name, why in run["failed"].items():
        console.print(f"{name} could not be measured: {why}", style="red", markup=False)
    if quick:
        console.print("--quick only shows that everything works: its figures mean nothing.")
    target = target or RESULTS / ("quick.json" if quick else "latest.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {target}")
    if run["failed"] or (strict and any(one["verdict"] == "miss" for one in run["bars"])):
        sys.exit(1)


if __name__ == "__main__":
    main()
