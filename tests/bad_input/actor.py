"""A process of its own with a shop on a log: does what its standard input says, one JSON line a deed.

Answers are JSON lines too: ``{"answer": …}`` or ``{"error": type, "message": …}``.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
from collections import Counter
from typing import Any

from troth import Troth
from troth.adapters.stores.sqlite import SqliteStore
from troth.core import limits
from troth.ports.errors import TrothError

NOBODY = 65_534
LOADED = SqliteStore
"""Imported before root's rights are gone, and with them perhaps the interpreter's own files."""
PATIENCE = 60.0
limits.ACCEPT_SECONDS = 0.2  # type: ignore[misc]  # callers are told soon


class Actor:
    """The deeds."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.app = Troth(f"sqlite:///{path}", drain=PATIENCE)
        self.happened: Counter[str] = Counter()
        self.told: dict[str, str] = {}
        self.callers: list[threading.Thread] = []
        self.handles: dict[str, Any] = {}
        self.held = threading.Semaphore(0)
        self.gate = threading.Event()

        @self.app.step(name="reserve", guarded=True, compensate=None)
        def reserve(order: str, text: str, wait: bool) -> str:
            if wait:
                self.held.release()
                self.gate.wait(PATIENCE)
            self.happened[f"reserve {order}"] += 1
            return text

        @self.app.step(name="charge", guarded=True, compensate=None)
        def charge(order: str, text: str) -> str:
            self.happened[f"charge {order}"] += 1
            return text

        @self.app.saga(name="place-order")
        def place_order(order: str, text: str, wait: bool) -> str:
            charge(order, reserve(order, text, wait))
            return order

        self.saga = place_order

    def enter(self) -> None:
        self.app.__enter__()

    def leave(self) -> None:
        self.app.__exit__(None, None, None)

    def become_nobody(self) -> bool:
        """Drop root's rights, if they are held: root may write everything."""
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return os.getuid() != 0

    def hold(self, size: int, *gids: str) -> int:
        """Begin orders and leave them in the middle of their first step."""
        for gid in gids:
            self.handles[gid] = self.app.start(self.saga, gid, "x" * size, True, gid=gid)
        for _ in gids:
            assert self.held.acquire(timeout=PATIENCE)
        return len(gids)

    def release(self) -> None:
        """Let the held steps go on."""
        self.gate.set()

    def finished(self) -> dict[str, str]:
        """Wait for the held orders; their states."""
        return {gid: str(handle.wait(timeout=PATIENCE).state) for gid, handle in self.handles.items()}

    def held_unfinished(self) -> int:
        """How many of the held orders are not told to have ended."""
        return sum(not self.ended(handle) for handle in self.handles.values())

    def ended(self, handle: Any) -> bool:
        try:
            handle.wait(timeout=0.01)
        except TimeoutError:
            return False
        return True

    def call(self, size: int, *gids: str) -> None:
        """Callers who place an order each and wait for what they are told."""
        for gid in gids:
            self.told.pop(gid, None)
            caller = threading.Thread(target=self.place, args=(gid, size), daemon=True)
            self.callers.append(caller)
            caller.start()

    def place(self, gid: str, size: int) -> None:
        try:
            self.told[gid] = str(self.app.run(self.saga, gid, "x" * size, False, gid=gid).state)
        except TrothError as error:
            self.told[gid] = type(error).__name__

    def all_told(self) -> dict[str, str]:
        """Wait until each caller is told something."""
        for caller in self.callers:
            caller.join(PATIENCE)
            assert not caller.is_alive(), "a caller was never told anything"
        return self.told

    def counts(self) -> dict[str, int]:
        """How often each effect happened."""
        return dict(self.happened)

    def let_no_file_grow(self) -> None:
        """From here on a write past the write-ahead log's present end fails with EFBIG."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(f"{self.path}-wal"), hard))

    def let_files_grow(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def main() -> None:
    actor = Actor(sys.argv[1])
    for line in sys.stdin:
        deed, arguments = json.loads(line)
        try:
            answer = {"answer": getattr(actor, deed)(*arguments)}
        except TrothError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
