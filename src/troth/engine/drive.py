"""The driver: load, decide, save, perform. The one place where effects are ordered.

Rules (each has a mutant or a test): nothing of a move that must be durable goes out before its revision is durable; while a
forced revision of a transaction is on its way, nothing else of that transaction goes out either; who waits is told from the
durable state only; a node that is fenced drops everything. No thread, no asyncio, no clock: the shell hands them in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec import Raw

from troth.core import limits, smooth, tcc
from troth.core.move import FORCE, NO, Command, Event, Move, Overruled, Poisoned, Recovered, Tick
from troth.core.plan import Plan
from troth.core.quick import State
from troth.core.state import Transaction, next_due
from troth.engine.journal import Journal, Ticket
from troth.engine.live import ACCEPTED, Live, Told, live_of, satisfied, satisfied_doc
from troth.ports.errors import NotAccepted, StoreError
from troth.ports.store import BatchOutcome, Record


class Shell(Protocol):
    """What the driver needs from the world around it."""

    def now(self) -> int:
        """Microseconds; never goes back within a node."""
        ...

    def perform(self, live: Live, command: Command) -> None:
        """Carry a command out. What it leads to comes back through `Driver.feed`, later or at once."""
        ...

    def wake_at(self, live: Live, due: int) -> None:
        """Feed `Tick` at ``due`` (microseconds) and not before; 0: no longer."""
        ...

    def journal_waits(self) -> None:
        """The journal has something to do."""
        ...

    def conflicted(self, live: Live) -> None:
        """The gid was taken: the transaction did not begin."""
        ...

    def rejected(self, live: Live, error: StoreError) -> None:
        """The store can't hold the transaction's newest state; it is no longer driven here."""
        ...

    def forgotten(self, live: Live) -> None:
        """The transaction is no longer in this node's memory."""
        ...

    def fenced(self) -> None:
        """This node was declared dead: stop calling."""
        ...

    def transitioned(self, live: Live) -> None:
        """Another state (trying, confirmed …) is durable: counters, metrics and alerts may show it."""
        ...


