"""One thread that renews the locks that a process's threads hold; it ends when there has been none for a while."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final, Protocol

LINGER: Final = 2.0
"""Seconds the thread waits for another lock: starting one costs more than taking a lock."""


class Renewable(Protocol):
    """What is watched.

    :ivar due: when it is to be renewed, by the watch's clock.
    """

    due: float

    @property
    def over(self) -> bool:
        """Nothing is to be renewed any more."""
        ...

    def renew(self) -> None:
        """Renew it, and move `due`. Raises nothing."""
        ...


class Watch:
    """See above.

    :param clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._held: list[Renewable] = []
        self._thread: threading.Thread | None = None

    def add(self, held: Renewable) -> None:
        """Renew this one when it is due."""
        if self._pid != os.getpid():
            self._fresh()  # a forked child: the thread and the locks are the parent's
        with self._changed:
            self._held.append(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="troth-locks", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, held: Renewable) -> None:
        """Renew it no more."""
        if self._pid == os.getpid():
            with self._changed:
                if held in self._held:
                    self._held.remove(held)

    def _run(self) -> None:
        while (ripe := self._wait()) is not None:
            for held in ripe:
                held.renew()

    def _wait(self) -> list[Renewable] | None:
        """Those that are due; None when the thread is to end."""
        with self._changed:
            self._held = [held for held in self._held if not held.over]
            if not self._held and not self._changed.wait_for(lambda: self._held, LINGER):
                self._thread = None
                return None
            now = self._clock()
            ripe = [held for held in self._held if held.due <= now]
            if not ripe:
                self._changed.wait(min(held.due for held in self._held) - now)
            return ripe
