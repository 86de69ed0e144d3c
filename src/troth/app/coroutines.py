"""Function sagas that are ``async def``: run as a task of the engine's, their step calls awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, Generic, TypeVar

from msgspec import Raw

from troth.app.current import SCOPE, FunctionScope
from troth.app.reasons import why
from troth.app.saga import Saga
from troth.core import limits
from troth.core.move import Rerun
from troth.engine.live import Live
from troth.engine.node import Node
from troth.engine.participants import Host
from troth.engine.runs import RunOver

R = TypeVar("R")


class AsyncHost(Host):
    """Runs an async function on the node's loop.

    :param context: the caller's context, copied; None: an empty one.
    """

    def __init__(self, node: Node, live: Live, saga: Saga[Any, Any], context: Context | None = None) -> None:
        super().__init__(node.driver, live)
        self.node = node
        self.saga = saga
        self.base = context if context is not None else Context()
        self.contexts: dict[int, Context] = {}
        self.calling: Context | None = None
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Launch the function in a task that the node keeps."""
        task = self.task = self.node.loop.create_task(self._run(), context=self.base)
        self.node.calls.tasks.add(task)

    def context(self, index: int) -> Context | None:
        """A copy of the context in which the step was called, its spans and request ids: what an attempt sets stays in it."""
        context = self.contexts.get(index) or self.calling
        return None if context is None else context.copy()

    async def _run(self) -> None:
        SCOPE.set(FunctionScope(self, "0", self.task))
        try:
            given = self.saga.load(self.live.saga.doc.input)
            value = await self.saga.fn(*given.args, **given.kwargs)
            result = self.saga.encode_result(value)
        except RunOver:
            return
        except Exception as error:
            self.live.error = error
            self.raised(*why(error), self.node.luck.draw())
        except BaseException as error:
            self._broke_off(error)
        else:
            self.returned(result)
        finally:
            self.node.calls.tasks.discard(self.task)  # here, for a callback would cost a turn of the loop
            SCOPE.set(None)  # the context and what runs in it know each other: so both are freed at once

    def _broke_off(self, error: BaseException) -> None:
        """Left by something that is no `Exception`: as by a crash. The node runs the function again, unless it is stopping."""
        if self.over or self.node.stopping or self.node.dead:
            return
        self.over = True
        # not at once: one that always leaves so would keep the loop busy, and a loop that ends cancels everything on it
        self.node.loop.call_later(limits.RETRY_INTERVAL, lambda: self.driver.feed(self.live, Rerun(self.node.now())))

    def call_step(self, scope: FunctionScope, name: str, args: Raw, decode: Callable[[Raw], R]) -> StepCall[R]:
        """Record the call, in call order, and return what can be awaited for it."""
        future: asyncio.Future[Any] = self.node.loop.create_future()

        def answered(answer: Any) -> None:
            self.contexts.pop(index, None)
            if not future.done():
                future.set_result(answer)

        index = -1
        context = self.calling = copy_context()
        try:
            index = self.call(scope.place, name, args, answered)
        finally:
            self.calling = None
        scope.collect(index)
        if not future.done():
            self.contexts[index] = context
        return StepCall(future, decode)

    async def leave(self, branches: list[int]) -> None:
        """An exception leaves an inner saga: wait until what it owes is recorded."""
        future: asyncio.Future[None] = self.node.loop.create_future()

        def go_on() -> None:
            if not future.done():
                future.set_result(None)

        self.abandon(tuple(branches), go_on)
        await future


class StepCall(Coroutine[Any, Any, R], Generic[R]):
    """A step call that is under way: a coroutine, so that ``gather`` and ``TaskGroup`` take it; one never awaited goes on too."""

    __slots__ = ("_decode", "_future", "_steps")

    def __init__(self, future: asyncio.Future[Any], decode: Callable[[Raw], R]) -> None:
        self._future = future
        self._decode = decode
        self._steps: Generator[Any, Any, R] | None = None

    def __await__(self) -> Generator[Any, Any, R]:
        answer = yield from self._future.__await__()
        if isinstance(answer, BaseException):
            raise answer
        return self._decode(answer)

    def send(self, value: Any) -> Any:
        """One step of the coroutine."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise inside the coroutine."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.throw(*error)

    def close(self) -> None:
        """Stop waiting; the call goes on."""
        if self._steps is not None:
            self._steps.close()


async def gather(scope: FunctionScope, awaitables: tuple[Any, ...]) -> list[Any]:
    """Run the parts side by side, each a task with a place of its own; all end before the first error is raised."""
    scope.check_owner("troth.gather")
    places = scope.parts(len(awaitables))
    tasks = [
        asyncio.ensure_future(_part(scope, place, part)) for place, part in zip(places, awaitables, strict=True)
    ]
    if not tasks:
        return []
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    return [task.result() for task in _raising_first(tasks)]


async def _part(scope: FunctionScope, place: str, part: Any) -> Any:
    SCOPE.set(FunctionScope(scope.host, place, asyncio.current_task(), collectors=scope.collectors))
    return await part


def _raising_first(tasks: list[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Look at every part's exception, so that none is reported as lost; a run that is over comes before all others."""
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    for error in errors:
        if isinstance(error, RunOver):
            raise error
    return tasks
