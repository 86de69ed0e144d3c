"""The journal's rules: group commit, forced and riding writes, unknown commits, poison rows. No thread, no clock, no I/O.

A shell asks `next_step` what to do with the store, does it, and reports. One step is under way at a time; whatever waits when
it ends goes into the next batch as one store transaction (group commit). The thread shell is `engine.writer`; the simulator
is another shell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from troth.core import limits
from troth.core.retry import MICRO, pause
from troth.core.state import Saga
from troth.ports.errors import CommitUnknown, Fenced, RowRejected, StoreError
from troth.ports.store import Batch, BatchOutcome, Write


class Journaled(Protocol):
    """Something with a row in the log."""

    ticket: Ticket | None
    saga: Saga

    def as_write(self) -> Write: ...


class Ticket:
    """One waiting write. Newer states of the same transaction take its place until it is taken.

    :ivar rev: the newest revision that the write holds.
    :ivar saga: the state that the write holds, once it is taken.
    """

    __slots__ = ("forced", "owner", "rev", "saga", "since", "write")

    def __init__(self, owner: Journaled, since: int) -> None:
        self.owner = owner
        self.since = since
        self.forced = False
        self.rev = 0
        self.saga = owner.saga
        self.write: Write | None = None


class Commit(NamedTuple):
    """Step: `Store.commit` this batch."""

    batch: Batch


class Settle(NamedTuple):
    """Step: `Store.settle` this batch number: was the unanswered commit applied?"""

    number: int


class Wait(NamedTuple):
    """Step: nothing before this time (microseconds)."""

    until: int


Step = Commit | Settle | Wait | None


class Listener(Protocol):
    """Who is told what became of the writes."""

    def durable(self, tickets: list[Ticket], outcome: BatchOutcome) -> None: ...
    def rejected(self, ticket: Ticket, error: StoreError) -> None: ...
    def fenced(self) -> None: ...


class Journal:
    """The state of one node's journal.

    :param listener: told of durable, rejected and fenced writes.
    :param floor: gives the node's floor for the next batch: no begin of its own, logged or not, is below it.
    """

    def __init__(self, listener: Listener, floor: Callable[[], int]) -> None:
        self.listener = listener
        self.floor = floor
        self.number = 0
        self.forced = 0
        self.waiting: dict[int, Ticket] = {}
        self.retry: deque[list[Ticket]] = deque()
        """Batches to be tried again, before anything new: each a list of tickets."""
        self.under_way: list[Ticket] | None = None
        self.unknown = 0
        """The number of a batch whose commit got no answer; 0: none."""
        self.unknown_outcome = BatchOutcome()
        self.failures = 0
        self.not_before = 0
        self.dead = False
        self.stepping = False
        """A step was given out and not yet reported."""
        self.beating = False
        self.trouble: StoreError | None = None
        """Why the store can't be written at present."""
        self.commits = 0
        self.written = 0
        self.awaited = 0
        """Writes that someone waited for, ever."""

    # --- in

    def put(self, owner: Journaled, rev: int, now: int, forced: bool) -> None:
        """Have the owner's newest state written: now if forced, else with whatever is written next (coalescing)."""
        ticket = owner.ticket
        if ticket is None:
            ticket = owner.ticket = Ticket(owner, now)
            self.waiting[id(ticket)] = ticket
        ticket.rev = rev
        if forced and not ticket.forced:
            ticket.forced = True
            self.forced += 1
            self.awaited += 1

    def drop(self, owner: Journaled) -> None:
        """Forget what of the owner waits."""
        ticket = owner.ticket
        if ticket is not None and self.waiting.pop(id(ticket), None) is not None:
            self.forced -= ticket.forced
        owner.ticket = None

    def withdraw(self, owners: Sequence[Journaled]) -> None:
        """Forget what of the owners waits, batches to be tried again included: it is in no batch under way, and never will be."""
        gone = {id(owner) for owner in owners}
        for owner in owners:
            self.drop(owner)
        batches = ([ticket for ticket in batch if id(ticket.owner) not in gone] for batch in self.retry)
        self.retry = deque(batch for batch in batches if batch)

    def beat(self) -> None:
        """Have the node's row renewed (its floor, its sign of life) even if nothing waits to be written."""
        self.beating = True

    @property
    def backlog(self) -> int:
        """Writes that wait."""
        waiting = len(self.waiting)
        return waiting + sum(len(b) for b in self.retry) if self.retry else waiting

    # --- the store's turn

    def next_step(self, now: int) -> Step:
        """What to do with the store now; None: nothing until something is put or reported."""
        if self.dead or self.stepping:
            return None
        if now < self.not_before:
            return Wait(self.not_before)
        if self.unknown:
            self.stepping = True  # asked twice, the second answer would be taken for the next batch's
            return Settle(self.unknown)
        if self.retry:
            return self._begin(self.retry.popleft())
        if self.forced or self.beating or len(self.waiting) >= limits.BATCH_WRITES:
            return self._begin(self._pick())
        return self._riding_step(now)

    def _riding_step(self, now: int) -> Step:
        """Riding writes go alone only when nothing has carried them for a while."""
        for ticket in self.waiting.values():
            due = ticket.since + int(limits.RIDE_SECONDS * MICRO)
            return self._begin(self._pick()) if now >= due else Wait(due)
        return None

    def _pick(self) -> list[Ticket]:
        """What goes into the next batch: forced writes first, then riding ones, oldest first."""
        waiting = self.waiting
        if len(waiting) <= limits.BATCH_WRITES:
            picked = list(waiting.values())
            waiting.clear()
            self.forced = 0
        else:
            picked = [t for t in waiting.values() if t.forced][: limits.BATCH_WRITES]
            if len(picked) < limits.BATCH_WRITES:
                riding = (t for t in waiting.values() if not t.forced)
                picked.extend(t for _, t in zip(range(limits.BATCH_WRITES - len(picked)), riding, strict=False))
            for ticket in picked:
                del waiting[id(ticket)]
                self.forced -= ticket.forced
        for ticket in picked:
            ticket.write = ticket.owner.as_write()
            ticket.saga = ticket.owner.saga
            ticket.owner.ticket = None
        return picked

    def _begin(self, tickets: list[Ticket]) -> Commit:
        self.number += 1
        self.stepping = True
        self.beating = False
        self.under_way = tickets
        writes = [t.write for t in tickets if t.write is not None]
        return Commit(Batch(self.number, self.floor(), writes))

    # --- the store's answers

    def committed(self, outcome: BatchOutcome) -> None:
        """The batch is durable."""
        tickets = self._ended()
        self.commits += 1
        self.written += len(tickets)
        self.listener.durable(tickets, outcome)

    def settled(self, applied: bool) -> None:
        """The unanswered commit is known: durable, or to be tried again under a new number."""
        self.unknown = 0
        self.stepping = False
        if applied:
            self.committed(self.unknown_outcome)
        else:
            self.retry.appendleft(self._ended())

    def failed(self, error: StoreError, now: int, jitter: float) -> None:
        """The step failed. Only a fence and a poison row lose anything; all else is asked or tried again."""
        self.stepping = False
        if isinstance(error, Fenced):
            self.dead = True
            self.listener.fenced()
        elif self.unknown:
            self._back_off(error, now, jitter)
        elif isinstance(error, CommitUnknown):
            self.unknown = self.number
            self.unknown_outcome = error.outcome or BatchOutcome()
            self.trouble = error
        elif isinstance(error, RowRejected):
            self._reject(error)
        else:
            failures = self.failures
            self.retry.appendleft(self._ended())
            self.failures = failures
            self._back_off(error, now, jitter)

    def _ended(self) -> list[Ticket]:
        tickets = self.under_way or []
        self.under_way = None
        self.stepping = False
        self.failures = 0
        self.trouble = None
        return tickets

    def _back_off(self, error: StoreError, now: int, jitter: float) -> None:
        self.trouble = error
        self.failures += 1
        self.not_before = now + pause(self.failures, 0.05, jitter, cap=2.0)

    def _reject(self, error: RowRejected) -> None:
        """A row's data can't be stored: write the batch row by row; only the poison row fails."""
        tickets = self._ended()
        if len(tickets) == 1:
            self.listener.rejected(tickets[0], error)
        else:
            self.retry.extendleft([t] for t in reversed(tickets))
