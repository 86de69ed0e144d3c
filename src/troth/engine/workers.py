"""Tasks that run async calls one after the other: a task made for each call would cost more than most calls.

A worker takes the next call as soon as its last one ends; one more is woken whenever calls wait, so a call that takes long
holds up no other. What a call's code runs in is the call's own context: no call sees what another one set.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any, Protocol, TypeVar

R = TypeVar("R")


class Job(Protocol):
    """Something for a worker to run.

    :ivar task: what runs it now.
    :ivar late: it took too long, so its task was cancelled.
    """

    task: asyncio.Task[Any] | None
    late: bool


@coroutine
def within(context: Context, code: Coroutine[Any, Any, R], awaited: Any) -> Generator[Any, Any, R]:
    """Await the rest of a coroutine, each of its steps run in the context, as in a task of its own.

    :param awaited: what its first step, already run, waits for.
    """
    while True:
        step: Callable[..., Any] = code.send
        try:
            value = yield awaited
        except BaseException as error:
            value, step = error, code.throw
        try:
            awaited = context.run(step, value)
        except StopIteration as end:
            result: R = end.value
            return result


class Workers:
    """Runs jobs on the loop.

    :param begin: begins one job and returns what is left to be awaited, if anything; neither may raise, except
        `asyncio.CancelledError` when the workers are stopped.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, begin: Callable[[Any], Coroutine[Any, Any, None] | None]) -> None:
        self.loop = loop
        self.begin = begin
        self.ready: deque[Job] = deque()
        self.idle: list[asyncio.Future[None]] = []
        self.waking = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.stopped = False

    def submit(self, job: Job) -> None:
        """Run the job soon."""
        self.ready.append(job)
        if not self.waking:
            self._wake()

    def stop(self) -> None:
        """Cancel what runs; start nothing more."""
        self.stopped = True
        self.ready.clear()
        for task in list(self.tasks):
            task.cancel()

    def _wake(self) -> None:
        self.waking += 1
        while self.idle:
            waiting = self.idle.pop()
            if not waiting.done():
                waiting.set_result(None)
                return
        task = self.loop.create_task(self._work(), name="troth-worker", context=Context())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _work(self) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        while not self.stopped:
            self.waking -= 1
            while self.ready:
                job = self.ready.popleft()
                if self.ready and not self.waking:
                    self._wake()
                job.task = task
                rest = self.begin(job)
                if rest is None:
                    job.task = None
                    continue
                await rest
                job.task = None
                if job.late:  # it was ended, not its worker
                    task.uncancel()
                if task.cancelling():  # by its own code, or with everything on the loop: what waits goes to another
                    if self.ready and not self.waking:
                        self._wake()
                    return
            waiting = self.loop.create_future()
            self.idle.append(waiting)
            await waiting
