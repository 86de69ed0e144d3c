"""The timer heap: what was moved or cancelled doesn't ring, and isn't kept."""

from __future__ import annotations

import gc
import weakref

from troth.engine.timers import Timers


class Item:
    """Something with a time."""

    def __init__(self, due: int) -> None:
        self.due = due


def test_items_ring_in_the_order_of_their_times() -> None:
    """The earliest is taken first, and none before its time."""
    timers, items = Timers(), [Item(30), Item(10), Item(20)]
    assert [timers.plan(item) for item in items] == [True, True, False]
    assert timers.first() == 10
    assert timers.pop_due(9) is None
    assert [timers.pop_due(25), timers.pop_due(25), timers.pop_due(25)] == [items[1], items[2], None]
    assert len(timers) == 1


def test_a_moved_item_rings_once_at_its_new_time() -> None:
    """Planning again takes the place of the earlier plan."""
    timers, item = Timers(), Item(10)
    timers.plan(item)
    item.due = 20
    timers.plan(item)
    assert timers.first() == 20
    assert timers.pop_due(15) is None
    assert timers.pop_due(20) is item
    assert timers.pop_due(100) is None


def test_a_cancelled_item_is_let_go_of() -> None:
    """The heap keeps an entry for a while, never the item: an ended transaction's memory is free at once."""
    timers, first, item = Timers(), Item(1), Item(10)
    timers.plan(first)
    timers.plan(item)
    timers.cancel(item)
    gone = weakref.ref(item)
    del item
    gc.collect()
    assert gone() is None
    assert timers.pop_due(100) is first
    assert timers.first() == 0


def test_stale_entries_are_swept_out() -> None:
    """The heap stays near the size of what is planned."""
    timers, kept = Timers(), Item(10**9)
    timers.plan(kept)
    for number in range(5000):
        item = Item(10**6 + number)
        timers.plan(item)
        timers.cancel(item)
    assert len(timers) == 1
    assert len(timers._heap) < 1100
    assert timers.first() == kept.due
