"""The exhaustive walk: one small transaction, every fault at every opportunity, every pair of faults."""

from __future__ import annotations

import pytest

from tests.budget import EXHAUSTIVE
from troth.testing.simulation.exhaustive import Scene, longer_scenes, nested_scenes, play, scenes, tcc_scenes, walk

IN_PAIRS = ("declared seat fund", "open seat fund, seat refuses")
"""The TCC scenes whose pairs of faults fit the time of `make test`."""


def examine(scene: Scene, faults: int) -> int:
    """Walk the scene; the number of runs."""
    runs = 0
    for result in walk(scene, faults):
        runs += 1
        assert not result.problems, f"{scene.name}, {result.strikes}: {result.problems}"
    return runs


@pytest.mark.exhaustive
@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene.name)
def test_no_two_faults_break_two_steps(scene: Scene) -> None:
    """Any fault, and any two faults, leave two steps whole or undone."""
    assert examine(scene, min(EXHAUSTIVE, 2)) > 40


@pytest.mark.exhaustive
@pytest.mark.parametrize("scene", longer_scenes(), ids=lambda scene: scene.name)
def test_no_fault_breaks_three_steps(scene: Scene) -> None:
    """Any fault leaves three steps whole or undone; under larger budgets any two."""
    assert examine(scene, max(1, EXHAUSTIVE - 1)) > 40


@pytest.mark.exhaustive
@pytest.mark.parametrize("scene", tcc_scenes(2), ids=lambda scene: scene.name)
def test_no_two_faults_break_two_holds(scene: Scene) -> None:
    """Any fault, and in two of the scenes (under larger budgets in all) any two, leave two holds confirmed or cancelled."""
    assert examine(scene, min(EXHAUSTIVE, 2) if scene.name in IN_PAIRS or EXHAUSTIVE > 2 else 1) > 40


@pytest.mark.exhaustive
@pytest.mark.parametrize("scene", [*tcc_scenes(3), *nested_scenes()], ids=lambda scene: scene.name)
def test_no_fault_breaks_three_holds(scene: Scene) -> None:
    """Any fault leaves three holds, and what a try called, confirmed or cancelled; under larger budgets any two."""
    assert examine(scene, max(1, EXHAUSTIVE - 1)) > 40


@pytest.mark.exhaustive
@pytest.mark.parametrize("scene", [*tcc_scenes(2), *tcc_scenes(3), *nested_scenes()], ids=lambda scene: scene.name)
def test_a_tcc_without_faults_ends_as_it_should(scene: Scene) -> None:
    """Confirmed, or cancelled where a participant refuses or an initiator got no answer."""
    result = play(scene, {})
    expected = "cancelled" if scene.refuses or "stops waiting" in scene.name else "confirmed"
    assert (result.state, result.problems) == (expected, [])


@pytest.mark.exhaustive
def test_a_scene_without_faults_ends_as_it_should() -> None:
    """What the walk starts from is a quiet run: confirmed, or cancelled where a participant refuses."""
    for scene in [*scenes(), *longer_scenes()]:
        result = play(scene, {})
        other_way = scene.name == "function another way"
        assert (result.state, result.problems) == ("cancelled" if scene.refuses and not other_way else "confirmed", [])
