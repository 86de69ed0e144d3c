"""The node's clock and chance: the only places in the engine where time and luck come from."""

from __future__ import annotations

import os
import random
import time


class Clock:
    """Microseconds since the Unix epoch that never go back within a process."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        """The time."""
        now = time.time_ns() // 1000
        if now < self._last:
            return self._last
        self._last = now
        return now


def new_incarnation() -> str:
    """32 hex digits, never used before."""
    return os.urandom(16).hex()


def new_suffix() -> bytes:
    """8 random bytes that make a node's uids its own."""
    return os.urandom(8)


class Luck:
    """Jitter for retries."""

    def __init__(self) -> None:
        self._draw = random.Random().random

    def draw(self) -> float:
        """A fraction in [0, 1)."""
        return self._draw()
