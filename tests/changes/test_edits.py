"""Random edits of saga bodies while many are in flight (S8)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.budget import EDITS
from tests.changes.bodies import BODIES, Gather, Step, edited
from tests.changes.evidence import check, docs_of
from tests.changes.killed import IN_FLIGHT, Killed, run_and_end, set_up, unfinished
from tests.changes.shop import deploy
from tests.changes.waiting import PATIENCE
from troth.core.words import State

CHUNK = 10
"""Edits of one test."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, bool], Killed]]:
    """A shop for each saga and colour, all killed at once in the middle of their work."""
    folder = tmp_path_factory.mktemp("killed")
    made = {
        (name, asynchronous): set_up(folder / f"{name}-{asynchronous}", [name], asynchronous=asynchronous)
        for name in BODIES
        for asynchronous in (False, True)
    }
    run_and_end(*made.values())
    for each in made.values():
        assert unfinished(each.folder) >= IN_FLIGHT
    yield made


def take_over(module: Any, gids: list[str]) -> None:
    """A node with this code drives what it finds until each has ended or needs a person."""
    with module.troth as app:
        for gid in gids:
            app.attach(gid).wait(timeout=PATIENCE)


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, EDITS, CHUNK))
def test_an_edited_body_ends_every_saga_whole(
    killed: dict[tuple[str, bool], Killed], tmp_path: Path, first: int
) -> None:
    """Confirmed, wholly compensated or, only past the pivot, failed with its list; none wedges, nothing is mixed."""
    for number in range(first, min(first + CHUNK, EDITS)):
        chance = random.Random(number)
        (name, _), shop = sorted(killed.items())[number % len(killed)]
        kind, body = edited(shop.bodies[name], chance)
        folder = shop.copy(tmp_path / str(number))
        before = docs_of(folder)
        take_over(deploy(shop.text(folder, {name: body})), list(before))
        check(folder, before, {name: body}, f"edit {number} of {name}, {kind}: {body}")


PART = (Step("pack", "2"), Step("weigh", "3"))
MORE = (BODIES["gather"][0], Gather((PART, (Step("label", "4"), Step("pick", "new")))), *BODIES["gather"][2:])
LESS = (BODIES["gather"][0], Gather((PART,)), *BODIES["gather"][2:])


@pytest.mark.kill
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_new_call_before_a_pivot_in_doubt_does_not_keep_its_saga_waiting(
    killed: dict[tuple[str, bool], Killed], tmp_path: Path, asynchronous: bool
) -> None:
    """No call goes out beside a pivot in doubt, so the pivot is asked for as soon as one waits for it."""
    shop = killed["gather", asynchronous]
    folder = shop.copy(tmp_path / "shop")
    before = docs_of(folder)
    take_over(deploy(shop.text(folder, {"gather": MORE})), list(before))
    states = check(folder, before, {"gather": MORE})
    assert states == {State.CONFIRMED: len(before)}


@pytest.mark.kill
@pytest.mark.parametrize("asynchronous", [True, False])
def test_what_a_part_leaves_out_is_seen_before_a_new_pivot(
    killed: dict[tuple[str, bool], Killed], tmp_path: Path, asynchronous: bool
) -> None:
    """While all can still be undone it is, and the words name both calls."""
    shop = killed["gather", asynchronous]
    folder = shop.copy(tmp_path / "shop")
    before = docs_of(folder)
    take_over(deploy(shop.text(folder, {"gather": LESS})), list(before))
    check(folder, before, {"gather": LESS})
    cancelled = {gid: doc.reason for gid, doc in docs_of(folder).items() if doc.state is State.CANCELLED}
    no_pivot = {gid for gid, doc in before.items() if all(branch.name != "pay" for branch in doc.branches)}
    seen = {gid for gid in cancelled if gid in no_pivot}
    assert seen
    for gid in seen:
        assert cancelled[gid].startswith("code changed: step ") and "was label" in cancelled[gid]
        assert cancelled[gid].endswith("the code now calls its pivot pay without it")
