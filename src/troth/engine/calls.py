"""Calls in flight: limits per destination and in total, timeouts, and one reply for each call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any

import msgspec

from troth.core import limits
from troth.core.quick import Op, Word
from troth.core.reply import Reply
from troth.engine.participants import Participant
from troth.engine.pool import Pool
from troth.engine.timers import Timers
from troth.engine.workers import Workers, within
from troth.ports.caller import Call

Replied = Callable[[Any, int, Op, int, Reply], None]
"""Gets the call's (live, branch, op, attempt) and what was answered."""


class InFlight(msgspec.Struct, eq=False):
    """One call: from its wait for a place until its reply.

    :ivar context: what its code runs in, and nothing else.
    :ivar due: when it times out, in microseconds; 0: not counted (a thread's call is answered when it really ends).
    :ivar late: it took too long and is being ended.
    :ivar task: what runs it, while it is an async one.
    """

    live: Any
    branch: int
    call: Call
    participant: Participant
    context: Context
    destination: Any = None
    due: int = 0
    done: bool = False
    late: bool = False
    task: asyncio.Task[None] | None = None


class Destination:
    """What is in flight to one destination, and what waits for it.

    :ivar running: async calls in the order of their launch, which is the order in which they time out.
    :ivar due: when to look for late ones next; 0: not planned.
    """

    __slots__ = ("active", "due", "running", "waiting")

    def __init__(self) -> None:
        self.active = 0
        self.due = 0
        self.running: dict[InFlight, None] = {}
        self.waiting: deque[InFlight] = deque()


class Calls:
    """Launches calls on the loop or in the pool. Lives on the loop's thread.

    :param replied: told once for each call, on the loop's thread.
    :param pool: where sync steps run.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, pool: Pool, timers: Timers, now: Callable[[], int], replied: Replied,
        planned: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.pool = pool
        self.timers = timers
        self.now = now
        self.replied = replied
        self.planned = planned
        self.active = 0
        self.destinations: dict[str, Destination] = {}
        self.crowded: deque[InFlight] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        """What else runs on the loop for this node: functions."""
        self.workers = Workers(loop, self._begin)
        self.stopped = False

    def start(self, flight: InFlight) -> None:
        """Launch the call, or have it wait for its destination."""
        participant = flight.participant
        destination = self.destinations.get(participant.destination)
        if destination is None:
            destination = self.destinations[participant.destination] = Destination()
        flight.destination = destination
        if destination.active >= participant.most:
            destination.waiting.append(flight)
        elif self.active >= limits.CALLS_IN_FLIGHT:
            self.crowded.append(flight)
        else:
            self._launch(flight, destination)

    def _launch(self, flight: InFlight, destination: Destination) -> None:
        destination.active += 1
        self.active += 1
        participant = flight.participant
        if participant.is_async(flight.call.op):
            due = flight.due = self.now() + participant.timeout_micros
            destination.running[flight] = None
            if not destination.due:
                self._watch(destination, due)
            self.workers.submit(flight)
        else:
            self.pool.submit(flight.context.run, self._in_thread, flight)

    def _begin(self, flight: InFlight) -> Coroutine[Any, Any, None] | None:
        """Run the call's first step in its context; what is left of it, if it isn't over."""
        code = flight.participant.acall(flight.call)
        try:
            awaited = flight.context.run(code.send, None)
        except StopIteration as end:
            self.ended(flight, end.value)
            return None
        except BaseException as error:
            self.ended(flight, self._broken(flight, error))
            return None
        return self._go_on(flight, code, awaited)

    async def _go_on(self, flight: InFlight, code: Coroutine[Any, Any, Reply], awaited: Any) -> None:
        try:
            reply = await within(flight.context, code, awaited)
        except BaseException as error:
            reply = self._broken(flight, error)
        self.ended(flight, reply)

    def _broken(self, flight: InFlight, error: BaseException) -> Reply:
        """Left by what is no `Exception`: SystemExit and the like. Whatever it did, nobody knows."""
        if isinstance(error, asyncio.CancelledError):
            return Reply(Word.UNKNOWN, reason=f"no answer within {flight.call.timeout:g} s")
        return Reply(Word.UNKNOWN, reason=f"{type(error).__name__}: {error}", cause=error)

    def _in_thread(self, flight: InFlight) -> None:
        reply = safely(flight.participant, flight.call)
        self._report(flight, reply)

    def _report(self, flight: InFlight, reply: Reply) -> None:
        if not self.stopped:
            try:
                self.loop.call_soon_threadsafe(partial(self.ended, flight, reply))
            except RuntimeError:  # the loop is closed: the process ends, and the call is unknown
                self.stopped = True

    def ended(self, flight: InFlight, reply: Reply) -> None:
        """The call is answered: make room for the next, tell the driver."""
        if flight.done:
            return
        flight.done = True
        self.active -= 1
        destination: Destination = flight.destination
        destination.active -= 1
        destination.running.pop(flight, None)
        if destination.waiting or self.crowded:
            self._next(destination)
        call = flight.call
        self.replied(flight.live, flight.branch, call.op, call.attempt, reply)

    def _next(self, destination: Destination) -> None:
        if destination.waiting and self.active < limits.CALLS_IN_FLIGHT:
            self._launch(destination.waiting.popleft(), destination)
        elif self.crowded:
            self.start(self.crowded.popleft())

    def _watch(self, destination: Destination, due: int) -> None:
        destination.due = due
        if self.timers.plan(destination):
            self.planned()

    def look_at(self, destination: Destination) -> None:
        """End the calls that took too long; the replies come when they have really ended.

        Calls to one destination have one timeout, so the oldest is the first to be late.
        """
        destination.due = 0
        now = self.now()
        for flight in list(destination.running):
            if flight.due > now:
                self._watch(destination, flight.due)
                return
            del destination.running[flight]
            if flight.task is not None:
                flight.late = True
                flight.task.cancel()
            elif flight in self.workers.ready:  # it never began
                self.workers.ready.remove(flight)
                self.ended(flight, Reply(Word.NOT_DONE, reason=f"not begun within {flight.call.timeout:g} s"))

    def stop(self) -> None:
        """Call nothing more and end what runs on the loop."""
        self.stopped = True
        self.crowded.clear()
        for destination in self.destinations.values():
            destination.waiting.clear()
        self.workers.stop()
        for task in list(self.tasks):
            task.cancel()


def safely(participant: Participant, call: Call) -> Reply:
    """The reply of a sync participant, whatever it raises."""
    try:
        return participant.call(call)
    except BaseException as error:  # nobody knows what it did
        return Reply(Word.UNKNOWN, reason=f"{type(error).__name__}: {error}", cause=error)
