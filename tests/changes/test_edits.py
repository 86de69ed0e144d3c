"""Random edits of saga bodies while many are in flight (S8)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.budget import EDITS
from tests.changes.bodies import BODIES, edited
from tests.changes.evidence import check, docs_of
from tests.changes.killed import IN_FLIGHT, Killed, run_and_end, set_up, unfinished
from tests.changes.shop import deploy
from tests.changes.waiting import PATIENCE

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
