"""``python -m troth.testing.simulation``: replay a seed, or run many."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from troth.testing.simulation.campaign import Result, run
from troth.testing.simulation.faults import BY_NAME
from troth.testing.simulation.situations import SITUATIONS


def main() -> int:
    """Replay one seed with its trace, or count over many. Exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m troth.testing.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this seed and print its trace")
    parser.add_argument("--seeds", type=int, default=100, help="without --seed: run so many, from --first")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--off", action="append", default=[], choices=sorted(BY_NAME), help="leave a fault out")
    parser.add_argument("--gid", default="", help="print only lines that name this transaction")
    parser.add_argument("--hash", action="store_true", help="print only the hash of each trace")
    given = parser.parse_args()
    if given.seed is not None and not given.hash:
        return replay(given.seed, given.off, given.gid)
    seeds = [given.seed] if given.seed is not None else range(given.first, given.first + given.seeds)
    return many(seeds, given.off, hashes=given.hash)


def replay(seed: int, off: list[str], gid: str) -> int:
    """Print the trace of a seed."""
    result = run(seed, off, traced=True)
    write = sys.stdout.write
    for line in result.lines:
        if not gid or gid in line.replace(":", " ").split() or "VIOLATION" in line or gid + "/" in line:
            write(line + "\n")
    write(summary(result) + "\n")
    return 1 if result.problems else 0


def summary(result: Result) -> str:
    """A seed in a few lines."""
    said = "\n".join(result.problems) or "every promise was kept"
    return (
        f"seed {result.seed}: {result.transactions} transactions, {sum(result.faults.values())} faults, "
        f"{result.events} events, {dict(sorted(result.states.items()))}\n{said}"
    )


def many(seeds: list[int] | range, off: list[str], *, hashes: bool) -> int:
    """Count over many seeds."""
    states: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    broken = 0
    for seed in seeds:
        result = run(seed, off, traced=hashes)
        if hashes:
            sys.stdout.write(f"{seed} {result.digest}\n")
        states += result.states
        faults += result.faults
        seen += result.seen
        if result.problems:
            broken += 1
            sys.stdout.write(f"seed {seed}: {len(result.problems)} problems; {result.problems[0]}\n")
    if not hashes:
        sys.stdout.write(f"{len(seeds)} seeds, {broken} broken; {dict(sorted(states.items()))}\n")
        sys.stdout.write(f"faults per seed {sum(faults.values()) / len(seeds):.1f}: {dict(sorted(faults.items()))}\n")
        sys.stdout.write(f"seen: {dict(sorted(seen.items()))}\n")
        sys.stdout.write(f"never seen: {[name for name in SITUATIONS if not seen[name]]}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
