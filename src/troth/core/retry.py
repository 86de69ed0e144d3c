"""When to call again: exponential, capped, jittered. Pure; jitter is handed in."""

from __future__ import annotations

from functools import lru_cache

from troth.core import limits

MICRO = 1_000_000


def micros(seconds: float) -> int:
    """Seconds as whole microseconds."""
    return int(seconds * MICRO)


def pause(spent: int, first: float, jitter: float, cap: float = limits.RETRY_CAP) -> int:
    """Microseconds to wait after the ``spent``-th call (from 1).

    The pause doubles with each call up to the cap; jitter takes away up to half of it, so that callers who failed
    together don't come back together.
    """
    grown: float = min(cap, first * 2.0 ** min(max(spent - 1, 0), 30))
    return micros(grown * (1.0 - jitter / 2.0))


def pause_until(after: float | None, least: int, jitter: float) -> int:
    """The pause, or what the participant asked for if that is longer, within bounds; jitter adds up to a quarter.

    :param after: seconds that it asked for, or None.
    :param least: the pause by policy, in microseconds.
    """
    if after is None:
        return least
    return max(least, micros(min(max(after, 0.0), limits.ONGOING_CAP) * (1.0 + jitter / 4.0)))


def ongoing_pause(after: float | None) -> int:
    """Microseconds until an ongoing branch is asked again; what it asked for, within bounds."""
    wanted = limits.ONGOING_INTERVAL if after is None else after
    return micros(min(max(wanted, 0.0), limits.ONGOING_CAP))


@lru_cache(maxsize=1024)
def budget(timeout: float, attempts: int, interval: float) -> float:
    """The longest time, in seconds, that one step may take before its attempts are used up."""
    pauses = sum(min(limits.RETRY_CAP, interval * 2.0**n) for n in range(max(attempts - 1, 0)))
    return attempts * timeout + pauses


@lru_cache(maxsize=1024)
def budget_micros(timeout: float, attempts: int, interval: float) -> int:
    """`budget` in microseconds."""
    return micros(budget(timeout, attempts, interval))
