"""The demo's choice of moments, and how a kill is counted."""

from __future__ import annotations

from typing import Any

import pytest

from examples.orders.evidence import AFTER_ACCEPT, AFTER_EFFECT, IN_COMPENSATION, PAST_PIVOT, PLACES
from examples.orders.kills import PATIENCE, Kills, moment
from examples.orders.tally import Tally


def said(at: str, step: str, op: str = "action", **more: Any) -> dict[str, Any]:
    """What a worker says."""
    name = f"examples.orders.shop.{step}"
    told = {"ran": True, "word": "done", "reason": ""} if at != "before" else {}
    return {"at": at, "gid": "order-1", "branch": f"/{name}#1", "step": name, "op": op, "attempt": 1, **told, **more}


AT = {
    AFTER_ACCEPT: said("before", "create_order"),
    AFTER_EFFECT: said("after", "reserve"),
    PAST_PIVOT: said("after", "charge"),
    IN_COMPENSATION: said("before", "create_order", "compensate"),
}


@pytest.mark.parametrize("place", PLACES)
def test_each_place_has_its_moments(place: str) -> None:
    """What a step says tells the place that its process stands at."""
    assert moment(AT[place]) == place


def test_other_reports_are_no_moments() -> None:
    """Neither an answer, nor a refused charge, nor a step between two effects."""
    assert moment({"at": "answer", "order": "1", "state": "confirmed", "reason": ""}) is None
    assert moment(said("after", "charge", ran=True, word="refused")) is None
    assert moment(said("before", "reserve")) is None


def test_a_kill_counts_once_in_the_place_hit_least() -> None:
    """A dead worker leaves transactions at several places; the kill counts for the one that has the fewest."""
    kills = Kills(seed=1, wanted=10, orders=100)
    everywhere = dict(enumerate(PLACES))
    counted = [kills.count(1, {str(n): place for n, place in everywhere.items()}).counted for _ in range(8)]
    assert counted[0] == IN_COMPENSATION
    assert kills.by_place == dict.fromkeys(PLACES, 2)
    assert kills.count(1, {"order-1": AFTER_ACCEPT}).counted == AFTER_ACCEPT


def test_every_place_is_aimed_at_and_no_kill_waits_for_ever() -> None:
    """Each kill aims at a place that has the fewest; after enough other moments any will do."""
    kills = Kills(seed=3, wanted=8, orders=80)
    aims = []
    for _ in range(8):
        aims.append(kills.aimed)
        while not kills.wants(AT[kills.aimed], answered=80):
            assert kills.patience > 0
        kills.count(1, {"order-1": kills.aimed})
    assert set(aims[:4]) == set(PLACES)
    assert kills.over
    stubborn = Kills(seed=3, wanted=8, orders=80)
    other = next(place for place in PLACES if place != stubborn.aimed)
    assert any(stubborn.wants(AT[other], answered=80) for _ in range(PATIENCE + 4))


def test_kills_are_spread_over_the_run() -> None:
    """No kill before its share of the orders is done; all before the end."""
    kills = Kills(seed=1, wanted=24, orders=300)
    assert not kills.wants(AT[kills.aimed], answered=0)
    assert [kills.due_at(n) for n in range(24)] == sorted(kills.due_at(n) for n in range(24))
    assert kills.due_at(0) > 0
    assert kills.due_at(23) < 290


def test_a_repeated_call_is_a_retry_and_what_it_did_not_do_is_absorbed() -> None:
    """A second call of the same op is a retry; that its effect isn't run again is the barrier's doing."""
    tally = Tally()
    for message in (said("before", "reserve"), said("after", "reserve"), said("before", "reserve", attempt=2),
                    said("after", "reserve", attempt=2, ran=False), said("repeat", "reserve", ran=False)):  # fmt: skip
        tally.hear(message)
    assert (tally.retries, tally.absorbed, tally.twice) == (1, 2, [])


def test_what_never_ran_is_no_duplicate() -> None:
    """An undo with nothing to undo, and a do that its undo made impossible, absorb nothing."""
    tally = Tally()
    tally.hear(said("after", "reserve", "compensate", ran=False))
    tally.hear(said("repeat", "reserve", ran=False, word="refused", reason="sealed: the branch was undone"))
    assert tally.absorbed == 0


def test_an_effect_that_is_kept_twice_is_seen() -> None:
    """Two calls of one op that both ran and were kept speak against the barrier."""
    tally = Tally()
    tally.hear(said("after", "reserve"))
    tally.hear(said("after", "reserve", attempt=2))
    assert len(tally.twice) == 1


def test_an_order_told_two_things_is_seen() -> None:
    """An answer that differs from the first speaks against the log."""
    tally = Tally()
    answer = {"at": "answer", "order": "1", "state": "confirmed", "reason": ""}
    for told in (answer, answer, {**answer, "state": "cancelled"}):
        tally.hear(told)
    assert len(tally.changed) == 1
