"""Virtual time: one heap of (time, order, callback), whole microseconds, one thread; everything is planned."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from troth.testing.simulation.chance import Chance
from troth.testing.simulation.faults import Faults

START = 1_700_000_000_000_000
"""When virtual time begins, in microseconds since the Unix epoch: large enough to look like one."""
SECOND = 1_000_000
MS = 1_000
EVENTS = 300_000
"""More events than any run needs: a run that reaches it goes round in a circle."""


class Violation(AssertionError):
    """A promise was broken. The message begins with its name."""


class Process(Protocol):
    """Something whose callbacks stop when it dies and wait while it is paused."""

    dead: bool
    paused: bool
    deferred: list[tuple[Callable[..., None], tuple[Any, ...]]]


class World:
    """The clock, the planned callbacks, chance, faults, and what is noted.

    :param traced: keep a readable line for each thing that happens.
    :ivar seen: how often each rare situation was met.
    """

    def __init__(self, chance: Chance, faults: Faults, *, traced: bool = False) -> None:
        self.now = START
        self.chance = chance
        self.faults = faults
        self.traced = traced
        self.lines: list[str] = []
        self.seen: Counter[str] = Counter()
        self.violations: list[str] = []
        self.salt = 0
        """What the times that a fault takes are drawn by, beside the seed: another one is another time."""
        self.events = 0
        self._heap: list[tuple[int, int, Process | None, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0

    def after(self, delay: int, process: Process | None, do: Callable[..., None], *args: Any) -> None:
        """Plan a callback ``delay`` microseconds from now, for a process or (None) for the world."""
        self._order += 1
        heappush(self._heap, (self.now + delay, self._order, process, do, args))

    def at(self, when: int, process: Process | None, do: Callable[..., None], *args: Any) -> None:
        """Plan a callback for a time; one that has passed is now."""
        self.after(max(0, when - self.now), process, do, *args)

    def run(self, until: int, enough: Callable[[], bool] | None = None) -> bool:
        """Let time pass up to ``until``, or until ``enough`` says so; True if it did."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            when, _, process, do, args = heappop(heap)
            if process is not None:
                if process.dead:
                    continue
                if process.paused:
                    process.deferred.append((do, args))
                    continue
            self.now = when
            self.events += 1
            if self.events > EVENTS:
                raise Violation(f"L1: {EVENTS} events and no end")
            do(*args)
            if enough is not None and enough():
                return True
        self.now = max(self.now, until)
        return False

    def delay(self, low: int, high: int, site: str, key: int = 0) -> int:
        """A drawn time, in microseconds, from low to high."""
        return self.chance.between(low, high, site, key)

    def spell(self, low: int, high: int, site: str, key: int = 0) -> int:
        """How long a fault lasts, in microseconds."""
        return self.chance.between(low, high, site, key ^ self.salt)

    def note(self, actor: str, what: str) -> None:
        """A line of the trace."""
        if self.traced:
            self.lines.append(f"{(self.now - START) / SECOND:12.6f}  {actor:<12} {what}")

    def sometimes(self, what: str) -> None:
        """A rare situation was met: a campaign that never meets it tests less than it says."""
        self.seen[what] += 1

    def broken(self, promise: str, what: str) -> None:
        """A promise is broken; the run goes on, so that all of it can be read."""
        self.violations.append(f"{promise}: {what}")
        self.note("VIOLATION", f"{promise}: {what}")

    def digest(self) -> str:
        """A hash of the trace."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()
