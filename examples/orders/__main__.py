"""The orders demo: `python -m examples.orders --help`, or `make demo`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from examples.orders.audit import audit
from examples.orders.crew import Crew, Settings
from examples.orders.evidence import Evidence, evidence_in
from examples.orders.front import Front, GivenUpError
from examples.orders.kills import Kills
from examples.orders.opening import make_databases, read_opening, read_orders
from examples.orders.show import Counters, Result, next_steps, reasons_of, tables

ORDERS_A_KILL = 12
FEWEST = 4
"""SIGKILLs in a run, however short."""
IN_FLIGHT = 4
PACE = 0.05
"""Seconds that a call takes one way on the bad network."""
OPENS = 20.0
"""Seconds until the first worker has made the log."""


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
    parser = argparse.ArgumentParser("python -m examples.orders", description=__doc__)
    parser.add_argument("--orders", type=_positive, help="how many (default: all that are shipped)")
    parser.add_argument("--seed", type=int, default=1, help="of delays, losses, repetitions and kills (default: 1)")
    parser.add_argument("--workers", type=_positive, default=3, help="processes (default: 3)")
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


def run(ask: Asked, home: Path, console: Console | None) -> Result:
    """One run below a new folder."""
    begun = time.monotonic()
    entries, opening = read_orders(ask.orders), read_opening()
    make_databases(home, opening)
    wanted = min(len(entries), max(FEWEST, len(entries) // ORDERS_A_KILL))
    kills = None if ask.no_faults else Kills(ask.seed, wanted, len(entries))
    settings = Settings(home, IN_FLIGHT, None if ask.no_faults else PACE, ask.seed)
    with ExitStack() as stack:
        crew = Crew(settings, ask.workers)
        stack.callback(crew.kill_all)
        evidence = stack.enter_context(evidence_in(_opened(home, crew)))
        counters = stack.enter_context(Counters(console, len(entries)))
        front = Front(crew, evidence, entries, kills, counters.show)
        given_up = ""
        try:
            front.run()
        except GivenUpError as error:
            given_up = str(error)
        counters.show(front, at_once=True)
        invariants = audit(entries, opening, evidence, front)
        invariants["came_to_an_end"] = [given_up] if given_up else []
        return _counted(ask, front, evidence, invariants, time.monotonic() - begun)


def _opened(home: Path, crew: Crew) -> Path:
    """The folder, once a worker has made the log in it."""
    until = time.monotonic() + OPENS
    while not any(worker.ready for worker in crew.workers.values()):
        for worker, messages in crew.listen(0.1):
            if messages is None:
                raise SystemExit(f"a worker can't start: {worker.told.read_text(encoding='utf-8')}")
            worker.ready = True
        if time.monotonic() > until:
            raise SystemExit(f"no worker was ready within {OPENS:g} s; see {home}/worker-*.log")
    return home


def _counted(
    ask: Asked, front: Front, evidence: Evidence, invariants: dict[str, list[str]], seconds: float
) -> Result:
    stored = evidence.all()
    fates = [fate for transaction in stored for fate in transaction.fates.values()]
    kills = front.kills
    return Result(
        orders=front.orders,
        workers=ask.workers,
        seed=ask.seed,
        states=evidence.log.counts(),
        reasons=reasons_of([transaction.reason for transaction in stored if transaction.state == "cancelled"]),
        compensations=fates.count("compensated"),
        retries=front.tally.retries,
        duplicates_absorbed=front.tally.absorbed,
        placed_again=front.again,
        kills_by_place=dict(kills.by_place) if kills is not None else {},
        takeovers=[1000 * took for took in front.takeovers.took],
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
        result = run(ask, home, console)
        kept = kept or not result.holds
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
