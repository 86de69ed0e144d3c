"""The run as people see it: counters while it goes on, tables at its end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from examples.shop.demo.run import Run

INKS = {"trying": "cyan", "confirming": "cyan", "confirmed": "green", "cancelling": "yellow", "cancelled": "yellow",
        "failed": "red"}  # fmt: skip
KINDS = {"saga": "ordinary (saga)", "tcc": "flash sale (TCC)"}
EVERY = 0.2
"""Seconds between two looks at the counters."""


class Result(NamedTuple):
    """A run, counted.

    :param by_pattern: for ``saga`` and ``tcc``, how many orders ended in which state.
    :param rejected: orders that the pre-check said no to.
    :param reasons: why orders were rejected or cancelled, and how many.
    :param takeovers: from a kill to the last transaction taken over, in milliseconds, one for each kill.
    :param invariants: by name, what speaks against it.
    """

    orders: int
    workers: int
    seed: int
    states: dict[str, int]
    by_pattern: dict[str, dict[str, int]]
    rejected: int
    reasons: dict[str, int]
    compensations: int
    retries: int
    repeated_by_network: int
    duplicates_absorbed: int
    placed_again: int
    kills_by_place: dict[str, int]
    kills_by_process: dict[str, int]
    takeovers: list[float]
    invariants: dict[str, list[str]]
    seconds: float

    @property
    def holds(self) -> bool:
        """Every invariant does."""
        return not any(self.invariants.values())

    def as_json(self) -> dict[str, Any]:
        """For programs; see docs/demo.md for the fields."""
        fields = self._asdict()
        took = fields.pop("takeovers")
        places, against = fields.pop("kills_by_place"), fields.pop("invariants")
        return {
            **fields,
            "kills": sum(places.values()),
            "kills_by_place": places,
            "takeover_ms_max": round(max(took, default=0.0), 1),
            "takeover_ms_median": round(sorted(took)[len(took) // 2], 1) if took else 0.0,
            "invariants": {name: not words for name, words in against.items()},
            "problems": [f"{name}: {words}" for name, found in against.items() for words in found[:20]],
            "seconds": round(self.seconds, 2),
        }


class Counters:
    """The live view of a run.

    :param console: where to; None: nobody looks.
    """

    def __init__(self, console: Console | None, orders: int) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("orders"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self.task = self.progress.add_task("orders", total=orders)
        self.live = Live(self.progress, console=console, refresh_per_second=5) if console is not None else None
        self._next = 0.0

    def __enter__(self) -> Self:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def show(self, run: Run, *, at_once: bool = False) -> None:
        """Bring the view up to date, now and then."""
        now = time.monotonic()
        if self.live is None or (now < self._next and not at_once):
            return
        self._next = now + EVERY
        self.progress.update(self.task, completed=run.answered)
        self.live.update(Group(self.progress, *self._lines(run)))

    def _lines(self, run: Run) -> list[Text]:
        counts = run.evidence.log.counts()
        states = Text("  ").join(Text(f"{state} {counts.get(state, 0)}", style=ink) for state, ink in INKS.items())
        tally = run.tally
        calls = Text(f"calls {tally.calls}  retries {tally.retries}  duplicates absorbed {tally.absorbed}", style="dim")
        down = [process.name for process in run.shop.processes if not process.ready]
        up = Text(f"starting: {', '.join(down)}" if down else "all processes are up", style="red" if down else "dim")
        if run.kills is None:
            return [states, calls, up]
        places = "  ".join(f"{place} {count}" for place, count in run.kills.by_place.items())
        return [states, Text(f"kills {len(run.kills.done)}: {places}", style="magenta"), calls, up]


def tables(result: Result) -> list[Table]:
    """What happened, and what holds."""
    return [_happened(result), _invariants(result)]


def _happened(result: Result) -> Table:
    title = f"{result.orders} orders, {result.workers} gateways, seed {result.seed}"
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("how many", justify="right")
    for pattern, states in result.by_pattern.items():
        _section(table, [(f"{KINDS[pattern]}, {state}", n, INKS.get(state, "")) for state, n in sorted(states.items())])
    _section(table, [("rejected at the pre-check", result.rejected, "")])
    _section(table, [(f"because: {why}", count, "dim") for why, count in sorted(result.reasons.items())])
    _section(table, [
        ("compensations, holds given back", result.compensations, ""), ("retries", result.retries, ""),
        ("repeated by the network", result.repeated_by_network, ""), ("duplicates absorbed", result.duplicates_absorbed, ""),
        ("orders placed again", result.placed_again, ""),
    ])  # fmt: skip
    if result.kills_by_place:
        total = ("SIGKILLs at work", sum(result.kills_by_place.values()), "magenta")
        parts = {**result.kills_by_place, **result.kills_by_process}
        _section(table, [total, *((f"  {part.replace('_', ' ')}", count, "dim") for part, count in parts.items())])
    if result.takeovers:
        median = sorted(result.takeovers)[len(result.takeovers) // 2]
        took = {"median": median, "longest": max(result.takeovers)}
        _section(table, [(f"taken over after, ms ({which})", f"{ms:.0f}", "") for which, ms in took.items()])
    return table


def _section(table: Table, rows: Sequence[tuple[str, int | str, str]]) -> None:
    for what, count, ink in rows:
        table.add_row(what, str(count), style=ink)
    table.add_section()


def _invariants(result: Result) -> Table:
    table = Table(title="what must hold", title_justify="left", show_header=False)
    for name, against in result.invariants.items():
        words = Text("holds", style="green")
        if against:
            more = f"\n… and {len(against) - 5} more" if len(against) > 5 else ""
            words = Text("\n".join(against[:5]) + more, style="red")
        table.add_row(name.replace("_", " "), words)
    return table


def next_steps(home: Path | None) -> str:
    """What to try now. :param home: the folder that was kept, if it was."""
    if home is None:
        return "Look around in what a run leaves: make demo ARGS=\"--keep /tmp/shop\""
    store = f"--store sqlite:///{home / 'log.db'}"
    return (
        f"The log, the databases and what the processes said are in {home}. Look around:\n"
        f"  troth list {store}\n"
        f"  troth show order-0005 {store}      # a saga, undone in reverse\n"
        f"  troth show order-0004 {store}      # a flash sale, and what it held:\n"
        f"  troth show order-0004.0:have_it_all-1.action {store}\n"
        f"  troth doctor {store}"
    )


def reasons_of(reasons: Sequence[str]) -> dict[str, int]:
    """Reasons without what they are about: ``umbrella is sold out`` counts as ``sold out``."""
    kinds = ("sold out", "payment was declined", "no van drives", "coupon", "timeout")
    return dict(Counter(next((kind for kind in kinds if kind in reason), reason) for reason in reasons))
