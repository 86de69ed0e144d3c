"""A small sampling profiler: looks at every thread's innermost Python frame, a thousand times a second."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

PAUSE = 0.001
IDLE = {"wait", "select", "get", "acquire", "_wait_for_tstate_lock", "_worker", "_sample"}


class Sampler:
    """``with Sampler() as sampler: …``, then `shares`."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
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
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():
                if ident != threading.get_ident() and frame.f_code.co_name not in IDLE:
                    self._seen[f"{names.get(ident, 'thread')}: {place(frame)}"] += 1

    def shares(self) -> list[tuple[str, float]]:
        """Places by their share of the busy samples, the largest first."""
        total = sum(self._seen.values()) or 1
        return [(where, count / total) for where, count in self._seen.most_common()]


def place(frame: FrameType) -> str:
    """``engine/drive.py step``: the last two parts of the file, and the function."""
    return f"{'/'.join(Path(frame.f_code.co_filename).parts[-2:])} {frame.f_code.co_qualname}"
