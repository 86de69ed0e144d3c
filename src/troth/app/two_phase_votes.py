"""Asking enlisted connections to prepare, commit and roll back: in the thread that enlisted them, or in tasks of its loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Final

from msgspec import Raw

from troth.app.runtime import STOPPED
from troth.app.tcc_tries import post
from troth.app.threads import next_item
from troth.core.quick import Op, Word
from troth.core.reply import Reply
from troth.engine.node import Node
from troth.engine.votes import Part, Votes, Work
from troth.ports.errors import NotAccepted

OVER: Final = object()
"""Into the slot: nothing is left to do."""
NOT_WRITTEN: Final = ("refused", "rejected")
"""Why a node lost a transaction, where its log holds nothing of it and never will."""


def never_written(votes: Votes) -> bool:
    """Is it certain that the log holds no decision, and never will? Then what is prepared can be rolled back at once."""
    live = votes.live
    return live.lost is not None and live.lost[0] in NOT_WRITTEN and live.durable is None


def unknown(error: BaseException) -> Reply:
    """The answer of a connection that gave none."""
    return Reply(Word.UNKNOWN, reason=f"{type(error).__name__}: {error}", cause=error)


# --- in a thread


def ask(work: Work) -> Reply:
    """One op on a connection, which is given back with a branch's last one."""
    enlisted, op = work.enlisted, work.call.op
    try:
        if op is Op.PREPARE:
            reply: Reply = enlisted.prepare()
            return reply
        reply = enlisted.commit() if op is Op.COMMIT else enlisted.rollback()
    except BaseException as error:
        reply = unknown(error)
    if op is not Op.PREPARE:
        enlisted.release()
    return reply


def vote_in_thread(node: Node, votes: Votes, slot: SimpleQueue[Any], parts: Sequence[Part], result: Raw, until: str) -> None:
    """Have it decided; do here what the connections are asked meanwhile.

    :raises TimeoutError: the node's loop is gone; what is prepared is settled by another node.
    """

    def begin() -> None:
        try:
            votes.submit(parts, result, until, lambda: slot.put(OVER))
        except BaseException as error:
            slot.put(error)

    try:
        post(node, begin)
        while (item := next_item(node, slot)) is not OVER:
            if item is None:
                raise TimeoutError(STOPPED)
            if isinstance(item, BaseException):
                raise item
            reply = ask(item)
            post(node, votes.replied, item, reply)
            if reply.cause is not None and not isinstance(reply.cause, Exception):
                raise reply.cause
    except BaseException:
        leave(node, votes)
        raise
    finally:
        give_back(votes, parts)


def leave(node: Node, votes: Votes) -> None:
    """Nobody is left who could ask the connections."""
    try:
        post(node, votes.leave)
    except NotAccepted:  # its loop is gone, and so is all that it drove
        return


def give_back(votes: Votes, parts: Sequence[Part]) -> None:
    """Give back all connections that still are here; what is prepared stays so, unless it can only be rolled back."""
    undo = never_written(votes)
    for part in parts:
        if undo:
            part.enlisted.rollback()
        part.enlisted.release()


def roll_back(parts: Sequence[Part]) -> None:
    """Nothing is prepared: roll back, so that the connections can be used again."""
    for part in parts:
        part.enlisted.rollback()
        part.enlisted.release()


# --- in tasks


async def aask(work: Work) -> Reply:
    """`ask` in the other colour."""
    enlisted, op = work.enlisted, work.call.op
    try:
        if op is Op.PREPARE:
            reply: Reply = await enlisted.aprepare()
            return reply
        reply = await (enlisted.acommit() if op is Op.COMMIT else enlisted.arollback())
    except BaseException as error:
        reply = unknown(error)
    if op is not Op.PREPARE:
        enlisted.release()
    return reply


class Tasks:
    """Runs what the connections of one transaction are asked, side by side, on the loop that enlisted them.

    :ivar running: the tasks; they go on when nobody waits for the transaction any more.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.loop = asyncio.get_running_loop()
        self.here = self.loop is node.loop
        self.running: set[asyncio.Task[None]] = set()
        self.votes: Votes | None = None

    def hand(self, work: Work) -> None:
        """Take work; called where the driver runs."""
        if self.here:
            self._launch(work)
            return
        try:
            self.loop.call_soon_threadsafe(self._launch, work)
        except RuntimeError as error:  # the loop that has the connections is closed
            self.node.loop.call_soon(self._replied, work, unknown(error))

    def tell(self, function: Callable[..., object], *args: Any) -> None:
        """Have something done where the driver runs."""
        if self.here:
            function(*args)
        else:
            post(self.node, function, *args)

    def _launch(self, work: Work) -> None:
        task = self.loop.create_task(self._run(work), name=f"troth-{work.call.op}")
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def _run(self, work: Work) -> None:
        reply = await aask(work)
        try:
            self.tell(self._replied, work, reply)
        except NotAccepted:  # the node's loop is gone: another node finds what is prepared
            work.enlisted.release()

    def _replied(self, work: Work, reply: Reply) -> None:
        assert self.votes is not None
        self.votes.replied(work, reply)


async def vote_in_tasks(tasks: Tasks, parts: Sequence[Part], result: Raw, until: str) -> None:
    """`vote_in_thread` in the other colour. Cancelling the wait cancels nothing but the waiting."""
    loop, votes = tasks.loop, tasks.votes
    assert votes is not None
    told: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None = None) -> None:
        if told.done():
            return
        if error is None:
            told.set_result(None)
        else:
            told.set_exception(error)

    def over() -> None:
        if tasks.here:
            settle()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(settle)

    def begin() -> None:
        try:
            votes.submit(parts, result, until, over)
        except BaseException as error:
            loop.call_soon_threadsafe(settle, error)

    tasks.tell(begin)
    waiting = loop.create_task(_wait(told, votes, parts), name="troth-two-phase")
    tasks.running.add(waiting)
    waiting.add_done_callback(tasks.running.discard)
    await asyncio.shield(waiting)


async def _wait(told: asyncio.Future[None], votes: Votes, parts: Sequence[Part]) -> None:
    try:
        await told
    finally:
        undo = never_written(votes)
        for part in parts:
            if undo:
                await part.enlisted.arollback()
            part.enlisted.release()


async def aroll_back(parts: Sequence[Part]) -> None:
    """`roll_back` in the other colour."""
    for part in parts:
        await part.enlisted.arollback()
        part.enlisted.release()
