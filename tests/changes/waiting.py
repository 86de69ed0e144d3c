"""Waiting for what another thread or process brings about, with a deadline that only a hang reaches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which a transaction counts as wedged: far more than any needs."""


def until(condition: Callable[[], object], what: str) -> None:
    """Return when the condition holds."""
    end = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        pause.wait(0.005)
