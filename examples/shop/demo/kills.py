"""When to kill whom, and where each kill hit.

What passes between the gateway and its services is seen on the way (`examples.shop.demo.proxy`): that is when a process
is in the midst of something. Which of these moments gets a SIGKILL is drawn from the seed. A moment is only aimed at; what
a kill has hit is read from the log and the databases, as they were when the process died.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from examples.shop.demo.calls import Call
from examples.shop.demo.evidence import AFTER_ACCEPT, AFTER_EFFECT, IN_COMPENSATION, PAST_PIVOT, PLACES, Evidence, Stored
from examples.shop.settings import SERVICES

GATEWAY = "gateway"
KINDS = (GATEWAY, *SERVICES)
FIRST = frozenset({"create_order", "Entry"})
"""What a transaction begins with."""
PATIENCE = 60
"""Moments after which a kill takes any place, and twice as many after which any process, instead of those aimed at."""
LAST = 0.92
"""Part of the orders that are done when the last kill is due."""


class Kill(NamedTuple):
    """One SIGKILL.

    :param process: which was killed: ``stock``, ``gateway-2``.
    :param places: where each transaction that it was at stood, by gid.
    :param counted: the one place that the kill counts for.
    """

    process: str
    places: dict[str, str]
    counted: str


def moment(call: Call, status: int | None) -> str | None:
    """The place that a transaction stands at when a call is made (None) or answered."""
    if call.op in ("compensate", "cancel"):
        return IN_COMPENSATION
    if call.op == "confirm" or call.name == "notify" or (call.name == "ship" and status == 200):
        return PAST_PIVOT
    if call.op not in ("action", "try"):
        return None
    if status == 200:
        return AFTER_EFFECT
    return AFTER_ACCEPT if status is None and call.name in FIRST and call.attempt == 1 else None


class Kills:
    """Which moments get a kill, whom it hits, and what it hit.

    :param wanted: how many, spread evenly over the run.
    :param orders: how many orders the run has.
    :param gateways: how many processes the gateway has.
    """

    def __init__(self, seed: int, wanted: int, orders: int, gateways: int) -> None:
        self.chance = random.Random(seed)
        self.wanted = wanted
        self.orders = orders
        self.gateways = gateways
        self.done: list[Kill] = []
        self.by_place: Counter[str] = Counter(dict.fromkeys(PLACES, 0))
        self.by_kind: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self._aim()

    @property
    def by_process(self) -> dict[str, int]:
        """Kills by process."""
        return dict(sorted(Counter(kill.process for kill in self.done).items()))

    def _aim(self) -> None:
        self.place = self.chance.choice(_fewest(self.by_place))
        shares = {kind: count / (self.gateways if kind == GATEWAY else 1) for kind, count in self.by_kind.items()}
        self.kind = self.chance.choice(_fewest(shares))
        self.passing = self.chance.randrange(3)
        self.patience = 2 * PATIENCE

    @property
    def over(self) -> bool:
        """All of them have been."""
        return len(self.done) >= self.wanted

    def due_at(self, number: int) -> float:
        """How many orders are done when the kill of that number (from 0) is due."""
        return (number + 0.3) * self.orders * LAST / self.wanted

    def wants(self, call: Call, status: int | None, answered: int) -> str | None:
        """Shall a process be killed now that this call is made (None) or answered? The gateway, or the call's service."""
        if self.over or answered < self.due_at(len(self.done)):
            return None
        self.patience -= 1
        place = moment(call, status)
        if place is None or (place != self.place and self.patience > PATIENCE):
            return None
        kind = self.kind if self.patience > 0 else call.service
        if kind not in (GATEWAY, call.service):
            return None
        self.passing -= 1
        return kind if self.passing < 0 else None

    def count(self, process: str, kind: str, places: dict[str, str]) -> Kill:
        """Count a kill, once: in that of the places it hit that has been hit least so far."""
        hit = set(places.values())
        counted = min((place for place in reversed(PLACES) if place in hit), key=lambda place: self.by_place[place])
        kill = Kill(process, places, counted)
        self.by_place[counted] += 1
        self.by_kind[kind] += 1
        self.done.append(kill)
        self._aim()
        return kill


def _fewest(counts: Mapping[str, float]) -> list[str]:
    return [name for name, count in counts.items() if count == min(counts.values())]


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
