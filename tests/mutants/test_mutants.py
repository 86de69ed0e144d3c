"""Every rule is needed: break one, and the simulator's seeds find it.

The seed that caught a mutant last time is tried first; ``python -m tests.mutants.hunt`` looks for the first ones anew.
"""

from __future__ import annotations

import pytest

from tests.budget import MUTANT_SEEDS
from tests.mutants.hunting import caught, remembered
from tests.mutants.table import TABLE
from troth.testing.simulation.campaign import run

# fmt: off
PROMISED = (
    "A1", "A2", "A4", "A5", "A6", "A9", "P1", "P2", "P4", "P5", "P6", "P8", "P9", "P10", "P11", "P12", "P16", "P19",
    "A3", "A8", "P15", "P17", "P18", "confirm_without_try", "try_result_from_cancel", "nested_double",
    "no_dedupe", "no_empty", "no_hang", "no_fence", "send_before_log",
    "unknown_is_failure", "skip_unknown_compensation", "lossy_store", "wrong_order",
)
# fmt: on


@pytest.mark.mutant
@pytest.mark.parametrize("name", list(TABLE))
def test_the_mutant_is_caught(name: str) -> None:
    """The general seeds catch it, and the same seed is clean without it."""
    found = caught(name, [*remembered(name), *range(1, MUTANT_SEEDS + 1)])
    assert found is not None, f"{name} lives after {MUTANT_SEEDS} seeds"
    seed, problem = found
    print(f"{name} is caught by seed {seed}: {problem}")
    assert run(seed).problems == ()


def test_every_promised_mutant_is_there() -> None:
    """The list is whole."""
    assert [name for name in PROMISED if name not in TABLE] == []
