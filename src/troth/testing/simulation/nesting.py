"""Tries that call further participants of their transaction: a run takes its time, holds its barrier row, may be rolled back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from msgspec import Raw

from troth.core.reply import Reply
from troth.core.words import Word
from troth.engine import tries
from troth.ports.caller import Call
from troth.testing.simulation.catalog import ROUTES
from troth.testing.simulation.chance import key_of
from troth.testing.simulation.faults import Site
from troth.testing.simulation.services import Service
from troth.testing.simulation.world import MS, SECOND

if TYPE_CHECKING:
    from troth.testing.simulation.lives import Life
    from troth.testing.simulation.post import Flight, Post

PATIENCE = 2 * SECOND
"""How long a run waits for a participant that it called."""
Told = Callable[[Raw | BaseException], None]


class Nesting:
    """The runs under way, at all services."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.under_way: set[tuple[bytes, str]] = set()
        self.runs: Counter[tuple[bytes, str]] = Counter()

    def holds(self, call: Call) -> bool:
        """Is the branch's barrier row locked by a run?"""
        return (call.uid, call.branch) in self.under_way

    def begin(self, service: Service, flight: Flight, fault: str) -> None:
        """A run begins."""
        where = (flight.call.uid, flight.call.branch)
        self.under_way.add(where)
        self.runs[where] += 1
        NestedRun(self, service, flight, fault, self.runs[where]).next()


class NestedRun:
    """One run of a try.

    :param number: from 1; a later one may take another way.
    """

    def __init__(self, nesting: Nesting, service: Service, flight: Flight, fault: str, number: int) -> None:
        self.nesting = nesting
        self.world = nesting.post.world
        self.service = service
        self.flight = flight
        self.fault = fault
        self.call = flight.call
        self.key = key_of(f"{self.call.gid}/{self.call.branch}")
        self.node = cast("Life", flight.process)
        self.children: list[str] = []
        self.counts: Counter[str] = Counter()
        ways = ROUTES[self.call.name]
        first = self.world.chance.below(len(ways), "way", self.key)
        other = number > 1 and self.world.chance.happens(0.4, "another way", self.key)
        self.left = list(ways[(first + other) % len(ways)])
        if other:
            self.world.sometimes("a nested try goes another way")
        elif number > 1:
            self.world.sometimes("a nested try is run again")

    def next(self) -> None:
        """Call the next participant, or end."""
        if not self.left:
            rolled_back = self.fault == "handler_error"
            result = Raw(b"%d" % (self.key & 0xFFFF))
            done = Reply(Word.DONE, result=result, children=tuple(self.children))
            self.end(Reply(Word.NOT_DONE, reason="its local transaction was rolled back") if rolled_back else done)
            return
        step = self.left.pop(0)
        self.counts[step] += 1
        id = tries.child_id(self.call.branch, step, self.counts[step])
        self.children.append(id)
        heard = False

        def told(answer: Raw | BaseException) -> None:
            nonlocal heard
            if heard:
                return
            heard = True
            if isinstance(answer, BaseException):
                self.end(Reply(Word.NOT_DONE, reason=f"its local transaction was rolled back: {answer}"))
            else:
                self.next()

        def answered(answer: Raw | BaseException) -> None:
            if self.world.faults.at(Site.REPLY, self.key) != "lose_reply":
                self.world.after(self.world.delay(200, 3_000, "answer travels", self.key), None, told, answer)

        self.world.after(PATIENCE, None, told, TimeoutError(f"no answer from {step}"))
        self.register(id, step, answered)

    def register(self, id: str, step: str, answered: Told) -> None:
        """The registration travels to the node that called."""
        args = Raw(b'{"for":%d}' % (self.key & 0xFFFF))
        fault = self.world.faults.at(Site.REGISTER, self.key)
        if fault == "lose_registration":
            return
        low, high = (1 * MS, 3 * SECOND) if fault == "late_registration" else (200, 3_000)
        for _ in range(2 if fault == "repeat_registration" else 1):
            wait = self.world.delay(low, high, "registration travels", self.key)
            self.world.after(wait, self.node, self.node.register, self.call.gid, id, step, args, answered)

    def end(self, heard: Reply) -> None:
        """The run has ended: its local transaction is kept or rolled back, its row is free."""
        self.nesting.under_way.discard((self.call.uid, self.call.branch))
        reply = self.service.keep(self.call, heard)
        if reply.word is Word.NOT_DONE and self.flight.copies > 1:
            reply = Reply(Word.UNKNOWN, reason=reply.reason)
        self.service.remember_answer(self.call, reply)
        self.nesting.post.served(self.service, self.flight, None if self.fault == "crash_after_effect" else reply, self.fault)
