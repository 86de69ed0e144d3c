"""The journal's rules: group commit, forced and riding writes, unknown commits, poison rows. No thread, no clock, no I/O.

A shell asks `next_step` what to do with the store, does it, and reports. One step is under way at a time; whatever waits when
it ends goes into the next batch as one store transaction (group commit). The thread shell is `engine.writer`; the simulator
is another shell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple, Protocol

from troth.core import limits
from troth.core.quick import made
from troth.core.retry import MICRO, pause
from troth.core.state import Saga
from troth.ports.errors import CommitUnknown, Fenced, RowRejected, StoreError
from troth.ports.store import Batch, BatchOutcome, Write

RIDE: Final = int(limits.RIDE_SECONDS * MICRO)
"""Microseconds that a riding write waits for something to go with."""
LARGE: Final = 32
"""Forced writes of a batch that takes no riding write along before its time."""


class Journaled(Protocol):
    """Something with a row in the log."""

    rev: int
    saga: Saga

    def as_write(self) -> Write: ...


class Ticket(NamedTuple):
    """One write in a batch.

    :ivar rev: the revision that it holds.
    :ivar saga: the state that it holds.
    """

    owner: Journaled
    rev: int
    saga: Saga
    write: Write


def ticket_of(owner: Journaled) -> Ticket:
    """The owner's newest state, for a batch."""
    ticket: Ticket = made(Ticket, (owner, owner.rev, owner.saga, owner.as_write()))
    return ticket


class Commit(NamedTuple):
    """Step: `Store.commit` this batch."""

    batch: Batch


class Settle(NamedTuple):
    """Step: `Store.settle` this batch number: was the unanswered commit applied, and what of it?"""

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
        self.waiting: dict[Journaled, None] = {}
        """Whose newest state someone waits for, oldest first: newer states of a transaction take the place of older ones."""
        self.riding: dict[Journaled, int] = {}
        """Whose newest state nobody waits for, and since when (microseconds)."""
        self.retry: deque[list[Ticket]] = deque()
        """Batches to be tried again, before anything new: each a list of tickets."""
        self.under_way: list[Ticket] | None = None
        self.unknown = 0
        """The number of a batch whose commit got no answer; 0: none."""
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

    def force(self, owner: Journaled) -> None:
        """Have the owner's newest state written with the next batch: someone waits for it."""
        waiting = self.waiting
        if owner not in waiting:
            waiting[owner] = None
            self.awaited += 1
            if self.riding:
                self.riding.pop(owner, None)

    def ride(self, owner: Journaled, now: int) -> None:
        """Have the owner's newest state written with something that is written later."""
        if owner not in self.riding and owner not in self.waiting:
            self.riding[owner] = now

    def drop(self, owner: Journaled) -> None:
        """Forget what of the owner waits."""
        self.waiting.pop(owner, None)
        self.riding.pop(owner, None)

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
        waiting = len(self.waiting) + len(self.riding)
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
        if self.waiting or self.beating or len(self.riding) >= limits.BATCH_WRITES:
            return self._begin(self._pick(now))
        return self._riding_step(now)

    def _riding_step(self, now: int) -> Step:
        """Riding writes go alone only when nothing has carried them for a while."""
        for since in self.riding.values():
            due = since + RIDE
            return self._begin(self._pick(now)) if now >= due else Wait(due)
        return None

    def _pick(self, now: int) -> list[Ticket]:
        """What goes into the next batch: forced writes first, then riding ones, oldest first.

        A large group leaves riding writes that are young behind: the next forced write of their transaction will likely
        hold what they hold.
        """
        waiting, riding = self.waiting, self.riding
        if len(waiting) <= limits.BATCH_WRITES:
            picked = [ticket_of(owner) for owner in waiting]
            waiting.clear()
        else:
            picked = [ticket_of(owner) for owner in islice(waiting, limits.BATCH_WRITES)]
            for ticket in picked:
                del waiting[ticket.owner]
        if riding:
            aboard = limits.BATCH_WRITES - len(picked) if len(picked) < LARGE else 0
            for owner, since in list(islice(riding.items(), limits.BATCH_WRITES - len(picked))):
                if aboard <= 0 and now < since + RIDE:
                    break
                aboard -= 1
                del riding[owner]
                picked.append(ticket_of(owner))
        return picked

    def _begin(self, tickets: list[Ticket]) -> Commit:
        self.number += 1
        self.stepping = True
        self.beating = False
        self.under_way = tickets
        return Commit(Batch(self.number, self.floor(), [t.write for t in tickets]))

    # --- the store's answers

    def committed(self, outcome: BatchOutcome) -> None:
        """The batch is durable."""
        tickets = self._ended()
        self.commits += 1
        self.written += len(tickets)
        self.listener.durable(tickets, outcome)

    def settled(self, outcome: BatchOutcome | None) -> None:
        """The unanswered commit is known: durable, or (None) to be tried again under a new number."""
        self.unknown = 0
        self.stepping = False
        if outcome is not None:
            self.committed(outcome)
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
