"""Ids that are none, and ids that belong to something else: refused at the door, nothing is written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.bad_input.shop import Shop, log_of, order
from troth import AlreadyBegun, GidConflict, LimitExceeded, PayloadError, UnknownTransaction

Begin = Callable[[Shop, Any], Any]
WAYS: list[Begin] = [
    lambda shop, gid: shop.app.run(shop.place_order, order(), gid=gid),
    lambda shop, gid: shop.app.start(shop.place_order, order(), gid=gid),
    lambda shop, gid: shop.place_order.options(gid=gid)(order()),
    lambda shop, gid: asyncio.run(shop.app.aio.run(shop.place_order, order(), gid=gid)),
]
"""Ways to begin with a gid."""


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_a_gid_of_129_characters(shop: Shop, way: int) -> None:
    """128 are allowed; the limit and the cure are named."""
    with pytest.raises(LimitExceeded) as caught:
        WAYS[way](shop, "g" * 129)
    assert "GID_LENGTH: 129 is more than 128" in str(caught.value)
    assert "Use a shorter key, or a hash of it" in str(caught.value)
    assert (caught.value.limit, caught.value.value, caught.value.maximum) == ("GID_LENGTH", 129, 128)
    assert log_of(shop.path) == {} and not shop.happened
    assert shop.app.run(shop.place_order, order(), gid="g" * 128).state == "confirmed"


@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("gid", ["order 1", "..", ".", "", "-1", "a/b", "a\n", "größe", "a\0b"])
def test_a_gid_with_other_characters(shop: Shop, way: int, gid: str) -> None:
    """It stands in URLs and file names: letters, digits and a few signs, a letter or digit first."""
    with pytest.raises(PayloadError) as caught:
        WAYS[way](shop, gid)
    assert caught.value.field == "gid"
    assert "Use 1 to 128 letters, digits and . _ : - only, a letter or digit first" in str(caught.value)
    assert log_of(shop.path) == {} and not shop.happened


def test_a_gid_that_is_no_text(shop: Shop) -> None:
    """Its type is named, and how to make it a text."""
    wrong: Any = 1
    with pytest.raises(PayloadError, match=r'gid: a gid is a str, not int\. Make it one, e\.g\. gid=f"order-'):
        shop.app.run(shop.place_order, order(), gid=wrong)
    assert log_of(shop.path) == {}


def test_a_gid_made_by_the_definition_is_checked_too(shop: Shop) -> None:
    """``gid=`` of the saga."""

    @shop.app.saga(name="other", gid=lambda text: f"order {text}")
    def other(text: str) -> None: ...

    with pytest.raises(PayloadError, match="gid: 'order 1' is no gid"):
        other("1")
    assert log_of(shop.path) == {}


@pytest.mark.parametrize("ask", ["attach", "get", "retry"])
def test_asking_for_a_gid_that_is_none(shop: Shop, ask: str) -> None:
    """The same words; one that is merely unknown is another error."""
    with pytest.raises(PayloadError, match=r"gid: '\.\.' is no gid"):
        getattr(shop.app, ask)("..")
    with pytest.raises(UnknownTransaction, match="no transaction order-9 in this log"):
        shop.app.attach("order-9").result(timeout=30)


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_the_same_gid_with_other_content_after_the_end(shop: Shop, way: int) -> None:
    """The first one stands; the conflict says what differs. The same content again is the same transaction."""
    assert shop.app.run(shop.place_order, order(2), gid="order-1").result == 2
    before = log_of(shop.path)
    with pytest.raises(GidConflict) as caught:
        WAYS[way](shop, "order-1")
    assert caught.value.gid == "order-1"
    assert "already belongs to a transaction with other content (its input differs)" in str(caught.value)
    assert "Use another gid, or the same input" in str(caught.value)
    assert log_of(shop.path) == before and shop.happened == {("reserve", 2): 1}
    assert shop.app.run(shop.place_order, order(2), gid="order-1").result == 2
    assert shop.happened == {("reserve", 2): 1}


def test_the_same_gid_of_another_saga(shop: Shop) -> None:
    """What it runs is named."""

    @shop.app.saga(name="other")
    def other(order: Any) -> None: ...

    shop.place_order(order(1))
    with pytest.raises(GidConflict, match="it runs place-order"):
        shop.app.run(other, 1, gid="order-1")


def test_the_same_gid_with_other_content_while_the_first_runs(shop: Shop) -> None:
    """Neither waits for the other; the first one ends as if nobody had asked."""
    here, go = threading.Event(), threading.Event()

    @shop.app.step(name="wait", guarded=True, compensate=None)
    def wait(n: int) -> int:
        here.set()
        assert go.wait(30)
        return n

    @shop.app.saga(name="slow")
    def slow(n: int) -> int:
        return wait(n)

    handle = shop.app.start(slow, 1, gid="slow-1")
    assert here.wait(30)
    with pytest.raises(GidConflict):
        shop.app.run(slow, 2, gid="slow-1")
    with pytest.raises(GidConflict):
        shop.app.start(slow, 2, gid="slow-1")
    go.set()
    assert handle.result(timeout=30) == 1
    assert [record.state for record in log_of(shop.path).values()] == ["confirmed"]


def test_the_same_gid_of_a_graph_with_other_content(shop: Shop) -> None:
    """A graph's accept finds the gid taken when it is written."""
    graph: Any = shop.app.graph("pick", input=int)
    graph.step(shop.reserve, args={"order": graph.input, "lines": []})
    assert shop.app.run(graph, 1, gid="graph-1").state == "confirmed"
    with pytest.raises(GidConflict, match="its input differs"):
        shop.app.run(graph, 2, gid="graph-1")
    assert shop.happened == {("reserve", 1): 1}


def test_retry_of_what_has_ended(shop: Shop) -> None:
    """There is nothing to retry; its outcome is told."""
    shop.place_order(order())
    with pytest.raises(AlreadyBegun, match="order-1 was already begun; it ended confirmed"):
        shop.app.retry("order-1")
