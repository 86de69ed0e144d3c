"""Connection pools without threads or tasks of their own.

So there is nothing to stop at a fork, and nothing bound to a loop that has ended. The newest idle connection is used
first. A pool can be closed and used again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

C = TypeVar("C")


class NoConnectionFreeError(TimeoutError):
    """Every connection of the pool stayed in use."""


class _Shelf(Generic[C]):
    """Idle connections, those in use, and which may come back."""

    def __init__(self, close: Callable[[C], None]) -> None:
        self._close = close
        self._idle: list[C] = []
        self._used: dict[int, C] = {}
        self._stale: set[int] = set()
        self._guard = threading.Lock()

    def pop(self) -> C | None:
        """An idle connection, now in use."""
        with self._guard:
            if not self._idle:
                return None
            connection = self._idle.pop()
            self._used[id(connection)] = connection
            return connection

    def add(self, connection: C) -> None:
        """A new connection, in use."""
        with self._guard:
            self._used[id(connection)] = connection

    def put(self, connection: C, healthy: bool) -> None:
        """A connection comes back."""
        with self._guard:
            self._used.pop(id(connection), None)
            keep = healthy and id(connection) not in self._stale
            self._stale.discard(id(connection))
            if keep:
                self._idle.append(connection)
        if not keep:
            self._close(connection)

    def clear(self, used: bool) -> None:
        """Close what is idle; with *used*, also what is in use, when it comes back."""
        with self._guard:
            idle, self._idle = self._idle, []
            if used:
                self._stale.update(self._used)
        for connection in idle:
            self._close(connection)

    def everything(self) -> list[C]:
        """All connections, idle and in use."""
        return [*self._idle, *self._used.values()]


class Pool(Generic[C]):
    """Connections for threads.

    :param size: connections at a time.
    """

    def __init__(self, connect: Callable[[], C], close: Callable[[C], None], size: int) -> None:
        self._connect = connect
        self._shelf = _Shelf(close)
        self._free = threading.BoundedSemaphore(size)

    def take(self, patience: float) -> C:
        """A connection that nobody else uses.

        :param patience: seconds to wait for one.
        :raises NoConnectionFreeError: if none became free.
        """
        if not self._free.acquire(timeout=max(patience, 0.0)):
            raise NoConnectionFreeError(f"no connection became free within {patience:g} s")
        try:
            connection = self._shelf.pop()
            if connection is None:
                connection = self._connect()
                self._shelf.add(connection)
            return connection
        except BaseException:
            self._free.release()
            raise

    def give(self, connection: C, healthy: bool = True) -> None:
        """Give a connection back; an unhealthy one is closed."""
        self._shelf.put(connection, healthy)
        self._free.release()

    def clear(self) -> None:
        """Close what is idle."""
        self._shelf.clear(used=False)

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._shelf.clear(used=True)

    def everything(self) -> list[C]:
        """All connections, idle and in use."""
        return self._shelf.everything()


class AsyncPool(Generic[C]):
    """Connections for the tasks of one event loop; giving back never waits.

    :param size: connections at a time.
    """

    def __init__(self, connect: Callable[[], Awaitable[C]], close: Callable[[C], None], size: int) -> None:
        self._connect = connect
        self._shelf = _Shelf(close)
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
            connection = self._shelf.pop()
            if connection is None:
                connection = await self._connect()
                self._shelf.add(connection)
            return connection
        except BaseException:
            self._free.release()
            raise

    def give(self, connection: C, healthy: bool = True) -> None:
        """Give a connection back; an unhealthy one is closed."""
        self._shelf.put(connection, healthy)
        self._free.release()

    def clear(self) -> None:
        """Close what is idle."""
        self._shelf.clear(used=False)

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._shelf.clear(used=True)

    def everything(self) -> list[C]:
        """All connections, idle and in use."""
        return self._shelf.everything()
