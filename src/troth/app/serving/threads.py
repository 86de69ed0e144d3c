"""What serving needs besides the server's own: threads for sync steps, and a loop for async steps where the server has none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic

from troth.app.runtime import LoopThread
from troth.app.serving.flights import broken
from troth.core import limits
from troth.core.reply import Reply
from troth.engine.pool import Pool, Shares
from troth.participant.serving import Task, busy


class Threads:
    """Started as they are needed, forgotten in a forked child. A step that hangs holds its own share, not all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: Shares | None = None
        self._loop: LoopThread | None = None

    def submit(self, task: Task, then: Callable[[Reply], object]) -> None:
        """Do a sync task in a thread, and hand on its reply there.

        One that waited for a thread longer than its caller waits for an answer is not begun any more.
        """
        since = monotonic()

        def run() -> None:
            if monotonic() - since > task.offered.timeout:
                then(busy(f"every thread of {task.offered.name} is held by calls that take long"))
            else:
                then(do(task))

        with self._lock:
            if self._shares is None:
                self._shares = Shares(Pool(limits.SYNC_THREADS, "troth-served"), limits.SYNC_THREADS_PER_STEP)
        self._shares.submit(task.offered.name, run)

    def begin(self, task: Task) -> Future[Reply]:
        """Do an async task on a loop of our own, for a server that has none."""
        with self._lock:
            if self._loop is None:
                self._loop = LoopThread()
        return asyncio.run_coroutine_threadsafe(ado(task), self._loop.loop)

    def stop(self) -> None:
        """Let the threads end with their work; use starts others."""
        with self._lock:
            shares, self._shares = self._shares, None
            loop, self._loop = self._loop, None
        if shares is not None:
            shares.stop()
        if loop is not None:
            loop.stop()

    def abandon(self) -> None:
        """In a forked child: the parent's threads aren't here."""
        self._lock = threading.Lock()
        self._shares = self._loop = None


def do(task: Task) -> Reply:
    """Do a sync task, whatever it raises."""
    try:
        reply: Reply = task.offered.call(task.call)
        return reply
    except BaseException as error:
        return broken(error)


async def ado(task: Task) -> Reply:
    """Do an async task, within its time. To be run in a task of its own."""
    timeout: float = task.offered.timeout
    try:
        async with asyncio.timeout(timeout):
            reply: Reply = await task.offered.acall(task.call)
            return reply
    except asyncio.CancelledError as error:
        running = asyncio.current_task()
        if running is not None and running.cancelling():
            raise
        return broken(error)  # the step's own code raised it
    except TimeoutError:
        return busy(f"{task.offered.name} took longer than its {timeout:g} s")
