"""One timer heap for a node: deadlines, retries and call timeouts. What is moved or cancelled is dropped later, by the way."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol


class Timed(Protocol):
    """Something with a time. Setting ``due`` to another value (0: none) cancels what was planned."""

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
        self._heap: list[tuple[int, int, Timed]] = []
        self._seq = 0
        self._stale = 0

    def plan(self, item: Timed) -> bool:
        """Plan the item for its ``due`` (not 0). True if it is now the first."""
        self._seq += 1
        heapq.heappush(self._heap, (item.due, self._seq, item))
        return self._heap[0][2] is item

    def cancelled(self) -> None:
        """An item's planned time no longer holds."""
        self._stale += 1
        if self._stale > 8192 and self._stale * 3 > len(self._heap) * 2:
            self._heap = [entry for entry in self._heap if entry[2].due == entry[0]]
            heapq.heapify(self._heap)
            self._stale = 0

    def first(self) -> int:
        """When the first is due, in microseconds; 0: none."""
        heap = self._heap
        while heap and heap[0][2].due != heap[0][0]:
            heapq.heappop(heap)
            self._stale = max(0, self._stale - 1)
        return heap[0][0] if heap else 0

    def pop_due(self, now: int) -> Timed | None:
        """Take the first item if it is due."""
        first = self.first()
        if first and first <= now:
            return heapq.heappop(self._heap)[2]
        return None

    def __len__(self) -> int:
        return len(self._heap)
