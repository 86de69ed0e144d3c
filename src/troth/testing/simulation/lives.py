"""One life of a simulated node, from a start to a crash or the end: the shell around the shipped driver and journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw

from troth.core.move import Alert, Answer, Call, Command, Replied, Resume, Start, Stop
from troth.core.reply import Reply
from troth.core.words import Fate, Op, Word
from troth.engine.drive import Driver
from troth.engine.journal import Wait
from troth.engine.live import Live
from troth.engine.tries import tries_of
from troth.ports.caller import Call as Request
from troth.ports.errors import StoreError
from troth.ports.store import BatchOutcome
from troth.testing.simulation import compared
from troth.testing.simulation.chance import key_of
from troth.testing.simulation.code import Code
from troth.testing.simulation.faults import Site
from troth.testing.simulation.hosts import Host
from troth.testing.simulation.initiators import OpenHost
from troth.testing.simulation.oracle import Oracle
from troth.testing.simulation.post import Post
from troth.testing.simulation.stores import SharedLog, SimStore
from troth.testing.simulation.world import World

Strike = Callable[[str], None]


class Life:
    """One incarnation: all that a process has in memory.

    :param code: the code that this process was started with.
    :param strike: carries out a fault that hits the process itself: a crash, or a pause.
    :ivar deferred: callbacks that wait while the process is paused.
    """

    def __init__(self, world: World, name: str, shared: SharedLog, oracle: Oracle, post: Post, code: Code, strike: Strike) -> None:
        self.world = world
        self.name = name
        self.key = key_of(name)
        self.oracle = oracle
        self.post = post
        self.code = code
        self.strike = strike
        self.dead = False
        self.paused = False
        self.gone = False
        self.deferred: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.store = SimStore(shared, self, name, strike)
        opened = self.store.memory.open(f"{self.key:032x}", world.now)
        self.number, self.log_id = opened.node, opened.log
        self.driver = Driver(self, compared.begin, compared.decide)
        self.driver.last_begin = opened.floor
        self.mark = 0
        self.begun = 0
        self.undriven: list[str] = []
        """What this node owns in the log and does not drive."""
        self.on_lost: Callable[[Live], None] = lambda live: None
        self._pump_planned = False
        self._pump_at = 0

    # --- time and the journal

    def now(self) -> int:
        """Virtual microseconds."""
        return self.world.now

    def journal_waits(self) -> None:
        """Look at the journal when this turn is over."""
        if not self._pump_planned and not self.dead:
            self._pump_planned = True
            self.world.after(0, self, self._pump)

    def _pump(self) -> None:
        self._pump_planned = False
        journal = self.driver.journal
        step = journal.next_step(self.world.now)
        if isinstance(step, Wait):
            if step.until != self._pump_at:
                self._pump_at = step.until
                self.world.at(step.until, self, self.journal_waits)
        elif step is not None:
            self.store.do(step, journal.under_way or [], self._reported)

    def _reported(self, result: BatchOutcome | StoreError | None) -> None:
        journal = self.driver.journal
        if self.world.traced:
            said = "done" if isinstance(result, BatchOutcome) else "not written" if result is None else f"{result}"
            self.world.note(self.name, f"batch {journal.number}: {said}")
        if isinstance(result, StoreError):
            journal.failed(result, self.world.now, self.world.chance.fraction("journal jitter", self.key))
        elif result is None or journal.unknown:
            journal.settled(result)
        else:
            journal.committed(result)
        self.journal_waits()

    def wake_at(self, live: Live, due: int) -> None:
        """Driver shell: feed `Tick` then."""
        if due:
            self.world.at(due, self, self._ring, live, due)

    def _ring(self, live: Live, due: int) -> None:
        if live.due == due:
            self.driver.tick(live)

    # --- commands

    def perform(self, live: Live, command: Command) -> None:
        """Driver shell: carry a command out."""
        if self.dead:
            return
        host: Any = live.host
        match command:
            case Call(branch, op, attempt):
                self._call(live, branch, op, attempt)
            case Answer(branch) if host is not None:
                host.answer(branch)
            case Start():
                self._start(live)
            case Stop() if host is not None:
                host.stop()
            case Resume(token) if host is not None:
                host.resume(token)
            case Alert(kind, branch, reason):
                self.world.note(self.name, f"alert {kind} of {live.gid}: {reason}")
            case _:
                pass

    def _start(self, live: Live) -> None:
        if live.host is not None:
            live.host.over = True
        live.host = Host(self.driver, live, self.world, self, self.code.body(live.saga.doc.definition))
        live.host.start()

    def initiator(self, live: Live) -> OpenHost:
        """What opens a TCC here."""
        return OpenHost(self.driver, live, self.world, self.oracle, self, self.code.body(live.saga.doc.definition))

    def _call(self, live: Live, index: int, op: Op, attempt: int) -> None:
        doc = live.saga.doc
        branch = doc.branches[index]
        spec = self.code.step(branch.name)
        known = branch.fate in (Fate.DONE, Fate.GAVE_UP) and op is not Op.ACTION
        request = Request(
            doc.uid,
            doc.gid,
            branch.id,
            op,
            branch.name,
            attempt,
            branch.args,
            branch.result if known else None,
            doc.begun,
            self.mark,
            self.log_id,
            spec.timeout if spec is not None else 1.0,
        )
        if spec is None:
            reply = Reply(Word.UNKNOWN, reason="no code for this step", retry=False)
            self.world.broken("S8", f"{self.name} drives {doc.gid} and has no code for {branch.name}")
            self.world.after(1, self, self.replied, live, index, op, attempt, reply)
            return
        key = key_of(f"{self.number}/{doc.gid}/{branch.id}/{op}/{attempt}")
        fault = self.world.faults.at(Site.SEND, key)
        if self.world.traced:
            self.world.note(self.name, f"{doc.gid} {op} {branch.id} attempt {attempt} {fault}")
        if fault == "crash_before_send":
            self.strike(fault)
            return
        self.oracle.called(self.number, live.saga, index, op)
        self.post.send(self, request, fault, lambda reply: self._heard(live, index, op, attempt, reply, key), key)
        if fault in ("crash_after_send", "pause_after_send"):
            self.strike(fault)

    def register(
        self, gid: str, id: str, name: str, args: Raw, answered: Callable[[Raw | BaseException], None]
    ) -> None:
        """A try calls a further participant of its transaction."""
        live = self.driver.by_gid.get(gid)
        if live is None:
            return
        if any(branch.id == id for branch in live.saga.doc.branches):
            self.world.sometimes("a child is registered again")
        try:
            tries_of(self.driver, live).register(id, name, args, answered)
        except Exception as error:
            answered(error)

    def _heard(self, live: Live, index: int, op: Op, attempt: int, reply: Reply, key: int) -> None:
        fault = self.world.faults.at(Site.HEAR, key)
        if self.world.traced:
            self.world.note(self.name, f"{live.gid} {op} {live.saga.doc.branches[index].id} heard {reply.word} {fault}")
        if fault == "crash_on_reply":
            self.strike(fault)
            return
        self.replied(live, index, op, attempt, reply)
        if fault == "pause_on_reply":
            self.strike(fault)

    def replied(self, live: Live, index: int, op: Op, attempt: int, reply: Reply) -> None:
        """A call was answered."""
        jitter = self.world.chance.fraction("jitter", self.key)
        self.driver.feed(live, Replied(self.world.now, index, op, attempt, reply, jitter))

    # --- what the driver tells

    def conflicted(self, live: Live) -> None:
        """Driver shell: the gid was taken."""
        self.world.sometimes("two nodes began the same gid at once")
        self._end(live)

    def rejected(self, live: Live, error: StoreError) -> None:
        """Driver shell: the store can't hold it. What is in the log is taken up again later."""
        if live.durable is not None:
            self.undriven.append(live.gid)
        self._end(live)

    def fenced(self) -> None:
        """Driver shell: this node was declared dead; its process starts again."""
        self.world.sometimes("a node that was declared dead finds out")
        self.strike("fenced")

    def forgotten(self, live: Live) -> None:
        """Driver shell: no longer in memory."""
        self.oracle.rests(live.saga.doc.uid, self.number)
        if live.host is not None:
            live.host.stop()

    def transitioned(self, live: Live) -> None:
        """Driver shell: a state is durable."""
        if self.world.traced and live.durable is not None:
            doc = live.durable.doc
            fates = " ".join(f"{b.id}={b.fate}{'?' if b.unknown else ''}" for b in doc.branches)
            self.world.note(self.name, f"{doc.gid} is {doc.state} in the log: {fates} {doc.reason}")

    def _end(self, live: Live) -> None:
        """Those who wait ask the log from now on."""
        if live.host is not None:
            live.host.stop()
        self.on_lost(live)
