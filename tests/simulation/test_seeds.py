"""The simulator's seeds: whatever goes wrong in them, every promise is kept."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.budget import FIRST_SEED, seed_chunks
from troth.testing.simulation.campaign import run
from troth.testing.simulation.situations import SITUATIONS

ENOUGH = 600
"""Seeds in which every rare situation must have been met."""


@pytest.mark.simulation
@pytest.mark.parametrize("seeds", seed_chunks(), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_every_promise_is_kept(seeds: range) -> None:
    """No fault, and no mixture of faults, breaks a promise."""
    broken = {seed: problems for seed in seeds if (problems := run(seed).problems)}
    told = [f"seed {seed}: {problems[0]}" for seed, problems in broken.items()]
    assert not broken, "\n".join([*told, f"replay: python -m troth.testing.simulation --seed {next(iter(broken))}"])


@pytest.mark.simulation
def test_a_campaign_tests_what_it_says() -> None:
    """Seeds run at least 20 transactions and, on average, 30 faults; many are confirmed and many cancelled;
    and every rare situation is met."""
    seen: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    states: Counter[str] = Counter()
    seeds = 0
    for seed in range(FIRST_SEED, FIRST_SEED + ENOUGH):
        result = run(seed)
        seeds += 1
        seen += result.seen
        faults += result.faults
        states += result.states
        assert result.transactions >= 20, f"seed {seed} ran {result.transactions} transactions"
        if seeds >= 40 and all(seen[situation] for situation in SITUATIONS):
            break
    assert [situation for situation in SITUATIONS if not seen[situation]] == []
    assert sum(faults.values()) >= 30 * seeds
    assert states["confirmed"] > seeds * 5
    assert states["cancelled"] > seeds * 2
