"""Who waits for tries in this process: hosts that have a sync try run in the very thread that waits for it.

A thread that waits for a try and holds another one's place could use the pool up: a try that calls further ones would
then wait for itself. So whoever waits lends its thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from msgspec import Raw

from troth.app.coroutines import StepCall
from troth.app.runtime import STOPPED
from troth.app.threads import Answer, next_item
from troth.core.move import Aborted
from troth.core.quick import Op, Word
from troth.core.reply import Reply
from troth.engine.calls import safely
from troth.engine.live import Live
from troth.engine.node import Node
from troth.engine.participants import Participant
from troth.engine.tries import Initiator, Tries
from troth.engine.waited import Answered
from troth.ports.caller import Call
from troth.ports.errors import NotAccepted

R = TypeVar("R")
Slot = SimpleQueue[Any]
"""Where a thread waits: for `Answer` or `Work`."""
Register = Callable[[Answered], int]
"""Registers a branch; returns its index."""


class Work(NamedTuple):
    """A try to run in the waiting thread."""

    live: Live
    branch: int
    call: Call
    participant: Participant


class Waited(Tries):
    """Tries that code of this process waits for. All methods are called on the loop's thread.

    :ivar slots: by branch index, where the thread waits that lends itself to the try.
    :ivar contexts: by branch index, the context of the call.
    """

    def __init__(self, node: Node, live: Live) -> None:
        super().__init__(node.driver, live)
        self.node = node
        self.slots: dict[int, Slot] = {}
        self.contexts: dict[int, Context] = {}
        self.calling: tuple[Slot | None, Context] | None = None

    def take(self, index: int, call: Call, participant: Participant) -> bool:
        """A sync try whose caller waits in a thread is run there."""
        slot = self.slots.get(index) or (self.calling[0] if self.calling else None)
        if slot is None or call.op is not Op.TRY or participant.is_async(call.op):
            return False
        slot.put(Work(self.live, index, call, participant))
        return True

    def context(self, index: int) -> Context | None:
        """A copy of the context in which the try was called: what an attempt sets stays in it."""
        context = self.contexts.get(index) or (self.calling[1] if self.calling else None)
        return None if context is None else context.copy()

    def ask(self, register: Register, context: Context, slot: Slot | None, answered: Answered) -> int:
        """Register a try; ``answered`` gets its result, or what it raises. Returns its index, or -1."""
        index = -1
        early: list[Any] = []

        def told(answer: Raw | BaseException) -> None:
            self.slots.pop(index, None)
            self.contexts.pop(index, None)
            early.append(answer)
            answered(answer)

        self.calling = (slot, context)
        try:
            index = register(told)
        except BaseException as error:
            answered(error)
            return -1
        finally:
            self.calling = None
        if not early:
            self.contexts[index] = context
            if slot is not None:
                self.slots[index] = slot
        return index

    def gave_up(self, index: int) -> None:
        """The caller stopped waiting: without an answer nothing can be confirmed."""
        if index in self.waiting and not self.over:
            branch = self.live.saga.doc.branches[index]
            reason = f"{branch.name}: its caller stopped waiting for it"
            self.driver.feed(self.live, Aborted(self.node.now(), reason, branch.id))

    def thread_left(self, slot: Slot) -> None:
        """The thread that waited at the slot was taken away (a signal): nobody reads there any more."""
        indexes = [index for index, lent in self.slots.items() if lent is slot]
        for index in indexes:
            del self.slots[index]
        while not slot.empty():
            item = slot.get()
            if isinstance(item, Work):
                reply = Reply(Word.NOT_DONE, reason="its thread was interrupted before it began")
                self.node.replied(item.live, item.branch, item.call.op, item.call.attempt, reply)
        for index in indexes:
            self.gave_up(index)


class Opened(Waited, Initiator):
    """A transaction that a block of this process has opened."""

    def gave_up(self, index: int) -> None:
        """As for an initiator's call; a child's is none of its own, and means the same."""
        self.left(index)


def waited_of(node: Node, live: Live) -> Waited:
    """The host of a transaction that is driven here, made if it has none."""
    if live.host is None:
        live.host = Waited(node, live)
    host: Waited = live.host
    return host


# --- from a thread


def ask_blocking(node: Node, host: Callable[[], Waited], call: Callable[[Waited, Answered], int]) -> Raw:
    """Have a try registered, wait for its answer, run it here meanwhile if asked to.

    :param host: finds the host, on the loop's thread.
    :param call: registers the try with it.
    """
    slot: Slot = SimpleQueue()
    context = copy_context()

    def begin() -> None:
        try:
            waited = host()
        except BaseException as error:
            slot.put(Answer(error))
            return
        waited.ask(lambda told: call(waited, told), context, slot, lambda answer: slot.put(Answer(answer)))

    post(node, begin)
    try:
        return wait_at(node, slot)
    except Exception:
        raise
    except BaseException:
        post(node, lambda: host().thread_left(slot))
        raise


def wait_at(node: Node, slot: Slot) -> Raw:
    """Wait for an answer; run tries here when asked to. A signal that hit one goes on to whom it was meant for.

    :raises TimeoutError: the node's loop is gone.
    """
    while True:
        item = next_item(node, slot)
        if item is None:
            raise TimeoutError(STOPPED)
        if isinstance(item, Answer):
            if isinstance(item.value, BaseException):
                raise item.value
            assert item.value is not None
            return item.value
        reply = copy_context().run(safely, item.participant, item.call)
        post(node, node.replied, item.live, item.branch, item.call.op, item.call.attempt, reply)
        if reply.cause is not None and not isinstance(reply.cause, Exception):
            raise reply.cause


def post(node: Node, function: Callable[..., object], *args: Any) -> None:
    """Have something done on the loop's thread.

    :raises NotAccepted: the loop is gone.
    """
    try:
        node.loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        raise NotAccepted("this process's node has just stopped", 0.0) from None


# --- from a coroutine


class TryCall(StepCall[R]):
    """A try that is under way: a coroutine, so that ``gather`` and ``TaskGroup`` take it; one never awaited is made too."""

    __slots__ = ("_left",)

    def __init__(self, future: asyncio.Future[Any], decode: Callable[[Raw], R], left: Callable[[], None]) -> None:
        super().__init__(future, decode)
        self._left = left

    def __await__(self) -> Generator[Any, Any, R]:
        try:
            value = yield from super().__await__()
        except (asyncio.CancelledError, GeneratorExit):
            self._left()
            raise
        return value


def ask_awaited(
    node: Node, host: Callable[[], Waited], call: Callable[[Waited, Answered], int], decode: Callable[[Raw], R]
) -> TryCall[R]:
    """Have a try registered, now, in call order, and return what can be awaited for it."""
    loop = asyncio.get_running_loop()
    here = loop is node.loop
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()
    asked: list[tuple[Waited, int]] = []

    def settle(answer: Any) -> None:
        if not future.done():
            future.set_result(answer)

    def answered(answer: Any) -> None:
        if here:
            settle(answer)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer)

    def begin() -> None:
        try:
            waited = host()
        except BaseException as error:
            answered(error)
            return
        asked.append((waited, waited.ask(lambda told: call(waited, told), context, None, answered)))

    def left() -> None:
        for waited, index in asked:
            waited.gave_up(index)

    if here:
        begin()
        return TryCall(future, decode, left)
    post(node, begin)
    return TryCall(future, decode, lambda: post(node, left))
