"""A function run against its record, nothing called: a node and driver in memory around the shipped rules and hosts.

Recorded calls that are settled are answered from the record. A call that is not, recorded or new, is never made: its
task waits until the rehearsal is over, and then leaves the function without a trace.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec import Raw

from troth.app.coroutines import AsyncHost
from troth.app.threads import SyncHost
from troth.core.ids import ROOT
from troth.core.move import Answer, Called, Command, Event, Raised, Recovered, Resume, Returned, Start, Stop
from troth.core.rules import decide
from troth.engine.live import Live
from troth.engine.participants import Host
from troth.engine.runs import RunOver

SECONDS = 5.0
"""How long a function may take between two calls before the rehearsal is broken off."""
TURNS = 50
"""Turns of the event loop without a call after which every task is taken to wait."""
QUIET = 0.02
"""Seconds without a call after which every thread of a `troth.parallel` is taken to wait."""


class Rehearsal:
    """Plays the node and the driver for one run of one function. Made and used on a running loop.

    :ivar raised: the exception that left the function, if one did.
    :ivar slow: it was broken off because it did not get to its next call in time.
    """

    stopping = dead = False
    draw = staticmethod(lambda: 0.5)

    def __init__(self, live: Live, saga: Any, at: int) -> None:
        self.live = live
        self.at = at
        self.loop = asyncio.get_running_loop()
        self.driver = self.shell = self.luck = self.calls = self.runs = self
        self.tasks: set[asyncio.Task[None]] = set()
        self.thread: threading.Thread | None = None
        self.raised: BaseException | None = None
        self.slow = False
        self.events = 0
        self.over = asyncio.Event()
        self.waits = asyncio.Event()
        self.host: Host = _AsyncRehearsed(self, live, saga) if saga.is_async else _SyncRehearsed(self, live, saga)
        self.single = not saga.is_async

    async def run(self) -> None:
        """Run the function until it has ended, or every task of it waits for a call that is not made."""
        self.feed(self.live, Recovered(self.at, 0))
        while not self.over.is_set():
            seen = self.events
            try:
                await asyncio.wait_for(self._something(), SECONDS)
            except TimeoutError:
                if self.events == seen:
                    self.slow = True
                    break
            if self.waits.is_set():
                await self._settle()
                break
        await self._leave()

    async def _something(self) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (self.over, self.waits)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _settle(self) -> None:
        """Some task waits for a call that is not made: give the others time to get as far."""
        seen = -1
        while seen != self.events and not self.over.is_set():
            seen = self.events
            if self.single:
                await asyncio.sleep(QUIET)
            else:
                for _ in range(TURNS):
                    await asyncio.sleep(0)

    async def _leave(self) -> None:
        """Let every task and thread leave the function."""
        self.host.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.thread is not None:
            await asyncio.to_thread(self.thread.join, 1.0)

    # --- what the hosts ask of a node

    def now(self) -> int:
        """Microseconds; time stands still."""
        return self.at

    def submit(self, name: str, function: Callable[..., Any], *args: Any) -> None:
        """Run a sync function in a thread of its own."""
        self.thread = threading.Thread(target=function, args=args, name="troth-rehearsal", daemon=True)
        self.thread.start()

    # --- what the hosts ask of a driver

    def feed(self, live: Live, event: Event) -> None:
        """Decide, and carry out what reaches the function; nothing that reaches a participant."""
        self.events += 1
        move = decide(live.saga, event)
        live.saga = move.state
        if isinstance(event, Raised):
            self.raised = live.error
        answered = [self._perform(command) for command in (*move.now, *move.after_durable)]
        if isinstance(event, (Raised, Returned)) or Stop in answered or live.saga.finished:
            self.over.set()
        elif isinstance(event, Called) and Answer not in answered:
            self.blocked(event.place)

    def _perform(self, command: Command) -> type[Command]:
        host = self.host
        if isinstance(command, Start):
            if host.used:
                self.over.set()
            else:
                host.used = True
                host.start()
        elif isinstance(command, Answer):
            host.answer(command.branch)
        elif isinstance(command, Resume):
            host.resume(command.token)
        elif isinstance(command, Stop):
            host.stop()
        return type(command)

    def blocked(self, place: str) -> None:
        """The task of that place waits for a call that is not made. A sync function's own thread stands still then."""
        if self.single and place == ROOT:
            self.over.set()
        else:
            self.waits.set()

    def end_of_record(self, place: str) -> RunOver:
        """A value that no run has remembered is not drawn."""
        self.events += 1
        self.blocked(place)
        return RunOver(self.live.gid)


class _AsyncRehearsed(AsyncHost):
    def __init__(self, stage: Any, live: Live, saga: Any) -> None:
        super().__init__(stage, live, saga)
        self.stage: Rehearsal = stage

    def recall(self, place: str) -> Raw | None:
        found = super().recall(place)
        if found is None:
            raise self.stage.end_of_record(place)
        return found


class _SyncRehearsed(SyncHost):
    def __init__(self, stage: Any, live: Live, saga: Any) -> None:
        super().__init__(stage, live, saga)
        self.stage: Rehearsal = stage

    def recall(self, place: str) -> Raw | None:
        found = super().recall(place)
        if found is None:
            raise self.stage.end_of_record(place)
        return found

    def run(self, slot: Any) -> None:
        with suppress(BaseException):  # reported already; a thread's own report would only be noise
            super().run(slot)
