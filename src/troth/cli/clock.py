"""The command line's clock."""

from __future__ import annotations

import time


def now() -> int:
    """Microseconds since the Unix epoch, as the log's times are."""
    return time.time_ns() // 1000
