"""A node: one running coordinator on one event loop. The shell around driver, journal, timers, calls and ownership."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from troth.core import limits
from troth.core.move import Alert, Answer, Call, Command, Replied, Resume, Start, Stop
from troth.core.reply import Reply
from troth.core.quick import Fate, Op, Word
from troth.engine.calls import Calls, InFlight
from troth.engine.clock import Clock, Luck, new_incarnation, new_suffix
from troth.engine.drive import Driver
from troth.engine.journal import Wait
from troth.engine.live import Live
from troth.engine.ownership import Sweeper
from troth.engine.participants import Registry
from troth.engine.pool import Pool
from troth.engine.timers import Timed, Timers
from troth.engine.writer import Writer
from troth.ports.caller import Call as Request
from troth.ports.errors import StoreError
from troth.ports.store import BatchOutcome, Store

log = logging.getLogger("troth")
T = TypeVar("T")
LONG_PAUSE = 1_000_000
"""Microseconds that a function without a caller may hold a thread for while it waits for a retry."""


class Alarm:
    """A timer of the node's own."""

    __slots__ = ("due", "ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self.due = 0
        self.ring = ring


class Node:
    """Drives transactions until it is stopped or fenced.

    All methods are called on its loop's thread, except where said. Made by `open_node`.

    :param store: already opened.
    """

    def __init__(self, store: Store, registry: Registry, loop: asyncio.AbstractEventLoop) -> None:
        self.store = store
        self.registry = registry
        self.loop = loop
        self.clock = Clock()
        self.luck = Luck()
        self.timers = Timers()
        self.pool = Pool(limits.SYNC_THREADS, "troth-step")
        self.runs = Pool(limits.SAGA_THREADS, "troth-saga")
        self.reads = Pool(2, "troth-store")
        self.driver = Driver(self)
        self.calls = Calls(loop, self.pool, self.timers, self.now, self._replied, self._plan_timer)
        self.counters: Counter[str] = Counter()
        self.mark = 0
        self.log_id = ""
        self.number = 0
        self.suffix = b""
        self._drawn = 0
        self.dead = False
        self.stopping = False
        self.quiet = asyncio.Event()
        self._pump_planned = False
        self._journal_alarm = Alarm(self.journal_waits)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0
        self._writer: Writer | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.sweeper = Sweeper(self)

    def now(self) -> int:
        """Microseconds."""
        return self.clock.now()

    def new_uid(self) -> bytes:
        """16 bytes, ordered by time, never used again: a number of this node's and its own random suffix."""
        self._drawn = max(self._drawn + 1, self.now())
        return self._drawn.to_bytes(8, "big") + self.suffix

    async def io(self, function: Callable[..., T], *args: Any) -> T:
        """Call a blocking function of the store in a thread."""
        future: asyncio.Future[T] = self.loop.create_future()
        self.reads.submit(_call_into, self.loop, future, function, args)
        return await future

    # --- life

    async def start(self) -> None:
        """Register the node, take over what dead nodes left, and begin to sweep."""
        incarnation = new_incarnation()
        opened = await self.io(self.store.open, incarnation, self.now())
        self.number, self.log_id = opened.node, opened.log
        self.driver.last_begin = opened.floor
        self.suffix = new_suffix()
        self._writer = Writer(self.store, self._report, str(opened.node))
        self._sweeper = self.loop.create_task(self.sweeper.run(), name="troth-sweeper")

    async def stop(self, drain: float = limits.DRAIN_SECONDS) -> None:
        """Take nothing new, let what is in flight end (at most ``drain`` seconds), leave the rest to others."""
        if self.stopping:
            return
        self.stopping = True
        self.driver.accepting = False
        await self._drain(drain)
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        self.calls.stop()
        await self._let_go()
        await self._flush()
        if self._timer is not None:
            self._timer.cancel()
        if self._writer is not None:
            await self.io(self._writer.stop)
        if not self.dead:
            await self.io(self.store.close)
        self.dead = True
        for pool in (self.pool, self.runs, self.reads):
            pool.stop()

    async def _drain(self, seconds: float) -> None:
        if self.driver.open and not self.dead:
            self.quiet.clear()
            try:
                await asyncio.wait_for(self.quiet.wait(), seconds)
            except TimeoutError:
                log.warning("%d transactions are left to the next node: they were not finished in %g s", len(self.driver.open), seconds)

    async def _let_go(self) -> None:
        tasks = list(self.calls.tasks)
        for live in list(self.driver.open.values()):
            if live.host is not None:
                live.host.stop()
            self.driver.forget(live)
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)

    async def _flush(self) -> None:
        """Let the batch under way end; nothing that is still waiting was promised to anyone."""
        for _ in range(400):
            if self.driver.journal.under_way is None or self.dead:
                return
            await asyncio.sleep(0.005)

    # --- the journal's thread

    def journal_waits(self) -> None:
        """Look at the journal at the end of this turn of the loop, so that whatever this turn brings is one batch."""
        if not self._pump_planned:
            self._pump_planned = True
            self.loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_planned = False
        writer = self._writer
        if writer is None:
            return
        step = self.driver.journal.next_step(self.now())
        if isinstance(step, Wait):
            self._set_alarm(self._journal_alarm, step.until)
        elif step is not None:
            writer.do(step)

    def _report(self, result: BatchOutcome | bool | StoreError) -> None:
        """Called in the journal's thread."""
        try:
            self.loop.call_soon_threadsafe(self._reported, result)
        except RuntimeError:  # the loop is closed: the process ends
            return

    def _reported(self, result: BatchOutcome | bool | StoreError) -> None:
        journal = self.driver.journal
        if isinstance(result, BatchOutcome):
            journal.committed(result)
        elif isinstance(result, bool):
            journal.settled(result)
        else:
            if not journal.dead:
                log.warning("the log can't be written: %s", result)
            journal.failed(result, self.now(), self.luck.draw())
        if journal.waiting or journal.retry or journal.unknown:
            self.journal_waits()

    # --- timers

    def wake_at(self, live: Live, due: int) -> None:
        """Driver shell: feed `Tick` then."""
        if due == 0:
            self.timers.cancelled()
        elif self.timers.plan(live):
            self._plan_timer()

    def _set_alarm(self, alarm: Alarm, due: int) -> None:
        if alarm.due != due:
            if alarm.due:
                self.timers.cancelled()
            alarm.due = due
            if self.timers.plan(alarm):
                self._plan_timer()

    def _plan_timer(self) -> None:
        first = self.timers.first()
        if self._timer is not None:
            if self._timer_due == first:
                return
            self._timer.cancel()
            self._timer = None
        self._timer_due = first
        if first:
            self._timer = self.loop.call_later(max(0, first - self.now()) / 1e6, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self.now()
        while (item := self.timers.pop_due(now)) is not None:
            self._due(item)
        self._plan_timer()

    def _due(self, item: Timed) -> None:
        if isinstance(item, Live):
            self.driver.tick(item)
        elif isinstance(item, InFlight):
            self.calls.timed_out(item)
        elif isinstance(item, Alarm):
            item.due = 0
            item.ring()

    # --- commands

    def perform(self, live: Live, command: Command) -> None:
        """Driver shell: carry a command out."""
        PERFORM[type(command)](self, live, command)

    def _call(self, live: Live, command: Call) -> None:
        doc = live.saga.doc
        branch = doc.branches[command.branch]
        participant = self.registry.participant(branch.name)
        known = branch.fate in (Fate.DONE, Fate.GAVE_UP) and command.op is Op.COMPENSATE
        request = Request(
            doc.uid, doc.gid, branch.id, command.op, branch.name, command.attempt, branch.args,
            branch.result if known else None, doc.begun, self.mark, self.log_id,
            participant.timeout if participant is not None else limits.PARTICIPANT_TIMEOUT,
        )  # fmt: skip
        if participant is None:
            reply = Reply(Word.UNKNOWN, reason=f"no code for step {branch.name} in this process", retry=False)
            self.driver.feed(live, Replied(self.now(), command.branch, command.op, command.attempt, reply, self.luck.draw()))
            return
        host = live.host
        context = None
        if host is not None:
            if not participant.is_async(command.op) and host.take(command.branch, request, participant):
                return
            context = host.context(command.branch)
        self.calls.start(InFlight(live, command.branch, request, participant, context))

    def _replied(self, flight: InFlight, reply: Reply) -> None:
        live: Any = flight.live
        self.replied(live, flight.branch, flight.op, flight.attempt, reply)

    def replied(self, live: Live, branch: int, op: Op, attempt: int, reply: Reply) -> None:
        """A call was answered."""
        if reply.cause is not None:
            live.causes[branch] = reply.cause
        self.counters[reply.word] += 1
        now = self.now()
        self.driver.feed(live, Replied(now, branch, op, attempt, reply, self.luck.draw()))
        if live.host is not None and live.saga.doc.branches[branch].due > now + LONG_PAUSE:
            live.host.paused(branch)

    def _answer(self, live: Live, command: Answer) -> None:
        if live.host is not None:
            live.host.answer(command.branch)

    def _start(self, live: Live, command: Start) -> None:
        if live.host is None or live.host.used:
            live.host = self.registry.host(live)
        live.host.used = True
        live.host.start()

    def _stop(self, live: Live, command: Stop) -> None:
        if live.host is not None:
            live.host.stop()

    def _resume(self, live: Live, command: Resume) -> None:
        if live.host is not None:
            live.host.resume(command.token)

    def _alert(self, live: Live, command: Alert) -> None:
        branch = live.saga.doc.branches[command.branch].id if command.branch >= 0 else "the function"
        self.counters["alerts"] += 1
        log.warning("%s: %s at %s: %s", live.gid, command.kind, branch, command.reason)

    # --- what the driver tells

    def conflicted(self, live: Live) -> None:
        """Driver shell: the gid was taken."""
        self._end(live, "conflict", None)

    def rejected(self, live: Live, error: StoreError) -> None:
        """Driver shell: the store can't hold it."""
        log.error("%s can't be stored: %s", live.gid, error)
        self._end(live, "rejected", error)

    def fenced(self) -> None:
        """Driver shell: this node was declared dead."""
        log.error("this node was declared dead; its transactions go on elsewhere")
        self.dead = True
        self.calls.stop()

    def forgotten(self, live: Live) -> None:
        """Driver shell: no longer in memory."""
        if self.dead or self.stopping:
            self._end(live, "lost", None)
        if self.stopping and not self.driver.open:
            self.quiet.set()

    def _end(self, live: Live, how: str, error: StoreError | None) -> None:
        """Tell those who wait that this node can't tell them."""
        if live.host is not None:
            live.host.stop()
        waiters, live.waiters = live.waiters, []
        if waiters:
            live.lost = (how, error)
            for _, told in waiters:
                told(live)

    def transitioned(self, live: Live) -> None:
        """Driver shell: a state is durable."""
        saga = live.durable
        if saga is not None and saga.doc.finished:
            self.counters[saga.doc.state] += 1

    def stats(self) -> dict[str, int]:
        """Counters since the start: ``commits``, ``written`` and ``forced`` rows, ``transactions``, outcomes, replies."""
        journal = self.driver.journal
        counted = {str(name): value for name, value in self.counters.items()}
        writes = {"commits": journal.commits, "written": journal.written, "forced": journal.awaited}
        return {**writes, "in_flight": len(self.driver.open), **counted}


def _call_into(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        result, error = function(*args), None
    except BaseException as raised:
        result, error = None, raised
    try:
        loop.call_soon_threadsafe(partial(_deliver, future, result, error))
    except RuntimeError:  # the loop is closed: nobody waits any more
        return


def _deliver(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


PERFORM: dict[type, Callable[[Node, Live, Any], None]] = {
    Call: Node._call,
    Answer: Node._answer,
    Start: Node._start,
    Stop: Node._stop,
    Resume: Node._resume,
    Alert: Node._alert,
}
