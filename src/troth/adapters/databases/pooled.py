"""A driver's own connections: a pool for each event loop, one for threads; forks and ends of loops seen to."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from troth.adapters.databases.pool import AsyncPool, PerLoop, Pool

S = TypeVar("S")
A = TypeVar("A")


class LoopPools(ABC, Generic[A]):
    """What an async driver with pools of ours is made of.

    :param pool_size: connections at a time for each event loop.
    """

    def __init__(self, pool_size: int) -> None:
        self._size = pool_size
        self._graveyard: list[Any] = []
        self._fresh()

    @abstractmethod
    async def aconnect(self) -> A:
        """A new connection for the running event loop."""

    @abstractmethod
    def end(self, connection: Any) -> None:
        """Close a connection without waiting; also one whose event loop has ended."""

    @abstractmethod
    def drop(self, connection: Any) -> None:
        """In a forked child: close the file descriptor only, for the session at its other end is the parent's."""

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._loops: PerLoop[AsyncPool[A]] = PerLoop(self._new_loop_pool, self._bury)

    def _new_loop_pool(self) -> AsyncPool[A]:
        return AsyncPool(self.aconnect, self.end, self._size)

    def _bury(self, pool: AsyncPool[A]) -> None:
        for connection in pool.everything():
            self.end(connection)

    def _everything(self) -> list[Any]:
        return [connection for pool in self._loops.everything() for connection in pool.everything()]

    @property
    def loop_pool(self) -> AsyncPool[A]:
        """The running event loop's connections; those of loops that have ended are closed."""
        if os.getpid() != self._pid:
            self.abandon()
        return self._loops.here()

    def close(self) -> None:
        """Close the connections of event loops that have ended."""
        if os.getpid() != self._pid:
            self.abandon()
        self._loops.bury_ended()

    async def aclose(self) -> None:
        """Close the running loop's idle connections too; use opens them again."""
        self.close()
        self.loop_pool.close()

    def abandon(self) -> None:
        """In a forked child: drop the inherited sockets.

        Closing a connection would end the parent's session, so only the child's file descriptors are closed: an open
        copy would keep the server from seeing that the parent has died.
        """
        connections, inherited = self._everything(), os.getpid() != self._pid
        self._fresh()
        for connection in connections:
            if not inherited:
                self.end(connection)
                continue
            self._graveyard.append(connection)
            self.drop(connection)


class TwoPools(LoopPools[A], Generic[S, A]):
    """The same in both colours.

    :param pool_size: connections at a time, for threads, and for each event loop.
    """

    @abstractmethod
    def connect(self) -> S:
        """A new connection for threads."""

    def _fresh(self) -> None:
        super()._fresh()
        self._threads: Pool[S] = Pool(self.connect, self.end, self._size)

    def _everything(self) -> list[Any]:
        return [*self._threads.everything(), *super()._everything()]

    @property
    def pool(self) -> Pool[S]:
        """This process's connections for threads."""
        if os.getpid() != self._pid:
            self.abandon()
        return self._threads

    def close(self) -> None:
        """Close the threads' idle connections, and those of event loops that have ended; use opens them again."""
        super().close()
        self._threads.close()
