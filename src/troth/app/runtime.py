"""A process's node and its loop: started at first use, stopped by the last leave or at exit, begun anew in a forked child."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from troth.app.current import disown
from troth.app.services import Service
from troth.core import limits
from troth.engine.node import Node
from troth.engine.participants import Registry
from troth.ports.errors import NotAccepted
from troth.ports.store import Store

T = TypeVar("T")


LOOK_SECONDS = 1.0
"""How often a thread that waits for a loop looks whether the loop is still there."""


class LoopThread:
    """An event loop in a daemon thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="troth-loop", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:  # whoever waits for one of them is told, instead of waiting for ever
            self.loop.run_until_complete(asyncio.wait(tasks))
        self.loop.close()

    def stop(self) -> None:
        """End the loop and its thread; what still runs on it is cancelled."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


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
        self.exiting = False
        self.disowned: list[Callable[[], None]] = []
        """Called in a forked child: what else was inherited and must not be used there."""
        self.closing: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """Awaited on the node's loop once the node has stopped: what else lives there."""
        self.services: list[Service] = []
        """Consumers and relays: begun when a node has started, ended before it drains."""
        self._own: LoopThread | None = None
        self._lock = threading.Lock()
        """Held while a node starts or stops. Not reentrant: it may be taken in one thread and given back in another."""
        self._count = threading.Lock()
        ALL.add(self)

    # --- start

    def started(self) -> Node:
        """The node, started in a loop thread of its own if there is none (blocks; not to be called on its loop).

        :raises NotAccepted: this process is exiting.
        """
        node = self.node
        if node is not None and self._usable(node):
            return node
        with self._lock:
            if self.node is not None and self._usable(self.node):
                return self.node
            self._begin_anew()
            self._own = LoopThread()
            try:
                return self.call(self._start(self._own.loop), self._own.loop)
            except BaseException:
                self._stop_own()
                raise

    async def anywhere(self) -> Node:
        """The node, wherever it runs; started in a loop thread of its own if there is none."""
        node = self.node
        if node is not None and self._usable(node):
            return node
        return await asyncio.to_thread(self.started)

    def enter_blocking(self) -> None:
        """One user more; the node is started if there is none, after one that is stopping has stopped.

        :raises NotAccepted: this process is exiting.
        """
        self.use()
        try:
            if self.node is not None and self.node.stopping:
                with self._lock:
                    pass
            self.started()
        except BaseException:
            self.leave()
            raise

    async def enter(self) -> None:
        """Start the node on the running loop, unless there is one."""
        self.use()
        try:
            if self.node is None or self.node.stopping or not self._usable(self.node):
                await self._start_here()
        except BaseException:
            self.leave()
            raise

    async def _locked(self) -> None:
        while not self._lock.acquire(blocking=False):
            await asyncio.sleep(0.005)

    async def _start_here(self) -> None:
        await self._locked()
        try:
            if self.node is None or not self._usable(self.node):
                self._begin_anew()
                await self._start(asyncio.get_running_loop())
        finally:
            self._lock.release()

    async def _start(self, loop: asyncio.AbstractEventLoop) -> Node:
        store = self.make_store()
        node = Node(store, self.registry, loop)
        await node.start()
        self.node, self.store = node, store
        for service in self.services:
            service.begin(node)
        return node

    def _usable(self, node: Node) -> bool:
        return not node.dead and not node.loop.is_closed()

    def _begin_anew(self) -> None:
        """Drop a node that was fenced, or whose loop was closed over its head: as after a crash, others take its work."""
        if self.exiting:
            raise NotAccepted("this process is exiting", 1.0)
        node, store = self.node, self.store
        self.node = self.store = None
        if node is not None:
            node.desert()
        if store is not None:
            store.close()
        self._stop_own()
        self.ready()

    # --- stop

    def use(self) -> None:
        """One user more."""
        with self._count:
            self.entered += 1

    def leave(self) -> bool:
        """One user less; True if it was the last."""
        with self._count:
            self.entered = max(self.entered - 1, 0)
            return self.entered == 0

    async def aclose(self) -> None:
        """Drain and stop the node, wherever it runs. New transactions are refused meanwhile."""
        node = self.node
        if node is None:
            return
        if node.loop is asyncio.get_running_loop():
            await self._locked()
            try:
                await self._stop(node)
            finally:
                if self.node is node:
                    self.node = self.store = None
                self._lock.release()
        else:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Drain and stop the node (blocks; not to be called on its loop). New transactions are refused meanwhile."""
        with self._lock:
            node = self.node
            if node is not None and not node.loop.is_closed() and node.loop.is_running():
                self.call(self._stop(node), node.loop)
            self.node = self.store = None
            self._stop_own()

    async def _stop(self, node: Node) -> None:
        try:
            for service in self.services:
                await service.end()
            await node.stop(self.drain)
        finally:
            for close in self.closing:
                await close()

    def _stop_own(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.stop()

    # --- across threads

    def call(self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
        """Run a coroutine on a loop of another thread and wait for it.

        :raises NotAccepted: the loop ended before the coroutine began.
        :raises TimeoutError: the loop ended before the coroutine did.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:
            coroutine.close()
            raise NotAccepted("this process's node has just stopped", 0.0) from None
        try:
            while True:
                try:
                    return future.result(LOOK_SECONDS)
                except TimeoutError:
                    if future.done():  # it ended just now, or raised this itself
                        return future.result()
                    if loop.is_closed():
                        raise TimeoutError(STOPPED) from None
        except CancelledError:
            raise TimeoutError(STOPPED) from None
        except BaseException:
            future.cancel()
            raise

    def abandon(self) -> None:
        """In a forked child: forget everything inherited; first use is a new incarnation."""
        node, store, own = self.node, self.store, self._own
        if node is not None:
            node.desert()
        if store is not None:
            abandon = getattr(store, "abandon", None)
            if abandon is not None:
                abandon()
        if node is not None or own is not None:
            KEPT.append((node, store, own))
        for disowned in self.disowned:
            disowned()
        for service in self.services:
            service.abandon()
        self.node = self.store = self._own = None
        self.entered = 0
        self._lock = threading.Lock()
        self._count = threading.Lock()


ALL: weakref.WeakSet[Runtime] = weakref.WeakSet()
KEPT: list[Any] = []
"""What a forked child inherited: kept, never used or closed (closing an inherited SQLite handle would drop the parent's locks)."""
STOPPED = "this process's node stopped meanwhile; what was begun goes on in another process, or at the next start"


def _after_fork() -> None:
    disown()
    for runtime in list(ALL):
        runtime.abandon()


def _at_exit() -> None:
    for runtime in list(ALL):
        runtime.exiting = True
        runtime.drain = min(runtime.drain, limits.DRAIN_SECONDS)
        runtime.close()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
