"""The same code again after a kill: nothing is ever taken for a change (S8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.changes.bodies import BODIES, Leave, Step
from tests.changes.evidence import check, docs_of
from tests.changes.killed import IN_FLIGHT, in_flight_at, run_and_end, set_up, unfinished
from tests.changes.shop import deploy
from tests.changes.waiting import PATIENCE, until
from troth.core.words import State

ORDERS = 8
"""Of each saga: gathers, remembered values, caught refusals, inner sagas, pivots, and one that is left."""


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.parametrize("asynchronous", [True, False])
def test_the_same_code_never_mismatches_its_own_record(tmp_path: Path, asynchronous: bool) -> None:
    """Killed again and again, each time at other points of the same sagas, then taken over: all end as if never killed."""
    folder = tmp_path / "shop"
    shop = set_up(folder, BODIES, asynchronous=asynchronous, orders=ORDERS)
    places: set[tuple[int, str]] = set()
    for turn in range(0, 15, 3):
        set_up(folder, BODIES, asynchronous=asynchronous, orders=ORDERS, turn=turn)
        run_and_end(shop, how="leave" if turn % 2 else "kill")
        places |= in_flight_at(folder)
        if turn == 0:
            assert unfinished(folder) >= IN_FLIGHT
    assert len(places) >= 8
    before = docs_of(folder)
    with deploy(shop.text(folder)).troth as app:
        for gid in before:
            app.attach(gid).wait(timeout=PATIENCE)
    states = check(folder, before, BODIES)
    assert states == {State.CONFIRMED: 5 * ORDERS, State.CANCELLED: ORDERS}
    assert {doc.reason for doc in docs_of(folder).values()} == {"", "sold out"}


@pytest.mark.kill
def test_a_remembered_value_is_drawn_once_over_all_runs(tmp_path: Path) -> None:
    """The call that takes it was recorded with it, so another one would be another argument."""
    shop = set_up(tmp_path / "shop", ["value"], asynchronous=False)
    run_and_end(shop)
    drawn = {gid: bytes(doc.branches[0].result) for gid, doc in docs_of(shop.folder).items()}
    with deploy(shop.text(shop.folder)).troth as app:
        for gid in drawn:
            assert app.attach(gid).wait(timeout=PATIENCE).state == State.CONFIRMED
    for gid, doc in docs_of(shop.folder).items():
        value, call = doc.branches[:2]
        assert bytes(value.result) == drawn[gid]
        assert drawn[gid] in bytes(call.args)
    assert len(set(drawn.values())) == len(drawn)


@pytest.mark.kill
def test_what_failed_past_its_pivot_is_finished_once_the_code_is_back(tmp_path: Path) -> None:
    """Its words name the call that is no longer made; nothing was undone, and the remaining calls are made then."""
    shop = set_up(tmp_path / "shop", ["pivot"], asynchronous=True)
    run_and_end(shop)
    before = docs_of(shop.folder)
    short = (Step("pick", "1"), Step("pack", "2"), Leave("return"))
    with deploy(shop.text(shop.folder, {"pivot": short})).troth as app:
        for gid in before:
            app.attach(gid).wait(timeout=PATIENCE)
        failed = app.find(state="failed")
    assert failed and all("the code now ends without calling it" in view.reason for view in failed)
    assert all("past the pivot nothing is undone" in view.reason for view in failed)
    check(shop.folder, before, {"pivot": short})
    with deploy(shop.text(shop.folder)).troth as app:
        for view in failed:
            until(lambda gid=view.gid: app.get(gid).state == State.CONFIRMED, f"{view.gid} is confirmed")  # type: ignore[misc]
    still = {gid: doc for gid, doc in docs_of(shop.folder).items() if doc.state is State.CANCELLED}
    check(shop.folder, {**before, **still}, BODIES)
