"""Who asks the enlisted connections of a two-phase transaction: the code that opened it, where it opened them.

The host of the transaction's `Live`. A prepare, and the first commit or rollback of each branch, is handed to that code; it
has a connection open already, and a sync one must not be used in another thread. Whatever comes later is done by
`troth.engine.branches`. All methods are called where the driver runs, but `hand`, which is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, Final, NamedTuple

from msgspec import Raw

from troth.core import limits
from troth.core.move import Aborted, Enlisted, Submitted
from troth.core.quick import Op, State, Word
from troth.core.reply import Reply
from troth.engine import branches
from troth.engine.calls import InFlight
from troth.engine.live import Live
from troth.engine.node import Node
from troth.engine.participants import Participant
from troth.ports.caller import Call
from troth.ports.resource import READ_ONLY

OURS: Final = (Op.PREPARE, Op.COMMIT, Op.ROLLBACK)


class Part(NamedTuple):
    """One database of a transaction.

    :param enlisted: the branch in the making (`troth.ports.resource.Enlisted`, or its awaited twin).
    """

    database: str
    prepares: bool
    args: Raw
    enlisted: Any


class Work(NamedTuple):
    """What an enlisted connection is asked."""

    branch: int
    call: Call
    participant: Participant
    enlisted: Any


class Votes:
    """The enlisted connections of one transaction, and who waits for its decision.

    :param hand: takes `Work` to the code that has the connections; answered through `replied`.
    :ivar over: told once the code has nothing left to do, and at the latest when nothing more can be told.
    """

    used = True

    def __init__(self, node: Node, live: Live, hand: Callable[[Work], None]) -> None:
        self.node = node
        self.live = live
        self.hand = hand
        self.open: dict[int, Any] = {}
        """By index, the connections whose branch has not ended here."""
        self.out: dict[int, Work] = {}
        """What was handed over and not answered."""
        self.until = "decided"
        self.over: Callable[[], None] | None = None

    # --- what the code does

    def submit(self, parts: Sequence[Part], result: Raw, until: str, over: Callable[[], None]) -> None:
        """The end without an exception: vote.

        :param until: ``decided``: ``over`` is called once it is, and each connection has been asked to commit, or rolled
            back. ``finished``: once the outcome is in the log.
        """
        live, node = self.live, self.node
        self.over, self.until = over, until
        if live.gone or live.saga.doc.phase is not State.TRYING:
            self._tell(live)
            return
        ids = [branches.id_of(part.database) for part in parts]
        for index, part in enumerate(parts):
            self.open[index] = part.enlisted
            name = branches.name_of(part.database)
            node.driver.feed(live, Enlisted(node.now(), ids[index], name, part.prepares, part.args))
        node.driver.watch(live, "finished", self._told)
        node.driver.feed(live, Submitted(node.now(), tuple(ids), result))

    def abort(self, reason: str, step: str = "") -> None:
        """The end by an exception: the connections are rolled back already."""
        if not self.live.gone:
            self.node.driver.feed(self.live, Aborted(self.node.now(), reason[: limits.REASON_LENGTH], step))

    def replied(self, work: Work, reply: Reply) -> None:
        """An enlisted connection answered."""
        call = work.call
        self.out.pop(work.branch, None)
        if call.op is not Op.PREPARE or reply.word is Word.REFUSED or reply.result == READ_ONLY:
            self.open.pop(work.branch, None)
        leaves = self.over is not None and self.until == "decided" and not self.open and not self.out
        if leaves:
            self.live.waiters[:] = [waiter for waiter in self.live.waiters if waiter[1] != self._told]
        self.node.replied(self.live, work.branch, call.op, call.attempt, reply)
        if leaves:
            self._left()

    def leave(self) -> None:
        """The code that has the connections is gone: what it has not done goes to the databases themselves."""
        self.over = None
        self.open.clear()
        out, self.out = self.out, {}
        for work in () if self.live.gone else out.values():
            self.node.calls.start(InFlight(self.live, work.branch, work.call, work.participant, Context()))

    def _left(self) -> None:
        """Each connection was asked. What can be told now is told; one that needs a person is told when that is durable."""
        live = self.live
        if live.saga.doc.state is State.FAILED and not live.gone:
            self.node.driver.watch(live, "finished", self._tell)
        else:
            self._tell(live)

    def _told(self, live: Live) -> None:
        """The driver's word. Where the gid is another's, what is prepared is rolled back first."""
        if live.lost is not None and live.lost[0] == "conflict" and self.open:
            self.node.driver.watch(live, "finished", self._tell)
        else:
            self._tell(live)

    def _tell(self, live: Live) -> None:
        over = self.over
        self.leave()
        if over is not None:
            over()

    # --- what a node asks of a host

    def take(self, index: int, call: Call, participant: Participant) -> bool:
        """A branch's own connection is asked as long as it is open."""
        enlisted = self.open.get(index)
        if enlisted is None or call.op not in OURS:
            return False
        work = Work(index, call, participant, enlisted)
        self.out[index] = work
        self.hand(work)
        return True

    def context(self, index: int) -> Context | None:
        """Databases need none."""
        return None

    def paused(self, index: int) -> None:
        """Nobody waits for a single call."""

    def answer(self, index: int) -> None:
        """Nobody waits for a single call."""

    def stop(self) -> None:
        """It is decided to cancel, or no longer driven here; who waits is told by the driver."""
