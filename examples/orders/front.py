"""The shop's front: hands orders to the workers, kills workers, hands on what they leave, until all is answered."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from examples.orders.crew import Crew, Worker
from examples.orders.evidence import Evidence
from examples.orders.kills import Kills, Takeovers
from examples.orders.opening import Entry
from examples.orders.tally import Tally

STUCK = 60.0
"""Seconds without any answer after which the run is given up: twice the time that one transaction may take."""
TICK = 0.005
"""Seconds between two looks at what was taken over."""
LEAVE = 40.0
"""Seconds that the workers have to leave."""
FALLS = 5
"""Workers that may end by themselves before the run is given up."""


class GivenUpError(Exception):
    """The run can't come to an end."""


class Front:
    """One run, from the first order to the last worker's leaving.

    :param show: called now and then, for whoever looks on.
    """

    def __init__(
        self, crew: Crew, evidence: Evidence, entries: list[Entry], kills: Kills | None, show: Callable[[Front], None]
    ) -> None:
        self.crew = crew
        self.evidence = evidence
        self.orders = len(entries)
        self.waiting = deque(entries)
        self.kills = kills
        self.show = show
        self.tally = Tally()
        self.takeovers = Takeovers(evidence)
        self.fallen: list[str] = []
        """Workers that ended without being killed, with their last words."""
        self.again = 0
        """Orders handed to another worker because theirs was killed."""
        self.unfinished = 0
        self._moved = time.monotonic()

    @property
    def answered(self) -> int:
        """Orders whose outcome was told."""
        return len(self.tally.answers)

    def run(self) -> None:
        """Have every order answered, every transaction ended and every worker gone.

        :raises GivenUpError: if that doesn't come to pass.
        """
        while self.answered < self.orders or self.takeovers.waiting or not self._all_ended():
            self.turn()
        for _, messages in self.crew.dismiss(LEAVE):
            for message in messages:
                self.tally.hear(message)
        if self.crew.workers:
            raise GivenUpError(f"{len(self.crew.workers)} workers did not leave within {LEAVE:g} s")

    def turn(self) -> None:
        """Hand out, listen, look."""
        for worker in self.crew.workers.values():
            self._hand_out(worker)
        for worker, messages in self.crew.listen(TICK):
            if messages is None:
                self._fell(worker)
            else:
                self._heard(worker, messages)
        self.takeovers.look()
        self.show(self)
        if time.monotonic() - self._moved > STUCK:
            raise GivenUpError(f"no order was answered and no worker killed for {STUCK:g} s")

    def _all_ended(self) -> bool:
        self.unfinished = len(self.evidence.unfinished())
        return self.unfinished == 0

    # -- handing out

    def _hand_out(self, worker: Worker) -> None:
        while worker.ready and self.waiting and len(worker.orders) < self._most(worker):
            entry = self.waiting.popleft()
            if entry.id not in self.tally.answers:
                worker.give(entry)

    def _most(self, worker: Worker) -> int:
        """Orders it may have at a time: fewer while a kill is overdue, so that there are orders left for every kill."""
        full = worker.orders and self.kills and not self.kills.over and self._ahead(self.kills)
        return 2 if full else self.crew.settings.in_flight

    def _ahead(self, kills: Kills) -> bool:
        return self.answered > kills.due_at(len(kills.done))

    # -- hearing

    def _heard(self, worker: Worker, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self._count(worker, message)
            alive = self.crew.workers.get(worker.slot) is worker
            if alive and worker.ready and self.kills and self._may_kill() and self.kills.wants(message, self.answered):
                self._kill(worker, self.kills)

    def _count(self, worker: Worker, message: dict[str, Any]) -> None:
        self.tally.hear(message)
        if message["at"] == "ready":
            worker.ready = True
        elif message["at"] == "answer":
            worker.orders.pop(message["order"], None)
            self._moved = time.monotonic()

    # -- killing

    def _may_kill(self) -> bool:
        """One at a time: the others are at work, and what the last one left has found its new owner."""
        return not self.takeovers.waiting and all(worker.ready for worker in self.crew.workers.values())

    def _kill(self, worker: Worker, kills: Kills) -> None:
        """Stop it, look what it is in the midst of, kill it. It doesn't run another instruction in between."""
        if not worker.freeze():
            return
        node = self.evidence.node_of(worker.pid)
        orphans = [stored for stored in self.evidence.unfinished() if stored.owner == node]
        places = {stored.gid: self.evidence.place(stored) for stored in orphans}
        if not places:
            worker.thaw()
            return
        self.takeovers.expect(node, orphans)
        worker.kill()
        kills.count(worker.pid, places)
        self._moved = time.monotonic()
        self._replace(worker)

    def _fell(self, worker: Worker) -> None:
        """It has ended by itself, which it never should."""
        self._replace(worker)
        words = worker.told.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
        self.fallen.append(f"worker {worker.pid} ended with {worker.process.returncode}: {words}")
        if len(self.fallen) >= FALLS:
            raise GivenUpError(f"{FALLS} workers ended by themselves; the last one's words: {words}")

    def _replace(self, worker: Worker) -> None:
        for message in self.crew.bury(worker):
            self._count(worker, message)
        self.again += len(worker.orders)
        self.waiting.extendleft(reversed(worker.orders.values()))
        self.crew.hire(worker.slot)
