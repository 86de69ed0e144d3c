"""``with troth.two_phase(gid) as tx``: enlist databases, use their connections; leaving commits all of them, or none."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Raw, structs

from troth.app.current import SCOPE, TWO_PHASE, Inside, in_loop
from troth.app.outcome import Until
from troth.app.reasons import why
from troth.app.tcc_tries import post
from troth.app.telling import open_branches, outcome_of
from troth.app.threads import next_item
from troth.app.transactions import Seen
from troth.app.two_phase_end import raise_taken, refuse_taken, seen_of
from troth.app.two_phase_tx import AsyncTransaction, SyncTransaction, Transaction
from troth.app.two_phase_votes import Tasks, aroll_back, roll_back, vote_in_tasks, vote_in_thread
from troth.core import twophase
from troth.core.plan import Plan
from troth.core.reply import NULL
from troth.core.words import State
from troth.engine.live import Live
from troth.engine.node import Node
from troth.engine.votes import Votes, Work
from troth.ports.errors import Cancelled, DefinitionError, NeedsAttention, NotAccepted, TrothError, WrongColour

if TYPE_CHECKING:
    from troth.app.troth import Troth

SPOILED = "a database could not be enlisted"


class Opening(NamedTuple):
    """What a two-phase transaction shall begin with.

    :param gid: given by the caller; None: generated.
    :param content: 16 bytes: what a repeat of the gid must have.
    :param timeout: seconds of its undecided part.
    :param vote_by: seconds within which all must have prepared.
    """

    plan: Plan
    gid: str | None
    content: bytes
    input: Raw
    timeout: float | None
    vote_by: float | None
    until: Until


class TwoPhase:
    """One transaction over several databases. Made by `Troth.two_phase`; entered once, with ``with`` or ``async with``.

    Leaving the block without an exception asks all databases to prepare, writes the decision down and commits them; an
    exception rolls all back and goes on.
    """

    def __init__(self, troth: Troth, opening: Opening) -> None:
        self._troth = troth
        self._opening = opening
        self._tx: Transaction | None = None
        self._entered = False
        self._outer: Inside | None = None
        self.result: Raw = NULL
        """What is kept with the decision: a decorated function's value."""

    # --- blocking

    def __enter__(self) -> SyncTransaction:
        if in_loop():
            blocking, right = "`with troth.two_phase(…)`", "async with troth.two_phase(…)"
            raise WrongColour(f"{blocking} would block the event loop that runs here. Write: {right}")
        self._fresh()
        node = self._troth.runtime.started()
        opening = self._opening
        slot: SimpleQueue[Any] = SimpleQueue()
        if opening.gid is not None and opening.gid not in node.driver.by_gid:
            refuse_taken(node.store.get(opening.gid), opening.gid, opening.content, opening.plan)
        post(node, begin_for, node, opening, slot)
        got = next_item(node, slot)
        if not isinstance(got, Votes):
            raise got or NotAccepted("this process's node has just stopped", 0.0)
        tx = SyncTransaction(self._troth, node, got, slot)
        self._opened(tx)
        return tx

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        tx = self._left(error)
        if not isinstance(tx, SyncTransaction):
            return
        node, votes = tx._node, tx._votes
        if error is not None or tx.rollback_only:
            if error is None or isinstance(error, Exception):
                roll_back(tx.parts)
            else:
                release(tx)
            quietly(post, node, votes.abort, *reason_of(tx, error))
            self._rolled_back(tx, error)
            return
        if threading.get_ident() != tx._thread:
            release(tx)
            quietly(post, node, votes.abort, "its block was left in another thread")
            raise DefinitionError(f"{tx.gid} was left in another thread than the one that opened it; all is rolled back.")
        vote_in_thread(node, votes, tx.slot, tx.parts, self.result, self._opening.until)
        seen = seen_of(votes)
        if seen is None:
            refuse_taken(node.store.get(tx.gid), tx.gid, self._opening.content, self._opening.plan)
            raise Cancelled(tx.gid, None, votes.live.saga.doc.reason)
        self._told(tx, seen)

    # --- awaited

    async def __aenter__(self) -> AsyncTransaction:
        self._fresh()
        node = await self._troth.runtime.anywhere()
        opening = self._opening
        tasks = Tasks(node)
        if opening.gid is not None and opening.gid not in node.driver.by_gid:
            found = await self._there(node, self._look(node, opening.gid))
            refuse_taken(found, opening.gid, opening.content, opening.plan)
        if tasks.here:
            tasks.votes = begin(node, opening, tasks.hand)
        else:
            tasks.votes = await self._troth.elsewhere(node, begin_there(node, opening, tasks.hand))
        tx = AsyncTransaction(self._troth, node, tasks.votes, tasks)
        self._opened(tx)
        return tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tx = self._left(error)
        if not isinstance(tx, AsyncTransaction):
            return
        node, votes = tx._node, tx._votes
        if error is not None or tx.rollback_only:
            if error is None or isinstance(error, Exception):
                await asyncio.shield(aroll_back(tx.parts))
            else:
                release(tx)
            quietly(tx.tasks.tell, votes.abort, *reason_of(tx, error))
            self._rolled_back(tx, error)
            return
        await vote_in_tasks(tx.tasks, tx.parts, self.result, self._opening.until)
        seen = seen_of(votes)
        if seen is None:
            found = await self._there(node, self._look(node, tx.gid))
            refuse_taken(found, tx.gid, self._opening.content, self._opening.plan)
            raise Cancelled(tx.gid, None, votes.live.saga.doc.reason)
        self._told(tx, seen)

    async def _there(self, node: Node, coroutine: Any) -> Any:
        return await (coroutine if node.loop is asyncio.get_running_loop() else self._troth.elsewhere(node, coroutine))

    @staticmethod
    async def _look(node: Node, gid: str) -> Any:
        return await node.io(node.store.get, gid)

    # --- both

    def _fresh(self) -> None:
        if self._entered:
            raise DefinitionError("this block was entered before: one block is one transaction. Call troth.two_phase(…) again.")
        self._entered = True

    def _opened(self, tx: Transaction) -> None:
        self._tx = tx
        self._outer = TWO_PHASE.get()
        TWO_PHASE.set(Inside(tx.current(), SCOPE.get()))

    def _left(self, error: BaseException | None) -> Transaction | None:
        """The transaction, if it ends here; in a forked child it doesn't."""
        tx = self._tx
        assert tx is not None
        TWO_PHASE.set(self._outer)
        if tx._pid != os.getpid():
            if error is None:
                raise DefinitionError(f"its end comes in a forked process: {tx.gid} belongs to the parent. Open one in the child.")
            return None
        tx.ended = True
        return tx

    def _rolled_back(self, tx: Transaction, error: BaseException | None) -> None:
        """Keep the outcome; raise where no exception says it."""
        live = tx._votes.live
        doc = live.saga.doc
        reason = reason_of(tx, error)[0]
        if doc.state is not State.CANCELLED:
            tx._outcome = outcome_of(cancelled(live, reason), None)
        else:
            tx._outcome = outcome_of(doc, None)
        if error is None:
            raise Cancelled(tx.gid, None, tx.spoiled or doc.reason)

    def _told(self, tx: Transaction, seen: Seen) -> None:
        """Keep the outcome; raise what the block's own code can't know: that all was rolled back, or a person is needed."""
        doc = seen.doc
        tx._outcome = outcome_of(doc, None)
        if doc.state is State.FAILED:
            raise NeedsAttention(doc.gid, open_branches(doc), doc.reason)
        if doc.phase is State.CANCELLING:
            raise Cancelled(doc.gid, doc.step or None, doc.reason) from seen.cause


