"""A node: one running coordinator on one event loop. The shell around driver, journal, timers, calls and ownership."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVar

from troth.core import limits
from troth.core.move import Alert, Answer, Call, CallOnInput, Command, Replied, Resume, Start, Stop
from troth.core.quick import Fate, Op, Word, made
from troth.core.reply import Reply
from troth.core.retry import micros
from troth.engine.breather import Breather
from troth.engine.calls import Calls, Destination, InFlight
from troth.engine.clock import Clock, Luck, new_incarnation, new_suffix
from troth.engine.drive import Driver
from troth.engine.journal import Wait
from troth.engine.live import Live
from troth.engine.messages import call_on_input, ends_soon
from troth.engine.ownership import Sweeper
from troth.engine.participants import Registry
from troth.engine.pool import Pool, Shares, call_into
from troth.engine.timers import Alarm, Timed, Timers
from troth.engine.trouble import Trouble
from troth.engine.writer import Writer
from troth.ports.caller import Call as Request
from troth.ports.errors import StoreError
from troth.ports.store import BatchOutcome, Store

log = logging.getLogger("troth")
T = TypeVar("T")
LARGE_GROUP = 160
"""Forced writes that are worth a commit of their own while the loop is busy."""
LONG_PAUSE = 1_000_000
"""Microseconds that a function without a caller may hold a thread for while it waits for a retry."""


class Node:
    """Drives transactions until it is stopped or fenced. All methods are called on its loop's thread, except where said.

    :param store: already opened.
    """

    def __init__(self, store: Store, registry: Registry, loop: asyncio.AbstractEventLoop) -> None:
        self.store = store
        self.registry = registry
        self.loop = loop
        self.clock = Clock()
        self.now: Callable[[], int] = self.clock.now
        self.luck = Luck()
        self.timers = Timers()
        self.breather = Breather(loop)
        self.pool = Pool(limits.SYNC_THREADS, "troth-step")
        self.runs = Shares(Pool(limits.SAGA_THREADS, "troth-saga"), limits.SAGA_THREADS_PER_SAGA)
        self.reads = Pool(2, "troth-store")
        self.driver = Driver(self)
        self.calls = Calls(loop, self.pool, self.timers, self.now, self.replied, self._plan_timer)
        self.counters: Counter[str] = Counter()
        self.mark = 0
        self.log_id = ""
        self.incarnation = ""
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
        self.trouble = Trouble(self)

    def new_uid(self) -> bytes:
        """16 bytes, ordered by time, never used again: a number of this node's and its own random suffix."""
        self._drawn = max(self._drawn + 1, self.driver.last_begin)
        return self._drawn.to_bytes(8, "big") + self.suffix

    async def io(self, function: Callable[..., T], *args: Any) -> T:
        """Call a blocking function of the store in a thread."""
        if self.reads.stopped:
            raise StoreError("this node has stopped, its log is closed")
        future: asyncio.Future[T] = self.loop.create_future()
        self.reads.submit(call_into, self.loop, future, function, args)
        self.breather.begun()
        try:
            return await future
        finally:
            self.breather.ended()

    # --- life

    async def start(self) -> None:
        """Register the node, take over what dead nodes left, and begin to sweep."""
        self.incarnation = new_incarnation()
        opened = await self.io(self.store.open, self.incarnation, self.now())
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
        try:
            await self._drain(drain)
        finally:  # whoever loses patience with the drain still gets the rest of it
            await self._leave()

    async def _leave(self) -> None:
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
        await self.io(self.store.close)
        self.dead = True
        self.dismiss()

    def desert(self) -> None:
        """Drive nothing more, without a word to anyone: its loop is closed, or this is a forked child's copy of it."""
        self.dead = True
        self.driver.accepting = False
        self.driver.journal.dead = True
        for live in self.driver.open.values():
            live.gone = True
        self.driver.open.clear()
        self.driver.by_gid.clear()
        self.driver.unlogged.clear()
        self.calls.stopped = True

    def dismiss(self) -> None:
        """Let its threads end; does not wait for them."""
        if self._writer is not None:
            self._writer.steps.put(None)
        self.runs.stop()
        self.pool.stop()
        self.reads.stop()

    async def _drain(self, seconds: float) -> None:
        """Wait for what can still end by itself; what needs a person is left to the next node at once."""
        until = self.loop.time() + seconds
        while not self.dead and any(map(ends_soon, self.driver.open.values())):
            if self.loop.time() > until:
                log.warning("left to the next node, not finished within %g s: %d", seconds, len(self.driver.open))
                return
            self.quiet.clear()
            try:
                await asyncio.wait_for(self.quiet.wait(), 0.05)
            except TimeoutError:
                continue

    async def _let_go(self) -> None:
        tasks = [*self.calls.tasks, *self.calls.workers.tasks]
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
        """Look at the journal at the end of this turn of the loop, so that whatever this turn brings is one batch.

        A large group doesn't wait for a long turn to end: it is committed while the turn goes on.
        """
        if not self._pump_planned:
            self._pump_planned = True
            self.loop.call_soon(self._pump)
        elif len(self.driver.journal.waiting) >= LARGE_GROUP and not self.driver.journal.stepping:
            self._pump()
            self._pump_planned = True  # the planned look still comes
            self.breather.breathe()

    def _pump(self) -> None:
        self._pump_planned = False
        writer = self._writer
        if writer is None:
            return
        step = self.driver.journal.next_step(self.now())
        if isinstance(step, Wait):
            self.set_alarm(self._journal_alarm, step.until)
        elif step is not None:
            self.breather.begun()
            writer.do(step)

    def _report(self, result: BatchOutcome | StoreError | None) -> None:
        """Called in the journal's thread."""
        try:
            self.loop.call_soon_threadsafe(self._reported, result)
        except RuntimeError:  # the loop is closed: the process ends
            return

    def _reported(self, result: BatchOutcome | StoreError | None) -> None:
        self.breather.ended()
        journal = self.driver.journal
        if isinstance(result, StoreError):
            if not journal.dead:
                log.warning("the log can't be written: %s", result)
            journal.failed(result, self.now(), self.luck.draw())
        elif result is None or journal.unknown:
            journal.settled(result)
        else:
            journal.committed(result)
        self.trouble.look()
        if journal.waiting or journal.riding or journal.retry or journal.unknown:
            self.journal_waits()

    # --- timers

    def wake_at(self, live: Live, due: int) -> None:
        """Driver shell: feed `Tick` then."""
        if due == 0:
            self.timers.cancel(live)
        elif self.timers.plan(live):
            self._plan_timer()

    def set_alarm(self, alarm: Alarm, due: int) -> None:
        """Have it ring at ``due`` (microseconds), and at no other time it was set to."""
        if alarm.due != due:
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
        elif isinstance(item, Destination):
            self.calls.look_at(item)
        elif isinstance(item, Alarm):
            item.due = 0
            item.ring()

    # --- commands

    def perform(self, live: Live, command: Command) -> None:
        """Driver shell: carry a command out."""
        PERFORM[type(command)](self, live, command)

    def _call(self, live: Live, command: Call) -> None:
        doc, index, op = live.saga.doc, command.branch, command.op
        branch = doc.branches[index]
        name = branch.name
        participant = self.registry.participant(name)
        if participant is None:
            reply = Reply(Word.UNKNOWN, reason=f"no code for step {name} in this process", retry=False)
            self.replied(live, index, op, command.attempt, reply)
            return
        known = op is not Op.ACTION and branch.fate in (Fate.DONE, Fate.GAVE_UP)
        request: Request = made(Request, (
            doc.uid, doc.gid, branch.id, op, name, command.attempt, branch.args, branch.result if known else None,
            doc.begun, self.mark, self.log_id, participant.timeout,
        ))  # fmt: skip
        host, context = live.host, None
        if host is not None:
            if host.take(index, request, participant):
                return
            context = host.context(index)
        self.calls.start(InFlight(live, index, request, participant, Context() if context is None else context))

    def replied(self, live: Live, branch: int, op: Op, attempt: int, reply: Reply) -> None:
        """A call was answered."""
        if reply.cause is not None:
            live.causes = {**live.causes, branch: reply.cause}
        self.counters[reply.word._value_] += 1
        now = self.now()
        self.driver.feed(live, Replied(now, branch, op, attempt, reply, self.luck.draw()))
        host = live.host
        if host is not None and reply.word is not Word.DONE:
            due = live.saga.doc.branches[branch].due
            if reply.word is Word.ONGOING or due > now + LONG_PAUSE:
                host.paused(branch)

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
        self.end(live, "conflict", None)

    def rejected(self, live: Live, error: StoreError) -> None:
        """Driver shell: the store can't hold it."""
        log.error("%s can't be stored: %s", live.gid, error)
        self.end(live, "rejected", error)
        if live.durable is not None:  # the log's last good state is ours still: go on from there, later
            self.sweeper.look_again(live.gid, self.now() + micros(limits.SLOW_RETRY))

    def fenced(self) -> None:
        """Driver shell: this node was declared dead."""
        log.error("this node was declared dead; its transactions go on elsewhere")
        self.dead = True
        self.calls.stop()

    def forgotten(self, live: Live) -> None:
        """Driver shell: no longer in memory."""
        if self.dead or self.stopping:
            unanswered = live.unlogged and self.driver.journal.under_way is not None
            self.end(live, "in_doubt" if unanswered else "lost", None)
        if self.stopping and not self.driver.open:
            self.quiet.set()

    def end(self, live: Live, how: str, error: StoreError | None) -> None:
        """Tell those who wait that this node can't tell them."""
        if live.host is not None and how != "in_doubt":
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
            self.counters[saga.doc.state._value_] += 1

    def stats(self) -> dict[str, int]:
        """Counters since the start: ``commits``, ``written`` and ``forced`` rows, ``transactions``, outcomes, replies."""
        journal = self.driver.journal
        counted = {str(name): value for name, value in self.counters.items()}
        writes = {"commits": journal.commits, "written": journal.written, "forced": journal.awaited}
        return {**writes, "in_flight": len(self.driver.open), **counted}


PERFORM: dict[type, Callable[[Node, Live, Any], None]] = {
    Call: Node._call,
    CallOnInput: call_on_input,
    Answer: Node._answer,
    Start: Node._start,
    Stop: Node._stop,
    Resume: Node._resume,
    Alert: Node._alert,
}
