"""A process's node and its loop: started at first use, stopped by the last leave or at exit, begun anew in a forked child."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from troth.core import limits
from troth.engine.node import Node
from troth.engine.participants import Registry
from troth.ports.store import Store

T = TypeVar("T")


class LoopThread:
    """An event loop in a daemon thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="troth-loop", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def stop(self) -> None:
        """End the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Runtime:
    """At most one node of one `Troth` object in this process.

    :param store: makes the store, unopened.
    :param ready: checks the definitions before a node starts; raises `DefinitionError`.
    """

    def __init__(self, store: Callable[[], Store], registry: Registry, ready: Callable[[], None], drain: float) -> None:
        self.make_store = store
        self.registry = registry
        self.ready = ready
        self.drain = drain
        self.node: Node | None = None
        self.store: Store | None = None
        self.entered = 0
        self._own: LoopThread | None = None
        self._lock = threading.RLock()
        self._starting: asyncio.Future[Node] | None = None
        ALL.add(self)

    # --- start

    def started(self) -> Node:
        """The node, started in a loop thread of its own if there is none (blocks; not to be called on its loop)."""
        node = self.node
        if node is not None and self._usable(node):
            return node
        with self._lock:
            if self.node is not None and self._usable(self.node):
                return self.node
            self._forget()
            self.ready()
            self._own = LoopThread()
            try:
                return self.call(self._start(self._own.loop), self._own.loop)
            except BaseException:
                self._stop_own()
                raise

    async def enter(self) -> None:
        """Start the node on the running loop, unless there is one."""
        self.entered += 1
        try:
            if self.node is not None and self._usable(self.node):
                return
            if self._starting is not None:
                await asyncio.shield(self._starting)
                return
            self._forget()
            self.ready()
            await self._start_here()
        except BaseException:
            self.entered -= 1
            raise

    async def _start_here(self) -> None:
        loop = asyncio.get_running_loop()
        self._starting = loop.create_future()
        try:
            node = await self._start(loop)
        except BaseException as error:
            self._starting.set_exception(error)
            self._starting.exception()
            raise
        else:
            self._starting.set_result(node)
        finally:
            self._starting = None

    async def _start(self, loop: asyncio.AbstractEventLoop) -> Node:
        store = self.make_store()
        node = Node(store, self.registry, loop)
        await node.start()
        self.node, self.store = node, store
        return node

    def _usable(self, node: Node) -> bool:
        return not node.dead and not node.loop.is_closed()

    def _forget(self) -> None:
        """Drop a node that was fenced, or whose loop was closed over its head: as after a crash, others take its work."""
        if self.node is not None:
            self.node.dead = True
            if self.store is not None and self.node.loop.is_closed():
                self.store.close()
            self.node = self.store = None

    # --- stop

    def leave(self) -> bool:
        """One user less; True if it was the last."""
        self.entered -= 1
        return self.entered <= 0

    async def aclose(self) -> None:
        """Drain and stop the node, wherever it runs."""
        node = self.node
        if node is None:
            return
        if node.loop is asyncio.get_running_loop():
            self.node = None
            await node.stop(self.drain)
            self.store = None
        else:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Drain and stop the node (blocks; not to be called on its loop)."""
        with self._lock:
            node, self.node = self.node, None
            self.entered = max(self.entered, 0)
            if node is not None and not node.loop.is_closed() and node.loop.is_running():
                self.call(node.stop(self.drain), node.loop)
            self.store = None
            self._stop_own()

    def _stop_own(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.stop()

    # --- across threads

    def call(self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, timeout: float | None = None) -> T:
        """Run a coroutine on a loop of another thread and wait for it.

        :raises TimeoutError: the coroutine is cancelled then.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def abandon(self) -> None:
        """In a forked child: forget everything inherited; first use is a new incarnation."""
        if self.store is not None:
            abandon = getattr(self.store, "abandon", None)
            if abandon is not None:
                abandon()
            KEPT.append((self.node, self.store, self._own))
        self.node = self.store = self._own = self._starting = None
        self.entered = 0
        self._lock = threading.RLock()


ALL: weakref.WeakSet[Runtime] = weakref.WeakSet()
KEPT: list[Any] = []
"""What a forked child inherited: kept, never used or closed (closing an inherited SQLite handle would drop the parent's locks)."""
AT_FORK: list[Callable[[], None]] = []


def _after_fork() -> None:
    for runtime in list(ALL):
        runtime.abandon()


def _at_exit() -> None:
    for runtime in list(ALL):
        runtime.drain = min(runtime.drain, limits.DRAIN_SECONDS)
        runtime.close()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
