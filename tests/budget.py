"""How much a run may spend: every budget of the suite, named once.

`make test` uses the small numbers, which fit eight minutes on two cores; `make chaos` (TROTH_CHAOS=1) the large ones.
Each can be set alone, e.g. ``TROTH_SEEDS=50 make test ARGS="-k simulation"``.
"""

from __future__ import annotations

import os
from typing import Final

CHAOS: Final = os.environ.get("TROTH_CHAOS", "") not in ("", "0")
"""True under `make chaos`."""


def _budget(name: str, test: int, chaos: int) -> int:
    given = os.environ.get(name, "")
    if given and not given.isdecimal():
        raise ValueError(f"{name}={given!r}: it must be a whole number of 0 or more")
    return int(given) if given else (chaos if CHAOS else test)


SEEDS: Final = _budget("TROTH_SEEDS", 2_000, 100_000)
"""Seeds of the simulator, all of which must hold."""
FIRST_SEED: Final = _budget("TROTH_FIRST_SEED", 1, 1)
"""The first of them: another one makes another campaign."""
MUTANT_SEEDS: Final = _budget("TROTH_MUTANT_SEEDS", 600, 5_000)
"""Seeds after which a mutant that is still alive counts as missed."""
EXHAUSTIVE: Final = _budget("TROTH_EXHAUSTIVE", 2, 3)
"""Faults at a time in the exhaustive walk of two-step sagas (one less for three steps)."""
KILLS: Final = _budget("TROTH_KILLS", 30, 1_000)
"""SIGKILLs that must hit work in flight in the kill loop."""
EDITS: Final = _budget("TROTH_EDITS", 200, 2_000)
"""Random edits of saga bodies between two runs."""
EXAMPLES: Final = _budget("TROTH_EXAMPLES", 100, 2_000)
"""Examples of each property-based test."""


def seed_chunks(size: int = 50, seeds: int = SEEDS) -> list[range]:
    """The seeds in pieces, one test each, so that several cores share them: ``parametrize("seeds", seed_chunks())``."""
    end = FIRST_SEED + seeds
    return [range(first, min(first + size, end)) for first in range(FIRST_SEED, end, size)]
