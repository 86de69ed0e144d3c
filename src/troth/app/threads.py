"""Function sagas that are plain ``def``: run in their caller's thread, or in one of the node's, which waits for answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from msgspec import Raw

from troth.app.current import SCOPE, FunctionScope
from troth.app.reasons import why
from troth.app.saga import Saga
from troth.core import limits
from troth.core.move import Rerun
from troth.core.quick import Op, Word
from troth.core.reply import Reply
from troth.engine.calls import safely
from troth.engine.live import Live
from troth.engine.node import LONG_PAUSE, Node
from troth.engine.participants import Host, Participant
from troth.engine.runs import RunOver
from troth.ports.caller import Call

R = TypeVar("R")
LOOK_SECONDS = 1.0
"""How often a thread that waits looks whether the node's loop is still there."""
Slot = SimpleQueue[Any]
"""Where a thread waits: for `Answer`, `Work`, `Go` or `Told`."""


class Answer(NamedTuple):
    """What a call got: an encoded result, or what it raises."""

    value: Raw | BaseException | None


class Work(NamedTuple):
    """A step to run in the waiting thread."""

    branch: int
    call: Call
    participant: Participant


class Told(NamedTuple):
    """There is something to tell about the transaction."""

    live: Live


class Refusal(NamedTuple):
    """The transaction was not begun."""

    error: BaseException


class Go(NamedTuple):
    """Run the function now."""

    host: SyncHost


