"""The demo's choice of moments and victims, how a kill is counted, and what is counted of calls."""

from __future__ import annotations

import pytest

from examples.shop.demo.calls import Answer, Call
from examples.shop.demo.evidence import AFTER_ACCEPT, AFTER_EFFECT, IN_COMPENSATION, PAST_PIVOT, PLACES
from examples.shop.demo.kills import GATEWAY, KINDS, PATIENCE, Kills, moment
from examples.shop.demo.tally import Tally


def call(name: str, op: str = "action", service: str = "stock", attempt: int = 1) -> Call:
    """A call of one order's."""
    return Call(service, 0, "order-1", f"/{name}#1", op, name, attempt)


AT = {
    AFTER_ACCEPT: (call("create_order", service="orders"), None),
    AFTER_EFFECT: (call("Shelf", "try"), 200),
    PAST_PIVOT: (call("Shelf", "confirm"), None),
    IN_COMPENSATION: (call("reduce_stock", "compensate"), 200),
}


@pytest.mark.parametrize("place", PLACES)
def test_each_place_has_its_moments(place: str) -> None:
    """What passes on the network tells the place that a transaction stands at."""
    assert moment(*AT[place]) == place


def test_other_calls_are_no_moments() -> None:
    """Neither a refusal, nor a call between two effects, nor one that is made again."""
    assert moment(call("charge"), 409) is None
    assert moment(call("reduce_stock"), None) is None
    assert moment(call("create_order", attempt=2), None) is None
    assert moment(call("reduce_stock", "check"), 200) is None


def test_a_loaded_parcel_is_past_the_pivot() -> None:
    """From the pivot's effect on the order goes through, and so it does when its letter is written."""
    assert moment(call("ship", service="logistics"), 200) == PAST_PIVOT
    assert moment(call("notify", service="notification"), None) == PAST_PIVOT


def test_a_kill_counts_once_in_the_place_hit_least() -> None:
    """A dead process leaves transactions at several places; the kill counts for the one that has the fewest."""
    kills = Kills(seed=1, wanted=10, orders=100, gateways=3)
    everywhere = dict(enumerate(PLACES))
    counted = [kills.count("stock", "stock", {str(n): place for n, place in everywhere.items()}).counted for _ in range(8)]
    assert counted[0] == IN_COMPENSATION
    assert kills.by_place == dict.fromkeys(PLACES, 2)
    assert kills.count("gateway-1", GATEWAY, {"order-1": AFTER_ACCEPT}).counted == AFTER_ACCEPT
    assert kills.by_process == {"gateway-1": 1, "stock": 8}


def test_every_kind_of_process_is_aimed_at_by_its_number() -> None:
    """Each kill aims at those killed the least: three gateway processes get three times what a service gets."""
    kills = Kills(seed=3, wanted=16, orders=100, gateways=3)
    for _ in range(16):
        kills.count(kills.kind, kills.kind, {"order-1": kills.place})
    assert kills.by_kind == {kind: 6 if kind == GATEWAY else 2 for kind in KINDS}
    assert kills.over


def test_a_kill_waits_for_its_moment_and_its_process_but_not_for_ever() -> None:
    """No other place at first, then any, and at last any process that a call goes to."""
    kills = Kills(seed=3, wanted=8, orders=80, gateways=1)
    kills.kind, kills.place, kills.passing = "payment", AFTER_EFFECT, 0
    assert kills.wants(*AT[PAST_PIVOT], answered=80) is None
    assert kills.wants(call("Wallet", "try", "payment"), 200, answered=80) == "payment"
    kills.passing = 0
    asked = [kills.wants(*AT[PAST_PIVOT], answered=80) for _ in range(2 * PATIENCE)]
    assert asked[0] is None
    assert "stock" in asked


def test_kills_are_spread_over_the_run() -> None:
    """No kill before its share of the orders is done; all before the end."""
    kills = Kills(seed=1, wanted=24, orders=300, gateways=3)
    assert kills.wants(*AT[kills.place], answered=0) is None
    assert [kills.due_at(n) for n in range(24)] == sorted(kills.due_at(n) for n in range(24))
    assert kills.due_at(0) > 0
    assert kills.due_at(23) < 290


def test_a_repeated_call_is_a_retry_and_its_second_answer_was_absorbed() -> None:
    """A second call of the same op is a retry, unless the network made it; what is answered twice had one effect."""
    tally = Tally()
    for attempt in (1, 2):
        tally.asked(call("charge", attempt=attempt), again=False)
        tally.said(Answer(call("charge", attempt=attempt), 200, b'"R1"'))
    tally.asked(call("charge"), again=True)
    tally.said(Answer(call("charge"), 503, b""))
    assert (tally.calls, tally.retries, tally.repeated, tally.absorbed, tally.differs) == (2, 1, 1, 1, [])


def test_another_answer_to_the_same_call_is_seen() -> None:
    """A second effect shows in its answer: it speaks against the barrier."""
    tally = Tally()
    tally.said(Answer(call("charge"), 200, b'"R1"'))
    tally.said(Answer(call("charge"), 200, b'"R2"'))
    assert len(tally.differs) == 1


def test_an_order_told_two_things_is_seen() -> None:
    """An answer that differs from the first speaks against the log."""
    tally = Tally()
    for status in ("accepted", "accepted", "cancelled"):
        tally.told("1", status, "")
    assert len(tally.changed) == 1
