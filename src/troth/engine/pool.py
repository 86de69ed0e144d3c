"""Threads for what blocks. Daemon threads, so that a graceful stop at interpreter exit can still use them.

(`concurrent.futures` refuses work as soon as the interpreter begins to exit, which is just when a node drains.)
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any


class Pool:
    """At most ``most`` threads, started as they are needed; work waits in order.

    :param name: of its threads.
    """

    def __init__(self, most: int, name: str) -> None:
        self.most = most
        self.name = name
        self._work: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self.stopped = False
        self._unclaimed = 0
        """Work queued or under way, less than or equal to the threads as long as the pool may grow."""

    def submit(self, function: Callable[..., object], *args: Any) -> None:
        """Have the function called in a thread. It must not raise."""
        with self._lock:
            self._unclaimed += 1
            grow = self._unclaimed > self._threads and self._threads < self.most
            self._threads += grow
            number = self._threads
        self._work.put((function, args))
        if grow:
            threading.Thread(target=self._run, name=f"{self.name}-{number}", daemon=True).start()

    def stop(self) -> None:
        """Let the threads end when the work is done; does not wait for them."""
        with self._lock:
            if self.stopped:
                return
            self.stopped = True
            threads = self._threads
        for _ in range(threads):
            self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            function, args = item
            try:
                function(*args)
            finally:
                with self._lock:
                    self._unclaimed -= 1
                del item, function, args


class Shares:
    """A pool of which each name holds a share at most; what is above it waits, in order, for the name's own.

    :param most: threads that one name may hold.
    """

    def __init__(self, pool: Pool, most: int) -> None:
        self.pool = pool
        self.most = most
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[Callable[..., object], tuple[Any, ...]]]] = {}

    def submit(self, name: str, function: Callable[..., object], *args: Any) -> None:
        """Have the function called in a thread, on the name's account. It must not raise."""
        with self._lock:
            if self._held[name] >= self.most:
                self._waiting.setdefault(name, deque()).append((function, args))
                return
            self._held[name] += 1
        self.pool.submit(self._run, name, function, args)

    def stop(self) -> None:
        """See `Pool.stop`; what waits for its name is forgotten."""
        with self._lock:
            self._waiting.clear()
        self.pool.stop()

    def _run(self, name: str, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        finally:
            with self._lock:
                waiting = self._waiting.get(name)
                following = waiting.popleft() if waiting else None
                if following is None:
                    self._held[name] -= 1
            if following is not None:
                self.pool.submit(self._run, name, *following)


def call_into(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    """Call the function and give what it returns or raises to a future of another thread's loop."""
    try:
        result, error = function(*args), None
    except BaseException as raised:
        result, error = None, raised
    try:
        loop.call_soon_threadsafe(partial(_deliver, future, result, error))
    except RuntimeError:  # the loop is closed: nobody waits any more
        return


def _deliver(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