class SyncHost(Host):
    """Runs a sync function in a thread.

    :param slot: the caller's, who will run the function when told to `Go`; None: the node's own threads run it.
    """

    def __init__(
        self, node: Node, live: Live, saga: Saga[Any, Any], slot: Slot | None = None, context: Context | None = None
    ) -> None:
        super().__init__(node.driver, live)
        self.node = node
        self.saga = saga
        self.slot = slot
        self.base = context if context is not None else Context()
        self.slots: dict[int, Slot] = {}
        self.contexts: dict[int, Context] = {}
        self.calling: tuple[Slot, Context] | None = None

    # --- on the loop's thread

    def start(self) -> None:
        """Have the caller's thread run the function, or one of the node's."""
        if self.slot is not None:
            self.slot.put(Go(self))
        else:
            self.node.runs.submit(self.saga.name, self.base.copy().run, self.run, SimpleQueue())

    def take(self, index: int, call: Call, participant: Participant) -> bool:
        """A step whose caller waits is run in its thread."""
        slot = self.slots.get(index) or (self.calling[0] if self.calling else None)
        if slot is None or self.over or call.op not in (Op.ACTION, Op.CHECK) or participant.is_async(call.op):
            return False
        slot.put(Work(index, call, participant))
        return True

    def context(self, index: int) -> Context | None:
        """A copy of the context in which the step was called: what an attempt sets stays in it."""
        context = self.contexts.get(index) or (self.calling[1] if self.calling else None)
        return None if context is None else context.copy()

    def _call(self, place: str, name: str, args: Raw, slot: Slot, context: Context, scope: FunctionScope) -> None:
        self.calling = (slot, context)

        def answered(answer: Raw | BaseException) -> None:
            if index >= 0:
                self.slots.pop(index, None)
                self.contexts.pop(index, None)
            answers.append(answer)
            slot.put(Answer(answer))

        index = -1
        answers: list[Any] = []
        try:
            index = self.call(place, name, args, answered)
        except BaseException as error:
            slot.put(Answer(error))
            return
        finally:
            self.calling = None
        scope.collect(index)
        if not answers:
            self.slots[index] = slot
            self.contexts[index] = context
            if self.live.saga.doc.branches[index].due > self.node.now() + LONG_PAUSE:
                self.paused(index)

    def _ask(self, slot: Slot, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            slot.put(Answer(function(*args)))
        except BaseException as error:
            slot.put(Answer(error))

    def paused(self, index: int) -> None:
        """A run without a caller gives its thread back; it is begun again when the call is settled."""
        if self.slot is None and index in self.waiting:
            self.drop(park=True)

    def drop(self, *, park: bool) -> None:
        """Have the function's thread leave it; another run takes its place, at once or later."""
        if not self.over:
            self._release()
            self.driver.feed(self.live, Rerun(self.node.now(), park))

    def _release(self) -> None:
        """Have every thread that waits for an answer leave the function."""
        self.over = True
        waiting, self.waiting = self.waiting, {}
        for answers in waiting.values():
            for answered in answers:
                answered(RunOver(self.live.gid))

    def rerun(self, slot: Slot | None = None) -> None:
        """The function's thread was taken away (a signal): run the function again in one of the node's.

        :param slot: where nobody reads any more.
        """
        if self.over or self.node.stopping or self.node.dead:
            return
        self._release()
        while slot is not None and not slot.empty():
            item = slot.get()
            if isinstance(item, Work):
                reply = Reply(Word.NOT_DONE, reason="its thread was interrupted before it began")
                self.node.replied(self.live, item.branch, item.call.op, item.call.attempt, reply)
        if self.slot is not None:
            self._begin_again()
        else:  # not at once: one that always leaves so would keep the threads busy
            self.node.loop.call_later(limits.RETRY_INTERVAL, self._begin_again)

    def _begin_again(self) -> None:
        self.driver.feed(self.live, Rerun(self.node.now()))

    # --- on the function's thread

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have something done on the loop's thread."""
        try:
            self.node.loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            raise RunOver(self.live.gid) from None

    def run(self, slot: Slot) -> None:
        """The function, from its beginning to its end."""
        token = SCOPE.set(FunctionScope(self, "0", threading.get_ident(), slot))
        try:
            given = self.saga.load(self.live.saga.doc.input)
            value = self.saga.fn(*given.args, **given.kwargs)
            result = self.saga.encode_result(value)
        except RunOver:
            return
        except Exception as error:
            self.live.error = error
            self._say(self.raised, *why(error), self.node.luck.draw())
        except BaseException:
            self._say(self.rerun, slot)
            if self.slot is not None:
                raise
        else:
            self._say(self.returned, result)
        finally:
            SCOPE.reset(token)

    def _say(self, function: Callable[..., object], *args: Any) -> None:
        """`post` for a last word: if nobody is left to hear it, what becomes of the transaction is decided elsewhere."""
        try:
            self.post(function, *args)
        except RunOver:
            return

    def call_step(self, scope: FunctionScope, name: str, args: Raw, decode: Callable[[Raw], R]) -> R:
        """Record the call, wait for its answer, run the step here meanwhile if asked to."""
        slot = self._slot(scope)
        self.post(self._call, scope.place, name, args, slot, copy_context(), scope)
        return decode(self.answer_from(slot))

    def ask(self, scope: FunctionScope, function: Callable[..., R], *args: Any) -> R:
        """The value of something that is known on the loop's thread."""
        slot = self._slot(scope)
        self.post(self._ask, slot, function, args)
        value: R = self.answer_from(slot)
        return value

    def leave(self, scope: FunctionScope, branches: list[int]) -> None:
        """An exception leaves an inner saga: wait until what it owes is recorded."""
        slot = self._slot(scope)

        def start() -> None:
            try:
                self.abandon(tuple(branches), lambda: slot.put(Answer(None)))
            except BaseException as error:
                slot.put(Answer(error))

        self.post(start)
        self.answer_from(slot)

    def _slot(self, scope: FunctionScope) -> Slot:
        if scope.slot is None:
            raise RunOver(self.live.gid)
        return scope.slot

    def answer_from(self, slot: Slot) -> Any:
        """Wait for an answer; run steps here when asked to."""
        while True:
            item = next_item(self.node, slot)
            if item is None:
                raise RunOver(self.live.gid)
            if isinstance(item, Answer):
                if isinstance(item.value, BaseException):
                    raise item.value
                return item.value
            if isinstance(item, Work):
                self.work(item)

    def work(self, item: Work) -> None:
        """Run a step in this thread and report. A signal that hit it goes on to whom it was meant for."""
        reply = copy_context().run(safely, item.participant, item.call)
        self.post(self.node.replied, self.live, item.branch, item.call.op, item.call.attempt, reply)
        if self.slot is not None and reply.cause is not None and not isinstance(reply.cause, Exception):
            raise reply.cause


def next_item(node: Node, slot: Slot) -> Any:
    """What comes into a slot next; None if nothing will, because the node's loop is gone."""
    while True:
        try:
            return slot.get(timeout=LOOK_SECONDS)
        except Empty:
            if node.loop.is_closed():
                return None


def parallel(scope: FunctionScope, thunks: tuple[Callable[[], Any], ...]) -> list[Any]:
    """Run the parts side by side, each in a thread of its own with a place of its own; all end before the first error is raised."""
    scope.check_owner("troth.parallel")
    places = scope.parts(len(thunks))
    results: list[Any] = [None] * len(thunks)
    errors: list[BaseException | None] = [None] * len(thunks)

    def part(number: int, thunk: Callable[[], Any]) -> None:
        SCOPE.set(FunctionScope(scope.host, places[number], threading.get_ident(), SimpleQueue(), scope.collectors))
        try:
            results[number] = thunk()
        except BaseException as error:
            errors[number] = error

    threads = [
        threading.Thread(target=copy_context().run, args=(part, number, thunk), name="troth-parallel", daemon=True)
        for number, thunk in enumerate(thunks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    raised = [error for error in errors if error is not None]
    for error in raised:
        if isinstance(error, RunOver):
            raise error
    if raised:
        raise raised[0]
    return results
