"""A process dies with everything open; another one starts: how long until all of it has ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.log import Look, wait
from bench.proxy import Proxy
from bench.sizes import Sizes

SELDOM = 0.02
"""Seconds between two looks at the log."""


def measure(sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Timed from the start of the second process, its interpreter and imports included."""
    path = room / "recovery.db"
    say(f"leaving {sizes.unfinished:,} transactions unfinished")
    with ExitStack() as stack:
        dying = stack.enter_context(Proxy("held-shut", path)).ready()
        log = stack.enter_context(Look(path))
        dying.ask("begin", count=sizes.unfinished)
        node = log.node_of(dying.pid)
        dying.kill()
        left = log.unfinished()
        say(f"recovering {left:,} transactions")
        begin = perf_counter()
        heir = stack.enter_context(Proxy("held-open", path))
        wait(lambda: not log.owns_any(node), "adopting what was left", SELDOM)
        adopted = perf_counter() - begin
        wait(lambda: not log.any_unfinished(), "ending what was left", SELDOM)
        seconds = perf_counter() - begin
        heir.ready()
    return {"unfinished": left, "adopted_seconds": adopted, "seconds": seconds}


def figures(result: dict[str, Any]) -> dict[str, float]:
    """The figures that bars are set for."""
    return {"recovery_seconds": result["seconds"]}
