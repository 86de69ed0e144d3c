"""A small sampling profiler: looks at every thread's innermost Python frame, a thousand times a second."""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self, TypedDict

PAUSE = 0.001
IDLE = {
    "wait", "select", "get", "acquire", "_wait_for_tstate_lock", "_worker", "Sampler._sample",
    "Pool._run", "Writer._work",
}  # fmt: skip
"""Functions in which a thread waits for work: the last two inside a C function, where no frame of Python's is seen."""
LOOP = "MainThread"
"""The thread that the event loop runs in."""


class Profile(TypedDict):
    """Where the time went.

    ``busy``: by thread, the share of the time in which it did anything. ``rooms`` and ``places``: shares of the event
    loop's busy time, by part of the program and by function, callees not included. ``journal``: the same for the
    journal's thread, by function; what SQLite and the disk take counts for the function that called them.
    """

    busy: list[tuple[str, float]]
    rooms: list[tuple[str, float]]
    places: list[tuple[str, float]]
    journal: list[tuple[str, float]]


class Sampler:
    """``with Sampler() as sampler: …``, then `profile`."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str, str]] = Counter()
        self._samples = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(PAUSE / 2)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()
        sys.setswitchinterval(self._interval)

    def _sample(self) -> None:
        while not self._end.wait(PAUSE):
            self._samples += 1
            names = {thread.ident: re.sub(r"-\d+$", "", thread.name) for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():
                if ident != threading.get_ident() and not idle(frame):
                    self._seen[names.get(ident, "thread"), room(frame), place(frame)] += 1

    def profile(self) -> Profile:
        """What was seen, the largest shares first."""
        seen = self._seen.items()
        loop = [(where, count) for (thread, *where), count in seen if thread == LOOP]
        journal = [(where[-1], count) for (thread, *where), count in seen if thread.startswith("troth-journal")]
        return Profile(
            busy=shares(((thread, count) for (thread, _, _), count in seen), self._samples),
            rooms=shares((where[0], count) for where, count in loop),
            places=shares((where[1], count) for where, count in loop),
            journal=shares(journal),
        )


def shares(counts: Iterable[tuple[str, int]], whole: int = 0) -> list[tuple[str, float]]:
    """Counts of the same name added up, as shares of the whole (of their sum, if none is named)."""
    total: Counter[str] = Counter()
    for name, count in counts:
        total[name] += count
    whole = whole or sum(total.values()) or 1
    return [(name, count / whole) for name, count in total.most_common()]


def idle(frame: FrameType) -> bool:
    """Whether the thread waits for work."""
    return frame.f_code.co_name in IDLE or frame.f_code.co_qualname in IDLE


def room(frame: FrameType) -> str:
    """``troth core``, ``troth engine``, …; else the package; ``other`` for code that has no file too."""
    parts = Path(frame.f_code.co_filename).parts
    for package in ("troth", "bench", "asyncio"):
        if package in parts[:-1]:
            inner = parts[len(parts) - parts[::-1].index(package) :]
            return f"troth {inner[0]}" if package == "troth" else package
    return "other"


def place(frame: FrameType) -> str:
    """``engine/drive.py Driver.feed``: the last two parts of the file, and the function."""
    return f"{'/'.join(Path(frame.f_code.co_filename).parts[-2:])} {frame.f_code.co_qualname}"
