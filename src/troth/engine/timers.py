"""One timer heap for a node: deadlines, retries and call timeouts. What is moved or cancelled is dropped later, by the way."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, Protocol


class Timed(Protocol):
    """Something with a time."""

    due: int


class Alarm:
    """A timer of a node's own.

    :param ring: called when it is due.
    """

    __slots__ = ("due", "ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self.due = 0
        self.ring = ring


class Timers:
    """A heap with lazy deletion, rebuilt when most of it is stale."""

    def __init__(self) -> None:
        self._heap: list[list[Any]] = []
        """Entries: [due, number, item, or None once it is cancelled or moved]."""
        self._planned: dict[int, list[Any]] = {}
        """The entry of each item that is planned, by the item's identity."""
        self._seq = 0

    def plan(self, item: Timed) -> bool:
        """Plan the item for its ``due`` (not 0), instead of what was planned for it.

        True if its entry is the heap's first now; behind a stale one it needn't be looked at before that one's time.
        """
        self.cancel(item)
        self._seq += 1
        entry = self._planned[id(item)] = [item.due, self._seq, item]
        heapq.heappush(self._heap, entry)
        return self._heap[0] is entry

    def cancel(self, item: Timed) -> None:
        """The item's planned time, if any, no longer holds."""
        entry = self._planned.pop(id(item), None)
        if entry is not None:
            entry[2] = None
            if len(self._heap) > 1024 and len(self._heap) > len(self._planned) * 4:
                self._heap = [each for each in self._heap if each[2] is not None]
                heapq.heapify(self._heap)

    def first(self) -> int:
        """When the first is due, in microseconds; 0: none."""
        heap = self._heap
        while heap and heap[0][2] is None:
            heapq.heappop(heap)
        due: int = heap[0][0] if heap else 0
        return due

    def pop_due(self, now: int) -> Timed | None:
        """Take the first item if it is due."""
        first = self.first()
        if first and first <= now:
            item: Timed = heapq.heappop(self._heap)[2]
            del self._planned[id(item)]
            return item
        return None

    def __len__(self) -> int:
        return len(self._planned)
