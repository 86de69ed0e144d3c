"""The order of a declared saga's steps: a directed acyclic graph around at most one pivot.

The pivot is the step after which there is no way back (Richardson's term; in Garcia-Molina and Salem's *Sagas*, SIGMOD
1987, the last compensable step's successor). A step beside the pivot would be neither before nor after it: the pivot
done and that step refused could go nowhere. So every compensable step is an ancestor of the pivot and every retriable
one its descendant (B22). Without a pivot, the decision is that all compensable steps are done, so none may wait for a
retriable one.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from troth.core import limits
from troth.core.words import Role


class Item(NamedTuple):
    """One step as its order is concerned.

    :param name: unique among them, as errors name it.
    :param after: names of those it waits for.
    """

    name: str
    role: Role
    after: tuple[str, ...] = ()


class Order(NamedTuple):
    """A checked order.

    :param sequence: indexes of the items, each after those it waits for; declaration order where that allows.
    :param pivot: index of the pivot, or -1.
    """

    sequence: tuple[int, ...]
    pivot: int


class Disorder(ValueError):
    """Steps that can't be ordered.

    :param step: the step it is about, or "".
    :param problem: what is wrong.
    :param cure: what to do.
    """

    def __init__(self, step: str, problem: str, cure: str) -> None:
        super().__init__(f"step {step} {problem}. {cure}" if step else f"{problem}. {cure}")
        self.step = step
        self.problem = problem
        self.cure = cure


def arrange(items: Sequence[Item]) -> Order:
    """Put the steps into an order in which each stands after those it waits for, and check their roles.

    :raises Disorder: naming the step and the cure.
    """
    if len(items) > limits.BRANCHES:
        raise Disorder("", f"{len(items)} steps are more than BRANCHES ({limits.BRANCHES})", "Split the saga")
    if not items:
        raise Disorder("", "there are no steps", "Add one with .step(…)")
    after = _indexes(items)
    sequence = _sorted(items, after)
    for item in items:
        if item.role is Role.LOCAL:
            raise Disorder(
                item.name, "has the role local, which is never used in a saga", "Leave role= out, or give another"
            )
    pivots = [index for index, item in enumerate(items) if item.role is Role.PIVOT]
    if len(pivots) > 1:
        raise Disorder(
            items[pivots[1]].name,
            f"is a second pivot beside {items[pivots[0]].name}: only one step can be the point of no return",
            "Make the earlier one compensable, or the later one retriable",
        )
    if pivots:
        _check_around(items, sequence, after, pivots[0])
    else:
        _check_without_pivot(items, sequence, after)
    return Order(sequence, pivots[0] if pivots else -1)


def _indexes(items: Sequence[Item]) -> list[tuple[int, ...]]:
    """What each waits for, by index."""
    index = {item.name: n for n, item in enumerate(items)}
    if len(index) < len(items):
        names = [item.name for item in items]
        twice = next(name for name in names if names.count(name) > 1)
        raise Disorder(twice, "is there twice", "Give each its own name")
    after = []
    for item in items:
        for name in item.after:
            if name not in index:
                known = ", ".join(list(index)[:8])
                raise Disorder(
                    item.name, f"waits for {name}, which is not in the graph", f"Add it, or name one of: {known}"
                )
        after.append(tuple(dict.fromkeys(index[name] for name in item.after)))
    return after


def _sorted(items: Sequence[Item], after: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Kahn's algorithm (1962), the earliest declared first."""
    waits = [len(each) for each in after]
    before: list[list[int]] = [[] for _ in items]
    for n, each in enumerate(after):
        for earlier in each:
            before[earlier].append(n)
    ready = [n for n, count in enumerate(waits) if count == 0]
    heapify(ready)
    done: list[int] = []
    while ready:
        n = heappop(ready)
        done.append(n)
        for later in before[n]:
            waits[later] -= 1
            if waits[later] == 0:
                heappush(ready, later)
    if len(done) < len(items):
        circle = _circle(after, {n for n, count in enumerate(waits) if count})
        text = " → ".join(items[n].name for n in [*circle, circle[0]])
        raise Disorder(
            items[circle[0]].name, f"waits for itself: {text}", "Remove one after= or reference of the circle"
        )
    return tuple(done)


def _circle(after: list[tuple[int, ...]], stuck: set[int]) -> list[int]:
    """One circle among those that can't be sorted, in the order of waiting."""
    path: list[int] = []
    here = min(stuck)
    while here not in path:
        path.append(here)
        here = next(earlier for earlier in after[here] if earlier in stuck)
    return path[path.index(here) :]


def _check_around(items: Sequence[Item], sequence: tuple[int, ...], after: list[tuple[int, ...]], pivot: int) -> None:
    """Every compensable step before the pivot, every retriable one after it (B22)."""
    name = items[pivot].name
    ancestors: set[int] = set()
    todo = list(after[pivot])
    while todo:
        n = todo.pop()
        if n not in ancestors:
            ancestors.add(n)
            todo.extend(after[n])
    descendants = {pivot}
    for n in sequence:
        if any(earlier in descendants for earlier in after[n]):
            descendants.add(n)
    for n, item in enumerate(items):
        if item.role is Role.COMPENSABLE and n not in ancestors:
            raise Disorder(
                item.name,
                f"is compensable but does not stand before the pivot {name}",
                f'Let {name} wait for it (after=), or give it role="retriable" and after={name}',
            )
        if item.role is Role.RETRIABLE and n not in descendants:
            raise Disorder(
                item.name,
                f"is retriable but does not stand after the pivot {name}",
                f"Add after={name}, or make it compensable and let {name} wait for it",
            )


def _check_without_pivot(items: Sequence[Item], sequence: tuple[int, ...], after: list[tuple[int, ...]]) -> None:
    """No compensable step waits, directly or not, for a retriable one."""
    late: dict[int, int] = {n: n for n, item in enumerate(items) if item.role is Role.RETRIABLE}
    for n in sequence:
        found = next((late[earlier] for earlier in after[n] if earlier in late), None)
        if found is None:
            continue
        if items[n].role is Role.COMPENSABLE:
            raise Disorder(
                items[n].name,
                f"is compensable but waits for {items[found].name}, which is retriable and runs after the decision",
                'Give it role="retriable" too, or let it not wait for that step',
            )
        late.setdefault(n, found)
