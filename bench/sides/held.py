"""troth with sagas that stay open: their first step waits at a gate. For memory, recovery and take-over.

``held-shut`` starts with the gate shut, ``held-open`` with it open: the same code, so that one can leave behind what
the other finds.
"""

from __future__ import annotations

import asyncio
import gc
import os
from dataclasses import dataclass
from time import perf_counter

import psutil

from bench.sides.side import TEXT, counters
from troth import Troth

HOUR = 3_600.0
START_TOGETHER = 256
"""Callers that begin transactions side by side."""

app = Troth(f"sqlite:///{os.environ.get('TROTH_BENCH_LOG', 'bench.db')}")
gate = asyncio.Event()


@dataclass(frozen=True, slots=True)
class Order:
    """The input."""

    text: str


@app.step(guarded=True, timeout=HOUR)
async def reserve(text: str) -> str:
    """The first step: waits until the gate is open."""
    await gate.wait()
    return text


@reserve.compensate
async def release(text: str) -> None:
    """Its undo, never needed here."""


@app.step(guarded=True, timeout=HOUR)
async def charge(text: str) -> str:
    """The second step."""
    return text


@charge.compensate
async def refund(text: str) -> None:
    """Its undo, never needed here."""


held = app.graph("held", input=Order, timeout=HOUR)
held.returns(held.step(charge, after=held.step(reserve)).result)


class Held:
    """Open transactions, as many as are asked for."""

    def __init__(self, name: str) -> None:
        self._order = Order(TEXT)
        if name.endswith("open"):
            gate.set()

    async def start(self) -> None:
        """Become a node; take over what a dead one left."""
        await app.__aenter__()

    async def stop(self) -> None:
        """Drain and leave."""
        gate.set()
        await app.__aexit__(None, None, None)

    async def one(self) -> object:
        """One saga of two steps."""
        return await held.aio(self._order)

    def stats(self) -> dict[str, int]:
        """What the node counted."""
        return counters(app.stats())

    async def begin(self, count: int) -> dict[str, float]:
        """Begin so many, durably, and keep them open: seconds it took, and bytes each takes."""
        gc.collect()
        before = psutil.Process().memory_info().rss
        begin = perf_counter()
        left = iter(range(count))

        async def caller() -> None:
            for _ in left:
                await app.aio.start(held, self._order)

        async with asyncio.TaskGroup() as callers:
            for _ in range(min(START_TOGETHER, count)):
                callers.create_task(caller())
        seconds = perf_counter() - begin
        gc.collect()
        return {"seconds": seconds, "bytes_each": (psutil.Process().memory_info().rss - before) / count}

    async def open_gate(self) -> None:
        """Let every open transaction go on."""
        gate.set()


def make(name: str, log: str) -> Held:
    """The side of that name; the log was named by the environment before this module was imported."""
    return Held(name)
