"""Chance is keyed: a seed is the same everywhere, and switching one fault off leaves all else as it was."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from troth.testing.simulation.campaign import run
from troth.testing.simulation.chance import Chance, mix
from troth.testing.simulation.faults import FAULTS, Site, Swarm

REPLAY = [sys.executable, "-m", "troth.testing.simulation", "--hash", "--seeds", "4"]


def hashes(salt: str) -> str:
    """The hashes of four seeds' traces in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": salt, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(REPLAY, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.simulation
def test_a_seed_is_the_same_in_every_process() -> None:
    """Traces are equal to the last byte under different hash seeds."""
    first = hashes("1")
    assert len(first.split()) == 8
    assert first == hashes("2")


@pytest.mark.simulation
def test_a_trace_does_not_change_what_happens() -> None:
    """A run that is watched is the run."""
    watched, plain = run(7, traced=True), run(7)
    assert (watched.states, watched.faults, watched.events) == (plain.states, plain.faults, plain.events)
    assert watched.lines
    assert not plain.lines


def test_a_choice_depends_on_its_key_alone() -> None:
    """Other choices made before don't matter."""
    one, other = Chance(5), Chance(5)
    other.below(10, "something else", 3)
    assert one.bits("here", 4) == other.bits("here", 4)
    assert one.bits("here", 4) != Chance(6).bits("here", 4)


def test_numbers_are_spread() -> None:
    """Neighbouring keys are far apart."""
    tenths = [mix(1, 2, key, 0) * 10 >> 64 for key in range(1000)]
    assert all(60 <= tenths.count(tenth) <= 140 for tenth in range(10))


@pytest.mark.parametrize("site", list(Site))
def test_switching_a_fault_off_leaves_the_others(site: Site) -> None:
    """The other faults strike where they did, unless they share the very opportunity."""
    for seed in range(20):
        whole = Swarm(Chance(seed))
        for name in [name for name, _, _ in whole.menu[site]]:
            rest = Swarm(Chance(seed), off=[name])
            assert rest.rates == {other: rate for other, rate in whole.rates.items() if other != name}
            again = Swarm(Chance(seed))
            for key in range(50):
                struck = again.at(site, key)
                if struck != name:
                    assert rest.at(site, key) == struck
                else:
                    rest.at(site, key)


def test_every_fault_has_a_site_and_a_rate() -> None:
    """The table of faults is whole."""
    assert {fault.site for fault in FAULTS} == set(Site)
    assert all(0 < fault.rate < 1 for fault in FAULTS)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
