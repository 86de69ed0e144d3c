"""Connection pools without threads or tasks of their own.

So there is nothing to stop at a fork, and nothing bound to a loop that has ended. The newest idle connection is used
first. A pool can be closed and used again.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

C = TypeVar("C")
P = TypeVar("P")


class NoConnectionFreeError(TimeoutError):
    """Every connection of the pool stayed in use."""


class Shelf(Generic[C]):
    """What both pools are: idle connections, those in use, and which may come back.

    :param close: closes a connection without waiting.
    """

    def __init__(self, close: Callable[[C], None]) -> None:
        self._close = close
        self._idle: list[C] = []
        self._used: dict[int, C] = {}
        self._stale: set[int] = set()
        self._guard = threading.Lock()

    def _pop(self) -> C | None:
        """An idle connection, now in use."""
        with self._guard:
            if not self._idle:
                return None
            connection = self._idle.pop()
            self._used[id(connection)] = connection
            return connection

    def _add(self, connection: C) -> C:
        """A new connection, in use."""
        with self._guard:
            self._used[id(connection)] = connection
        return connection

    def _release(self) -> None:
        """One more connection may be taken."""

    def give(self, connection: C, healthy: bool = True) -> None:
        """Give a connection back, without waiting; an unhealthy one is closed."""
        with self._guard:
            self._used.pop(id(connection), None)
            keep = healthy and id(connection) not in self._stale
            self._stale.discard(id(connection))
            if keep:
                self._idle.append(connection)
        if not keep:
            self._close(connection)
        self._release()

    def clear(self) -> None:
        """Close what is idle."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            self._close(connection)

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        with self._guard:
            self._stale.update(self._used)
        self.clear()

    def everything(self) -> list[C]:
        """All connections, idle and in use."""
        return [*self._idle, *self._used.values()]


class Pool(Shelf[C]):
    """Connections for threads.

    :param size: connections at a time.
    """

    def __init__(self, connect: Callable[[], C], close: Callable[[C], None], size: int) -> None:
        super().__init__(close)
        self._connect = connect
        self._size = size
        self._free = threading.BoundedSemaphore(size)

    def take(self, patience: float) -> C:
        """A connection that nobody else uses.

        :param patience: seconds to wait for one.
        :raises NoConnectionFreeError: if none became free.
        """
        if not self._free.acquire(timeout=max(patience, 0.0)):
            raise NoConnectionFreeError(f"no connection became free within {patience:g} s")
        try:
            return self._pop() or self._add(self._connect())
        except BaseException:
            self._free.release()
            raise

    def rest(self, patience: float) -> Callable[[], None] | None:
        """Close every connection once none is in use, and give none out; see `troth.adapters.forks`.

        :param patience: seconds to wait at most.
        :return: what ends the rest; None: one stayed in use.
        """
        end = time.monotonic() + patience
        for taken in range(self._size):
            if not self._free.acquire(timeout=max(0.0, end - time.monotonic())):
                if taken:
                    self._free.release(taken)
                return None
        self.clear()
        parent = os.getpid()

        def wake() -> None:
            # a thread may have been about to take one: in a child its lock stays held, and the pool is made anew
            if os.getpid() == parent:
                self._free.release(self._size)

        return wake

    def _release(self) -> None:
        self._free.release()


class AsyncPool(Shelf[C]):
    """Connections for the tasks of one event loop; giving back never waits.

    :param size: connections at a time.
    """

    def __init__(self, connect: Callable[[], Awaitable[C]], close: Callable[[C], None], size: int) -> None:
        super().__init__(close)
        self._connect = connect
        self._free = asyncio.Semaphore(size)

    async def take(self, patience: float) -> C:
        """A connection that nobody else uses; see `Pool.take`."""
        if self._free.locked():
            try:
                async with asyncio.timeout(patience):
                    await self._free.acquire()
            except TimeoutError:
                raise NoConnectionFreeError(f"no connection became free within {patience:g} s") from None
        else:
            await self._free.acquire()  # doesn't wait
        try:
            return self._pop() or self._add(await self._connect())
        except BaseException:
            self._free.release()
            raise

    def _release(self) -> None:
        self._free.release()


class PerLoop(Generic[P]):
    """One thing (a pool, an engine) for each event loop: connections of one loop are no use in another.

    :param make: makes the thing for the running loop.
    :param bury: closes what belonged to a loop that has ended.
    """

    def __init__(self, make: Callable[[], P], bury: Callable[[P], None]) -> None:
        self._make = make
        self._bury = bury
        self._guard = threading.Lock()
        self._things: dict[asyncio.AbstractEventLoop, P] = {}

    def here(self) -> P:
        """The running loop's."""
        loop = asyncio.get_running_loop()
        with self._guard:
            thing = self._things.get(loop)
            if thing is None:
                self._bury_ended()
                thing = self._things[loop] = self._make()
        return thing

    def bury_ended(self) -> None:
        """Close what belongs to loops that have ended."""
        with self._guard:
            self._bury_ended()

    def _bury_ended(self) -> None:
        for loop in [loop for loop in self._things if loop.is_closed()]:
            self._bury(self._things.pop(loop))

    def everything(self) -> list[P]:
        """All of them."""
        return list(self._things.values())
