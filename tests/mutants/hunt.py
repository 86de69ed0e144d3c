"""``python -m tests.mutants.hunt [NAME ...]``: look for the first seed that catches each mutant, and remember it."""

from __future__ import annotations

import json
import sys

from tests.budget import MUTANT_SEEDS
from tests.mutants.hunting import REMEMBERED, caught
from tests.mutants.table import TABLE


def main(names: list[str]) -> int:
    """Hunt for the named mutants, or for all. Exit code 1 if one lives."""
    known: dict[str, int] = json.loads(REMEMBERED.read_text(encoding="utf-8")) if REMEMBERED.exists() else {}
    alive = 0
    for name in names or list(TABLE):
        found = caught(name, range(1, MUTANT_SEEDS + 1))
        if found is None:
            alive += 1
            known.pop(name, None)
            print(f"{name:28} lives")
        else:
            known[name] = found[0]
            print(f"{name:28} seed {found[0]:4}: {found[1][:120]}")
    ordered = {name: known[name] for name in TABLE if name in known}
    REMEMBERED.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
