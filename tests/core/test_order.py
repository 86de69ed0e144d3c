"""Steps are ordered by what they wait for, around at most one pivot; what can't be names the step and the cure."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.core import limits
from troth.core.order import Disorder, Item, arrange
from troth.core.words import Role

C, P, R = Role.COMPENSABLE, Role.PIVOT, Role.RETRIABLE


def test_each_stands_after_those_it_waits_for() -> None:
    """Later declared steps may be waited for; declaration order holds where it can."""
    items = [Item("c", R, ("p",)), Item("a", C), Item("p", P, ("b", "a")), Item("b", C, ("a",))]
    order = arrange(items)
    assert [items[n].name for n in order.sequence] == ["a", "b", "p", "c"]
    assert order.pivot == 2


def test_independent_steps_keep_their_order() -> None:
    """Parallel steps stand as they were declared."""
    assert arrange([Item("x", C), Item("a", C), Item("m", R)]).sequence == (0, 1, 2)


@pytest.mark.parametrize(
    ("items", "step", "words"),
    [
        ([], "", "there are no steps. Add one"),
        (
            [Item(str(n), C) for n in range(limits.BRANCHES + 1)],
            "",
            r"1001 steps are more than BRANCHES \(1000\). Split",
        ),
        ([Item("a", C), Item("a", C)], "a", "step a is there twice. Give each"),
        (
            [Item("a", C, ("x",)), Item("b", C)],
            "a",
            "step a waits for x, which is not in the graph. Add it, or name one of: a, b",
        ),
        ([Item("a", C, ("a",))], "a", "step a waits for itself: a → a. Remove one"),
        (
            [Item("z", C, ("a",)), Item("a", C, ("c",)), Item("b", C, ("a",)), Item("c", C, ("b",))],
            "a",
            "step a waits for itself: a → c → b → a. Remove one",
        ),
        (
            [Item("a", P), Item("b", P, ("a",))],
            "b",
            "step b is a second pivot beside a.*Make the earlier one compensable",
        ),
        (
            [Item("a", C), Item("p", P)],
            "a",
            "step a is compensable but does not stand before the pivot p. Let p wait for it",
        ),
        ([Item("p", P), Item("a", C, ("p",))], "a", "step a is compensable but does not stand before the pivot p"),
        ([Item("p", P), Item("r", R)], "r", "step r is retriable but does not stand after the pivot p. Add after=p"),
        ([Item("r", R), Item("p", P, ("r",))], "r", "step r is retriable but does not stand after the pivot p"),
        (
            [Item("r", R), Item("a", C, ("r",))],
            "a",
            "step a is compensable but waits for r, which is retriable.*Give it role",
        ),
        ([Item("r", R), Item("q", R, ("r",)), Item("a", C, ("q",))], "a", "step a is compensable but waits for q"),
        ([Item("a", Role.LOCAL)], "a", "step a has the role local"),
    ],
)
def test_disorder_names_the_step_and_the_cure(items: list[Item], step: str, words: str) -> None:
    """Unknown, circular and doubled steps, second pivots and steps on the wrong side of it are refused (B22)."""
    with pytest.raises(Disorder, match=words) as caught:
        arrange(items)
    assert caught.value.step == step
    assert caught.value.cure


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sets(st.integers(0, 9), max_size=4), min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_any_acyclic_graph_is_ordered(edges: list[set[int]], random: object) -> None:
    """Every graph whose edges all go one way is put into an order that respects them, however it is declared."""
    size = len(edges)
    names = list(range(size))
    random.shuffle(names)  # type: ignore[attr-defined]
    items = [
        Item(str(n), C, tuple(str(e) for e in sorted(after) if e < size and names.index(e) < names.index(n)))
        for n, after in enumerate(edges)
    ]
    order = arrange(items)
    assert sorted(order.sequence) == list(range(size))
    position = {n: at for at, n in enumerate(order.sequence)}
    assert all(position[int(earlier)] < position[n] for n, item in enumerate(items) for earlier in item.after)
