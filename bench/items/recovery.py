"""A process dies with everything open; another one starts: how long until all of it has ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from bench import log
from bench.proxy import Proxy
from bench.sizes import Sizes


def measure(sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Timed from the start of the second process, its interpreter and imports included."""
    path = room / "recovery.db"
    say(f"leaving {sizes.unfinished:,} transactions unfinished")
    with Proxy("held-shut", path).ready() as dying:
        dying.ask("begin", count=sizes.unfinished)
        node = log.node_of(path, dying.pid)
        dying.kill()
    left = log.state(path, node).owned
    say(f"recovering {left:,} transactions")
    begin = perf_counter()
    with Proxy("held-open", path) as heir:
        log.wait(path, lambda now: now.owned == 0, node)
        adopted = perf_counter() - begin
        log.wait(path, lambda now: now.unfinished == 0)
        seconds = perf_counter() - begin
        heir.ready()
    return {"unfinished": left, "adopted_seconds": adopted, "seconds": seconds}


def figures(result: dict[str, Any]) -> dict[str, float]:
    """The figures that bars are set for."""
    return {"recovery_seconds": result["seconds"]}
