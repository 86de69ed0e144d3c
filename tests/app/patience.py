"""Waiting for something to become true, with a deadline that only a hang reaches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds after which what was waited for counts as never coming."""


def until(condition: Callable[[], object], what: str = "") -> None:
    """Return when the condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never came: {what or condition}"
        time.sleep(0.002)  # simulates nothing: the pace of looking


async def auntil(condition: Callable[[], object], what: str = "") -> None:
    """`until`, awaited."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never came: {what or condition}"
        await asyncio.sleep(0.002)
