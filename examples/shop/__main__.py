"""The shop put to the test: `python -m examples.shop --help`, or `make demo`."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.shop.demo.audit import audit
from examples.shop.demo.kills import Kills
from examples.shop.demo.orderfile import REJECTED, read_orders
from examples.shop.demo.run import Run
from examples.shop.demo.shop import GivenUpError
from examples.shop.demo.show import Counters, Result, next_steps, reasons_of, tables
from examples.shop.demo.weather import Weather

ORDERS_A_KILL = 12
FEWEST = 4
"""SIGKILLs in a run, however short."""
PACE = 0.05
"""Seconds that a call takes one way on the bad network."""


class Asked(argparse.Namespace):
    """The command line."""

    orders: int | None
    seed: int
    workers: int
    no_faults: bool
    json: bool
    keep: Path | None


def asked(arguments: Sequence[str] | None) -> Asked:
    """Read the command line; argparse exits with 2 where it is wrong."""
    parser = argparse.ArgumentParser("python -m examples.shop", description=__doc__)
    parser.add_argument("--orders", type=_positive, help="how many (default: all that are shipped)")
    parser.add_argument("--seed", type=int, default=1, help="of delays, losses, repetitions and kills (default: 1)")
    parser.add_argument("--workers", type=_positive, default=3, help="gateway processes (default: 3)")
    parser.add_argument("--no-faults", action="store_true", help="a good network, and nobody is killed")
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout, and nothing else there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave log and databases in this new folder")
    found = parser.parse_args(arguments, Asked())
    if found.keep is not None and found.keep.exists() and any(found.keep.iterdir()):
        parser.error(f"--keep {found.keep}: the folder isn't empty, and every run begins with a new shop")
    return found


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


async def run(ask: Asked, home: Path, console: Console | None) -> Result:
    """One run below a new folder."""
    begun = time.monotonic()
    entries = read_orders(ask.orders)
    wanted = min(len(entries), max(FEWEST, len(entries) // ORDERS_A_KILL))
    kills = None if ask.no_faults else Kills(ask.seed, wanted, len(entries), ask.workers)
    weather = Weather(ask.seed, 0.0 if ask.no_faults else PACE)
    with Counters(console, len(entries)) as counters:
        tried = Run(home, ask.workers, entries, weather, kills, counters.show)
        try:
            await tried.open()
            given_up = await tried.go()
            counters.show(tried, at_once=True)
        finally:
            await tried.close()
    invariants = audit(tried)
    invariants["came_to_an_end"] = [given_up] if given_up else []
    return counted(ask, tried, invariants, time.monotonic() - begun)


def counted(ask: Asked, tried: Run, invariants: dict[str, list[str]], seconds: float) -> Result:
    """The run in numbers."""
    stored, tally, kills = tried.evidence.all(), tried.tally, tried.kills
    fates = Counter(fate for transaction in stored for fate in transaction.fates.values())
    placed = {entry.gid for entry in tried.entries}  # the holds of a flash sale are a transaction within
    became = {each.gid: each.state for each in stored}
    by_pattern = {pattern: Counter[str]() for pattern in ("saga", "tcc")}
    for entry in tried.entries:
        by_pattern[entry.pattern][became.get(entry.gid, REJECTED)] += 1
    rejected = [reason for status, reason in tally.answers.values() if status == "rejected"]
    cancelled = [each.reason for each in stored if each.state == "cancelled" and each.gid in placed]
    return Result(
        orders=len(tried.entries),
        workers=ask.workers,
        seed=ask.seed,
        states=dict(Counter(transaction.state for transaction in stored)),
        by_pattern={pattern: dict(states) for pattern, states in by_pattern.items()},
        rejected=len(rejected),
        reasons=reasons_of([*rejected, *cancelled]),
        compensations=fates["compensated"] + fates["cancelled"],
        retries=tally.retries,
        repeated_by_network=tally.repeated,
        duplicates_absorbed=tally.absorbed,
        placed_again=tried.customers.again,
        kills_by_place=dict(kills.by_place) if kills is not None else {},
        kills_by_process=kills.by_process if kills is not None else {},
        takeovers=[1000 * took for took in tried.takeovers.took],
        invariants=invariants,
        seconds=seconds,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 if every invariant holds, 1 if not, 130 after Ctrl-C."""
    ask = asked(arguments)
    home = Path(tempfile.mkdtemp(prefix="troth-demo-")) if ask.keep is None else ask.keep.absolute()
    home.mkdir(parents=True, exist_ok=True)
    console = None if ask.json else Console()
    kept = ask.keep is not None
    try:
        result = asyncio.run(run(ask, home, console))
        kept = kept or not result.holds
    except GivenUpError as error:
        kept = True
        print(f"{error}\nsee {home}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    finally:
        if not kept:
            shutil.rmtree(home, ignore_errors=True)
    if console is None:
        print(json.dumps(result.as_json(), indent=2))
    else:
        console.print("", *tables(result), sep="\n")
        console.print(next_steps(home if kept else None), highlight=False, soft_wrap=True)
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