def cancelled(live: Live, reason: str) -> Any:
    """The state of a transaction whose abort is on its way to its node."""
    return structs.replace(live.saga.doc, state=State.CANCELLED, phase=State.CANCELLING, reason=reason)


def reason_of(tx: Transaction, error: BaseException | None) -> tuple[str, str]:
    """(why it is rolled back, the branch that caused it or "")."""
    return (tx.spoiled or tx._votes.live.saga.doc.reason or SPOILED, "") if error is None else why(error)


def release(tx: Transaction) -> None:
    """Give the connections up without waiting for anything: what isn't prepared is rolled back by that."""
    for part in tx.parts:
        part.enlisted.release()


def quietly(function: Callable[..., object], *args: Any) -> None:
    """Tell a node that may be gone, and with it all that was to be told."""
    try:
        function(*args)
    except TrothError:
        return


# --- on the loop's thread


def begin(node: Node, opening: Opening, hand: Callable[[Work], None]) -> Votes:
    """Begin it: nothing is written.

    :raises AlreadyBegun: this node drives one of that gid.
    :raises GidConflict: it belongs to something else.
    :raises NotAccepted: the node takes nothing new.
    """
    gid = opening.gid
    if gid is not None and (taken := node.driver.by_gid.get(gid)) is not None:
        raise_taken(taken.saga.doc, taken.content, opening.content, opening.plan)
    node.driver.admit()
    uid = node.new_uid()
    node.counters["transactions"] += 1
    live = node.driver.begin(
        opening.plan, gid=gid or f"tx-{uid.hex()}", uid=uid, content=opening.content, input=opening.input, fresh=gid is None,
        timeout=opening.timeout, host=lambda live: Votes(node, live, hand),
        opening=partial(twophase.begin, incarnation=node.incarnation, vote_by=opening.vote_by),
    )  # fmt: skip
    votes: Votes = live.host
    return votes


async def begin_there(node: Node, opening: Opening, hand: Callable[[Work], None]) -> Votes:
    """`begin`, to be sent to the node's loop."""
    return begin(node, opening, hand)


def begin_for(node: Node, opening: Opening, slot: SimpleQueue[Any]) -> None:
    """`begin` for a thread that waits at the slot."""
    try:
        slot.put(begin(node, opening, slot.put))
    except BaseException as error:
        slot.put(error)


