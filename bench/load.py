"""A closed loop of callers: so many in flight, each begins the next transaction when its last one is answered."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import TypedDict

One = Callable[[], Awaitable[object]]


class Measure(TypedDict):
    """What one measurement gave; times are milliseconds, ``rate`` is transactions per second."""

    rate: float
    count: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered values lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def measure(latencies: list[float], seconds: float) -> Measure:
    """Sum up latencies (seconds) taken within so many seconds."""
    ordered = sorted(latencies)
    return Measure(
        rate=len(ordered) / seconds,
        count=len(ordered),
        seconds=seconds,
        p50_ms=quantile(ordered, 0.5) * 1e3,
        p99_ms=quantile(ordered, 0.99) * 1e3,
        max_ms=ordered[-1] * 1e3 if ordered else 0.0,
    )


async def run(one: One, in_flight: int, seconds: float) -> tuple[list[float], float]:
    """Call `one` from so many callers for so long; every call begun is waited for.

    :returns: the latencies, and the seconds until the last answer.
    """
    latencies: list[float] = []
    gc.collect()
    begin = perf_counter()
    end = begin + seconds

    async def caller() -> None:
        while (start := perf_counter()) < end:
            await one()
            latencies.append(perf_counter() - start)

    async with asyncio.TaskGroup() as callers:
        for _ in range(in_flight):
            callers.create_task(caller())
    return latencies, perf_counter() - begin
