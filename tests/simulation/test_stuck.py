"""L4: one stuck participant slows no transaction that doesn't use it."""

from __future__ import annotations

import pytest

from troth.core.draft import REMEMBER
from troth.core.state import Transaction
from troth.core.words import FINAL
from troth.testing.simulation.campaign import Run
from troth.testing.simulation.catalog import service_of
from troth.testing.simulation.faults import BY_NAME
from troth.testing.simulation.world import SECOND, START

STUCK = 1
"""The number of the service that never answers."""
SLACK = 100_000
"""Microseconds by which two runs may differ: a write may ride with another one's batch."""


def played(seed: int, *, stuck: bool) -> dict[str, Transaction]:
    """A seed without faults, with or without the stuck service; its transactions a minute later."""
    run = Run(seed, BY_NAME, traced=False)
    run.services[STUCK].stuck = stuck
    run.world.run(START + 60 * SECOND)
    return run.docs()


def touches(doc: Transaction) -> bool:
    """Does it use the stuck service?"""
    return any(service_of(branch.name) == STUCK for branch in doc.branches if branch.name != REMEMBER)


@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(1, 9))
def test_a_stuck_participant_slows_nobody_else(seed: int) -> None:
    """Transactions that don't use it take as long as they would without it."""
    free, stuck = played(seed, stuck=False), played(seed, stuck=True)
    apart = [gid for gid, doc in stuck.items() if gid in free and not touches(doc) and not touches(free[gid])]
    assert apart
    for gid in apart:
        before, after = free[gid], stuck[gid]
        if before.state in FINAL:
            assert (after.state, after.reason) == (before.state, before.reason)
            assert after.finished - after.begun <= before.finished - before.begun + SLACK
    assert any(doc.state not in FINAL for doc in stuck.values() if touches(doc))
