"""A bad network between the shop and its databases: slow, and it repeats and loses what it carries.

It stands where a step's call goes into the database and its answer comes back, tells the parent what passes (so that
the parent can kill this process at a moment of its choice), and counts what the barrier absorbed. It knows the port
`troth.ports.database` and nothing else of troth.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from troth.core.reply import Reply
from troth.core.words import Word
from troth.ports.caller import Call
from troth.ports.database import Effect

Report = Callable[[dict[str, Any]], None]

REPEATED = 0.08
"""Part of all calls that are delivered a second time at once."""
LATE = 0.08
"""Part of all calls that are delivered again later, when the saga has gone on."""
LOST = 0.06
"""Part of all answers that never come back; a call's second answer always does."""
SETTLED = frozenset({Word.DONE, Word.REFUSED})


class Carries(Protocol):
    """The database's own way to answer a call; see `troth.ports.database.Database.run`."""

    def __call__(self, call: Call, effect: Effect, **options: Any) -> Reply: ...


class Network:
    """The way to the databases of one process.

    :param seed: what it does to a call is drawn from this and the call, whatever the timing.
    :param pace: seconds that one way takes on average.
    :param report: takes what passes, one message each.
    """

    def __init__(self, seed: int, pace: float, report: Report) -> None:
        self.seed = seed
        self.pace = pace
        self.report = report
        self.late: list[threading.Timer] = []

    def stand_before(self, database: Any) -> None:
        """Have all calls to a database pass through here."""
        carry: Carries = database.run
        database.run = lambda call, effect, **options: self.deliver(carry, call, effect, **options)

    def deliver(self, carry: Carries, call: Call, effect: Effect, **options: Any) -> Reply:
        """Carry one call there and its answer back."""
        self.tell("before", call)
        self.travel(call, "there")
        reply = self.carry(carry, call, effect, "after", **options)
        self.travel(call, "back")
        if reply.word in SETTLED:  # what is known not to have happened was never delivered
            if self.chance(call, "repeated") < REPEATED:
                self.again(carry, call, effect, reply, options)
            if self.chance(call, "late") < LATE:
                self.later(carry, call, effect, reply, options)
        if call.attempt == 1 and self.chance(call, "lost") < LOST:
            return Reply(Word.UNKNOWN, reason="the answer was lost on its way")
        return reply

    def carry(self, carry: Carries, call: Call, effect: Effect, at: str, **options: Any) -> Reply:
        """Deliver a call and tell what came of it: the reply's word, and whether the effect was run."""
        ran = False

        def watched(db: Any, stored: Any) -> Any:
            nonlocal ran
            ran = True
            return effect(db, stored)

        reply = carry(call, watched, **options)
        self.tell(at, call, ran=ran, word=reply.word, reason=reply.reason)
        return reply

    def again(self, carry: Carries, call: Call, effect: Effect, first: Reply, options: dict[str, Any]) -> None:
        """Deliver a call a second time, and compare the answers."""
        second = self.carry(carry, call, effect, "repeat", **options)
        if second.word in SETTLED and (first.word, first.result) != (second.word, second.result):
            self.tell("differs", call, first=str(first), second=str(second))

    def later(self, carry: Carries, call: Call, effect: Effect, first: Reply, options: dict[str, Any]) -> None:
        """Deliver a call again when its saga has gone on."""
        delay = self.pace * (4 + 12 * self.chance(call, "how late"))
        timer = threading.Timer(delay, self.again, (carry, call, effect, first, options))
        timer.daemon = True
        self.late = [*(waiting for waiting in self.late if waiting.is_alive()), timer]
        timer.start()

    def wait(self) -> None:
        """Until everything that is late has arrived."""
        for timer in list(self.late):
            timer.join()

    def travel(self, call: Call, way: str) -> None:
        """Take one way's time."""
        time.sleep(self.pace * (0.5 + self.chance(call, way)))

    def chance(self, call: Call, what: str) -> float:
        """A number in [0, 1) that depends on nothing but the seed, the call and the question."""
        text = f"{self.seed} {call.gid} {call.branch} {call.op} {call.attempt} {what}"
        return zlib.crc32(zlib.crc32(text.encode()).to_bytes(4) + text.encode()) / 2**32

    def tell(self, at: str, call: Call, **more: Any) -> None:
        """Report what passes."""
        self.report({"at": at, "gid": call.gid, "branch": call.branch, "step": call.name, "op": call.op,
                     "attempt": call.attempt, **more})  # fmt: skip
