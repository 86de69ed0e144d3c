"""When to kill, and where each kill hit.

The parent hears from the steps what they are about to do and have done (`examples.orders.network`). Which of these
moments gets a SIGKILL is drawn from the seed. A moment is only aimed at; what a kill has hit is read from the log and
the databases, as they were when the process died.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from examples.orders.evidence import AFTER_ACCEPT, AFTER_EFFECT, IN_COMPENSATION, PAST_PIVOT, PLACES, Evidence, Stored

Message = dict[str, Any]

PATIENCE = 120
"""Messages after which a kill takes any moment instead of the one aimed at."""
LAST = 0.92
"""Part of the orders that are done when the last kill is due."""


class Kill(NamedTuple):
    """One SIGKILL.

    :param aimed: the place that the moment was picked for.
    :param places: where each transaction of the dead worker stood, by gid.
    :param counted: the one place that the kill counts for.
    """

    pid: int
    aimed: str
    places: dict[str, str]
    counted: str


def moment(message: Message) -> str | None:
    """The place that a process stands at when it says this."""
    at, op, step = message["at"], message.get("op"), message.get("step", "").rpartition(".")[2]
    if op == "compensate" and at in ("before", "after"):
        return IN_COMPENSATION
    if op != "action":
        return None
    if step == "notify" or (step == "charge" and at == "after" and message["word"] == "done"):
        return PAST_PIVOT if at in ("before", "after") else None
    if at == "after" and message["ran"] and message["word"] == "done":
        return AFTER_EFFECT
    return AFTER_ACCEPT if at == "before" and step == "create_order" and message["attempt"] == 1 else None


class Kills:
    """Which moments get a kill, and what the kills hit.

    :param wanted: how many, spread evenly over the run.
    :param orders: how many orders the run has.
    """

    def __init__(self, seed: int, wanted: int, orders: int) -> None:
        self.chance = random.Random(seed)
        self.wanted = wanted
        self.orders = orders
        self.done: list[Kill] = []
        self.by_place: Counter[str] = Counter(dict.fromkeys(PLACES, 0))
        self._aim()

    def _aim(self) -> None:
        fewest = min(self.by_place.values())
        self.aimed = self.chance.choice([place for place in PLACES if self.by_place[place] == fewest])
        self.passing = self.chance.randrange(4)
        self.patience = PATIENCE

    @property
    def over(self) -> bool:
        """All of them have been."""
        return len(self.done) >= self.wanted

    def due_at(self, number: int) -> float:
        """How many orders are done when the kill of that number (from 0) is due."""
        return (number + 0.3) * self.orders * LAST / self.wanted

    def wants(self, message: Message, answered: int) -> bool:
        """Shall the process that says this be killed now?"""
        if self.over or answered < self.due_at(len(self.done)):
            return False
        self.patience -= 1
        place = moment(message)
        if place is None or (place != self.aimed and self.patience > 0):
            return False
        self.passing -= 1
        return self.passing < 0

    def count(self, pid: int, places: dict[str, str]) -> Kill:
        """Count a kill, once: in that of the places it hit that has been hit least so far."""
        hit = set(places.values())
        counted = min((place for place in reversed(PLACES) if place in hit), key=lambda place: self.by_place[place])
        kill = Kill(pid, self.aimed, places, counted)
        self.by_place[counted] += 1
        self.done.append(kill)
        self._aim()
        return kill


class Takeovers:
    """From a SIGKILL to the last transaction of the dead process having another owner, as the log tells."""

    def __init__(self, evidence: Evidence, clock: Callable[[], float] = time.monotonic) -> None:
        self.evidence = evidence
        self.clock = clock
        self.waiting: list[tuple[float, int, frozenset[str]]] = []
        self.took: list[float] = []
        """Seconds."""

    def expect(self, node: int, orphans: list[Stored]) -> None:
        """A node was killed just now and leaves these."""
        self.waiting.append((self.clock(), node, frozenset(stored.gid for stored in orphans)))

    def look(self) -> None:
        """See what has been taken over since."""
        if not self.waiting:
            return
        owners = {stored.gid: stored.owner for stored in self.evidence.unfinished()}
        now = self.clock()
        still = []
        for since, node, gids in self.waiting:
            left = frozenset(gid for gid in gids if owners.get(gid) == node)
            if left:
                still.append((since, node, left))
            else:
                self.took.append(now - since)
        self.waiting = still