class Driver:
    """Drives the transactions of one node.

    :param begin: makes the first move of a transaction.
    :param decide: makes all others.
    """

    def __init__(
        self, shell: Shell, begin: Callable[..., Move] = smooth.begin, decide: Callable[[Any, Event], Move] = smooth.decide
    ) -> None:
        self.shell = shell
        self.first_move = begin
        self.decide = decide
        self.journal = Journal(self, self.floor)
        self.open: dict[bytes, Live] = {}
        self.by_gid: dict[str, Live] = {}
        self.unlogged: dict[bytes, int] = {}
        self.last_begin = 0
        self.accepting = True

    # --- begins and floors

    def draw_begin(self) -> int:
        """A begin that is above every earlier one of this node, and above its published floor."""
        self.last_begin = max(self.shell.now(), self.last_begin + 1)
        return self.last_begin

    def floor(self) -> int:
        """No begin of this node, logged or not, is below it. An idle node's floor rises with the clock, or it would hold
        the whole log's low-water mark down."""
        for begun in self.unlogged.values():
            return begun
        return self.draw_begin()

    # --- in

    def admit(self) -> None:
        """Raise `NotAccepted` if no new transaction can be taken now. Nothing is refused after this."""
        if not self.accepting or self.journal.dead:
            raise NotAccepted("this node is stopping", 1.0)
        if self.journal.trouble is not None:
            raise NotAccepted(f"the log can't be written at present ({self.journal.trouble})", 1.0)
        if len(self.open) >= limits.IN_FLIGHT:
            raise NotAccepted(f"{len(self.open)} transactions are in flight on this node", 0.5)
        if self.journal.backlog >= limits.QUEUE_WRITES:
            raise NotAccepted("too many writes wait for the log", 0.5)

    def begin(
        self, plan: Plan, *, gid: str, uid: bytes, content: bytes, input: Raw, fresh: bool, timeout: float | None = None,
        force: bool = True, host: Callable[[Live], Any] | None = None, waiter: tuple[str, Told] | None = None,
        branches: Sequence[tuple[str, str, Raw]] = (), opening: Callable[..., Move] | None = None,
    ) -> Live:
        """Take a new transaction: call `admit` first.

        :param branches: of a declared tcc; see `troth.core.tcc.begin`.
        :param opening: makes the first move of what is neither a saga nor a tcc.
        """
        now = self.shell.now()
        begun = self.last_begin = max(now, self.last_begin + 1)
        if opening is not None:
            move = opening(plan, gid=gid, uid=uid, input=input, now=now, begun=begun, timeout=timeout)
        elif plan.pattern == "saga":
            move = self.first_move(plan, gid=gid, uid=uid, input=input, now=now, begun=begun, timeout=timeout, force=force)
        else:
            move = tcc.begin(plan, gid=gid, uid=uid, input=input, now=now, begun=begun, timeout=timeout, branches=branches)
        live = Live(move.state, content, fresh)
        if host is not None:
            live.host = host(live)
        if waiter is not None:
            live.waiters.append(waiter)
            live.eager = waiter[0] == ACCEPTED
        self.open[uid] = live
        self.by_gid[gid] = live
        self.unlogged[uid] = begun
        self._apply(live, move, now)
        return live

    def adopt(self, record: Record, plan: Plan) -> Live:
        """Take over a transaction whose row is already ours."""
        live = live_of(record, plan)
        doc = live.saga.doc
        self.open[doc.uid] = live
        self.by_gid[doc.gid] = live
        return live

    def recover(self, live: Live, claims: int) -> None:
        """Drive an adopted transaction on; one that takes its nodes down is parked."""
        now = self.shell.now()
        if claims > limits.CLAIMS_WITHOUT_PROGRESS:
            self.feed(live, Poisoned(now, claims))
        else:
            self.feed(live, Recovered(now, max(0, now - live.updated)))

    def feed(self, live: Live, event: Event) -> None:
        """Something happened to a transaction."""
        if not live.gone:
            self._apply(live, self.decide(live.saga, event), event.now)

    def watch(self, live: Live, until: str, told: Told) -> None:
        """Tell when the durable state is decided or finished, or needs a person; at once if it is."""
        if live.durable is not None and satisfied(live.durable, until):
            told(live)
            return
        if live.unlogged and live.saga.doc.pattern == "two_phase" and satisfied(live.saga, until) and not live.saga.doc.recorded:
            told(live)  # rolled back, or read only: its absence in the log is all that there will ever be
            return
        live.waiters.append((until, told))
        live.eager = live.eager or until == ACCEPTED
        if satisfied(live.saga, until) and live.rev > live.forced_rev:
            self._force(live)

    # --- decide, save, perform

    def _apply(self, live: Live, move: Move, now: int) -> None:
        saga = live.saga = move.state
        save = move.save
        if save is not NO:
            live.updated = now
            if save is FORCE or (live.waiters and self._someone_waits(live)):
                self._force(live)
            else:
                live.rev += 1
                self.journal.ride(live, now)
                self.shell.journal_waits()
        if move.after_durable:
            self._after_durable(live, move.after_durable)
        elif move.now:
            self._now(live, move.now)
        if not move.steady:
            self._plan_tick(live, next_due(saga))
            if save is NO and live.unlogged and saga.plan.pattern == "two_phase":
                self._without_log(live)

    def _without_log(self, live: Live) -> None:
        """A two-phase transaction of which the log holds nothing: that it was rolled back, or wrote nothing, is told at once."""
        saga = live.saga
        doc = saga.doc
        if doc.state is State.TRYING or doc.recorded or live.gone:
            return
        live.durable = saga if doc.finished else None
        if doc.finished:
            self.shell.transitioned(live)
        self._tell(live, doc)
        if doc.finished:
            self.forget(live)
            live.host = None

    def overrule(self, live: Live, reason: str) -> None:
        """The log took nothing of a two-phase transaction, and will not: it is rolled back, though what it has prepared isn't
        forgotten as others are."""
        self.journal.drop(live)
        live.held.clear()
        live.inserted = False
        live.rev = live.forced_rev = live.durable_rev = 0
        self.feed(live, Overruled(self.shell.now(), reason))

    def _force(self, live: Live) -> None:
        live.rev = live.forced_rev = live.rev + 1
        self.journal.force(live)
        self.shell.journal_waits()

    def _plan_tick(self, live: Live, due: int) -> None:
        """One that is due later than planned is looked at when it was planned, and planned anew then."""
        planned = live.due
        if due and (not planned or due < planned):
            live.due = due
            self.shell.wake_at(live, due)
        elif planned and not due:
            live.due = 0
            self.shell.wake_at(live, 0)

    def _someone_waits(self, live: Live) -> bool:
        doc = live.saga.doc
        if doc.state is State.TRYING and not live.eager:
            return False
        for until, _ in live.waiters:  # noqa: SIM110 - a loop costs a third of any()
            if satisfied_doc(doc, until):
                return True
        return False

    def _after_durable(self, live: Live, commands: tuple[Command, ...]) -> None:
        live.held.append((live.rev, commands))

    def _now(self, live: Live, commands: tuple[Command, ...]) -> None:
        if live.forced_rev > live.durable_rev:
            live.held.append((live.forced_rev, commands))
        else:
            for command in commands:
                self.shell.perform(live, command)

    # --- what became of writes (journal listener)

    def durable(self, tickets: list[Ticket], outcome: BatchOutcome) -> None:
        """A batch is in the log: release what waited for it."""
        missed = outcome.conflicts or outcome.lost
        for ticket in tickets:
            live: Live = ticket.owner  # type: ignore[assignment]
            if live.gone:
                continue
            if missed and ((uid := live.saga.doc.uid) in outcome.conflicts or uid in outcome.lost):
                self._lose(live, began=uid in outcome.lost, overruled=uid in outcome.overruled)
            else:
                self._stored(live, ticket)

    def _stored(self, live: Live, ticket: Ticket) -> None:
        rev, saga = ticket.rev, ticket.saga
        live.durable_rev = rev
        before, live.durable = live.durable, saga
        doc = saga.doc
        shell = self.shell
        if before is None:
            live.unlogged = False
            self.unlogged.pop(doc.uid, None)
            shell.transitioned(live)
        elif before.doc.state is not doc.state:
            shell.transitioned(live)
        if live.waiters and (live.eager or doc.state is not State.TRYING):
            self._tell(live, doc)
        held = live.held
        while held and held[0][0] <= rev:
            for command in held.pop(0)[1]:
                shell.perform(live, command)
        if doc.finished:
            self.forget(live)
            live.host = None  # they know each other: memory would only be freed when the collector comes by

    def _tell(self, live: Live, durable: Transaction) -> None:
        waiters, live.waiters = live.waiters, []
        for waiter in waiters:
            if satisfied_doc(durable, waiter[0]):
                waiter[1](live)
            else:
                live.waiters.append(waiter)

    def _lose(self, live: Live, *, began: bool, overruled: bool) -> None:
        if not began and live.saga.plan.pattern == "two_phase":
            if not overruled:
                self.shell.conflicted(live)
            self.overrule(live, "its abort was written first" if overruled else f"{live.gid} was begun by another")
            return
        self.forget(live)
        if began:
            self.shell.rejected(live, StoreError("another node owns it now"))
        else:
            self.shell.conflicted(live)

    def rejected(self, ticket: Ticket, error: StoreError) -> None:
        """The store can't hold this state: stop driving it here; the log still has the last good one."""
        live: Live = ticket.owner  # type: ignore[assignment]
        self.forget(live)
        self.shell.rejected(live, error)

    def fenced(self) -> None:
        """Declared dead: drop everything; others go on from the log."""
        self.accepting = False
        self.shell.fenced()
        for live in list(self.open.values()):
            self.forget(live)

    def forget(self, live: Live) -> None:
        """Drop a transaction from memory; nothing more of it goes out of this node."""
        if live.gone:
            return
        live.gone = True
        doc = live.saga.doc
        self.open.pop(doc.uid, None)
        if self.by_gid.get(doc.gid) is live:
            del self.by_gid[doc.gid]
        self.unlogged.pop(doc.uid, None)
        live.held.clear()
        self.journal.drop(live)
        if live.due:
            live.due = 0
            self.shell.wake_at(live, 0)
        self.shell.forgotten(live)

    def not_in_log(self) -> tuple[list[Live], list[Live]]:
        """New transactions that wait for the log: those that it surely doesn't hold, and those that a batch under way has."""
        under_way = {id(ticket.owner) for ticket in self.journal.under_way or ()}
        waiting = [live for uid in self.unlogged if (live := self.open[uid]).rev]
        perhaps = [live for live in waiting if id(live) in under_way]
        return [live for live in waiting if id(live) not in under_way], perhaps

    def tick(self, live: Live) -> None:
        """The time that `wake_at` named has come."""
        live.due = 0
        self.feed(live, Tick(self.shell.now()))
