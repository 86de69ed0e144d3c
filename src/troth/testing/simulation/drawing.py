"""Drawing programs, and editing them as a deploy would."""

from __future__ import annotations

from troth.testing.simulation.catalog import BARE, BARE_HOLDS, GUARDED, HOLDS, PIVOTS, SURE
from troth.testing.simulation.chance import Chance
from troth.testing.simulation.code import Holds
from troth.testing.simulation.programs import (
    Body,
    Call,
    Fail,
    Gather,
    Hurry,
    Inner,
    Item,
    Leave,
    Remember,
    Sleep,
    Spawn,
    Swallow,
)


class Author:
    """Writes one program by chance.

    :param bare: may it call bare steps?
    """

    def __init__(self, chance: Chance, number: int, *, bare: bool) -> None:
        self.chance = chance
        self.number = number
        self.bare = bare
        self.calls = 0

    def program(self) -> Body:
        """Compensable calls; perhaps a pivot and sure calls after it; perhaps an error of its own."""
        chance, key = self.chance, self.number
        items = self.body(chance.between(1, 4, "program size", key), 0)
        if chance.happens(0.2, "begins late", key):
            items = (Sleep(chance.pick((30_000, 700_000, 2_000_000), "begins after", key)), *items)
        if chance.happens(0.45, "program pivot", key):
            pivots = PIVOTS if self.bare else PIVOTS[:2]
            other = (self.call(GUARDED),) if chance.happens(0.2, "pivot other", key) else None
            items = (*items, Call(chance.pick(pivots, "program pivot step", key), self.next(), False, other))
            if other is None or chance.happens(0.5, "pivot after other", key):
                items = (*items, *self.tail())
        elif chance.happens(0.15, "program fails", key):
            items = (*items, Fail())
        return items

    def tail(self) -> Body:
        """What comes after the pivot."""
        chance, key = self.chance, self.number
        tail: list[Item] = []
        for _ in range(chance.between(0, 2, "tail size", key)):
            steps = (*SURE, "print") if self.bare else SURE
            if chance.happens(0.2, "tail spawn", key):
                tail.append(Spawn(chance.pick(steps, "tail step", key), self.next()))
            else:
                tail.append(Call(chance.pick(steps, "tail step", key), self.next(), chance.happens(0.3, "tail uses", key)))
        if chance.happens(0.08, "tail fails", key):
            tail.append(Fail())
        return tuple(tail)

    def body(self, size: int, depth: int) -> Body:
        """So many items."""
        return tuple(item for _ in range(size) for item in self.item(depth))

    def item(self, depth: int) -> Body:
        """One thing to do."""
        chance, key = self.chance, self.number
        kind = chance.below(100, "item kind", key)
        if depth < 2 and kind < 14:
            parts = tuple(self.body(chance.between(1, 2, "part size", key), depth + 1) for _ in range(2))
            return (Gather(parts, self.other(depth, 0.3)),)
        if depth < 2 and kind < 24:
            return (Inner(self.body(chance.between(1, 2, "inner size", key), depth + 1), self.other(depth, 0.6)),)
        if kind < 30:
            return (Remember(),)
        if kind < 38:
            return (Sleep(chance.pick((500, 20_000, 700_000, 2_500_000), "sleep", key)),)
        if kind < 43:
            return (Spawn(chance.pick(GUARDED, "spawn", key), self.next()),)
        if depth < 2 and kind < 49:
            return (Swallow(self.body(1, depth + 1)),)
        if kind < 51:
            return (Fail(),) if depth else ()
        return (self.call(self.steps(), self.other(depth, 0.35)),)

    def steps(self) -> tuple[str, ...]:
        """Guarded steps, now and then bare ones."""
        return BARE if self.bare and self.chance.happens(0.2, "call bare", self.number) else GUARDED

    def call(self, steps: tuple[str, ...], other: Body | None = None) -> Call:
        """A call of one of the steps."""
        uses = self.chance.happens(0.3, "call uses", self.number)
        return Call(self.chance.pick(steps, "call step", self.number), self.next(), uses, other)

    def other(self, depth: int, probability: float) -> Body | None:
        """Another way, or none."""
        if depth >= 2 or not self.chance.happens(probability, "other way", self.number):
            return None
        return self.body(self.chance.below(2, "other size", self.number), depth + 1)

    def hold(self, steps: tuple[str, ...]) -> Item:
        """One thing that an initiator does."""
        chance, key = self.chance, self.number
        step = chance.pick(steps, "hold step", key)
        kind = chance.below(100, "hold kind", key)
        if kind < 15:
            return Gather(tuple((Call(chance.pick(steps, "hold step", key), self.next()),) for _ in range(2)))
        if kind < 25:
            return Swallow((Hurry(step, self.next(), chance.pick((1_000, 20_000, 200_000), "hurries", key)),))
        if kind < 45:
            return Swallow((Call(step, self.next()),))
        if kind < 55:
            return Spawn(step, self.next())
        if kind < 62:
            return Sleep(chance.pick((500, 20_000, 700_000, 2_500_000), "hold sleeps", key))
        return Call(step, self.next(), chance.happens(0.3, "hold uses", key))

    def next(self) -> int:
        """Each call has its own number in its arguments."""
        self.calls += 1
        return self.calls


def drawn_holds(chance: Chance, number: int, *, bare: bool) -> Holds:
    """A TCC: declared, or what an initiator does, careless code included."""
    steps = (*HOLDS, *BARE_HOLDS) if bare and chance.happens(0.3, "holds bare", number) else HOLDS
    timeout = chance.pick((0.8, 2.0, 5.0), "holds timeout", number)
    size = chance.between(1, 3, "holds size", number)
    if number % 2:
        return Holds("declared", tuple(chance.pick(steps, "holds step", number) for _ in range(size)), timeout=timeout)
    author = Author(chance, 100 + number, bare=False)
    items = [author.hold(steps) for _ in range(size)]
    if chance.happens(0.15, "holds fails", number):
        items.append(Fail())
    return Holds("open", body=tuple(items), timeout=timeout)


def edited(body: Body, chance: Chance, number: int) -> Body:
    """The program as a deploy leaves it: a call dropped, added, swapped, its arguments changed, or an early return.

    What comes after a pivot is only edited with sure steps.
    """
    items = list(body)
    pivot = next((i for i, item in enumerate(items) if isinstance(item, Call) and item.step in PIVOTS), len(items))
    at = chance.below(len(items) + 1, "edit at", number)
    what = chance.pick(("drop", "add", "swap", "arguments", "leave"), "edit", number)
    if what == "add" or not items:
        steps = SURE if at > pivot else GUARDED
        items.insert(at, Call(chance.pick(steps, "edit step", number), 900 + number))
    elif what == "leave":
        items.insert(at, Leave())
    elif what == "drop":
        del items[min(at, len(items) - 1)]
    elif what == "swap" and len(items) > 1 and min(at, len(items) - 2) + 1 < pivot:
        first = min(at, len(items) - 2)
        items[first], items[first + 1] = items[first + 1], items[first]
    else:
        first = min(at, len(items) - 1)
        item = items[first]
        items[first] = item._replace(number=800 + number) if isinstance(item, Call | Spawn) else Remember()
    return tuple(items)
