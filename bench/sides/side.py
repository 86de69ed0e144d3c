"""What a side is, and the process around it: ``python -m bench.sides.side NAME LOG`` answers orders, one a line."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import psutil

from bench.load import measure, run

TEXT = "order of 3 pieces sku-0001 for customer 4711, to be delivered to 12 Long Street, before noon if possible"
"""About 100 bytes: what every step of every side is called with."""

KINDS = {
    "bare": "bench.sides.bare",
    "calls": "bench.sides.calls",
    "dbos": "bench.sides.dbos",
    "held": "bench.sides.held",
    "troth": "bench.sides.sagas",
}
"""First word of a side's name -> its module, which has ``make(name, log)``."""


class Side(Protocol):
    """One contestant, in its own process."""

    async def start(self) -> None:
        """Open the log; recovery included."""

    async def one(self) -> object:
        """One durable transaction of two steps, from call to answer."""

    async def stop(self) -> None:
        """Close everything."""

    def stats(self) -> dict[str, int]:
        """Counters since the start: ``commits``, ``forced``, ``transactions``; empty where they aren't known."""


def counters(stats: Mapping[str, int]) -> dict[str, int]:
    """Those of troth's counters that a side tells."""
    return {name: stats.get(name, 0) for name in ("commits", "forced", "transactions")}


async def obey(side: Side, order: dict[str, Any]) -> Any:
    """Carry out one order: ``run``, ``stats``, ``memory``, or a method of the side's own."""
    what = order.pop("do")
    if what == "run":
        raw = order.pop("raw", False)
        latencies, seconds = await run(side.one, **order)
        return {"latencies": latencies, "seconds": seconds} if raw else measure(latencies, seconds)
    if what == "stats":
        return side.stats()
    if what == "memory":
        gc.collect()
        return psutil.Process().memory_info().rss
    return await getattr(side, what)(**order)


async def serve(name: str, log: str) -> None:
    """Start the side, say so, and obey until the pipe ends."""
    os.environ["TROTH_BENCH_LOG"] = log
    side: Side = importlib.import_module(KINDS[name.split("-", 1)[0]]).make(name, log)
    await side.start()
    loop = asyncio.get_running_loop()
    answer: Any = "ready"
    while True:
        print(json.dumps({"answer": answer}), flush=True)
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            break
        answer = await obey(side, json.loads(line))
    await side.stop()


def loops(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the side's event loop: asyncio's own, unless the name ends with ``uvloop``."""
    if not name.endswith("-uvloop"):
        return None
    made: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return made


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loops(sys.argv[1])) as runner:
        runner.run(serve(sys.argv[1], sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)
