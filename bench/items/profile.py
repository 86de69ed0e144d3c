"""Where the time goes: samples of what the event loop's and the journal's thread are doing at 256 in flight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.proxy import Proxy
from bench.sizes import FULL, Sizes

PLACES = 12
"""Rows of each part that are kept."""


def measure(sizes: Sizes, room: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """``{form: profile}``. Sampling slows the run; shares hold."""
    found = {}
    for form in ("troth-declared", "troth-function"):
        say(f"sampling {form}")
        with Proxy(form, room / f"profile-{form}.db").ready() as side:
            side.ask("run", in_flight=FULL, seconds=sizes.seconds / 2)
            profile = side.ask("profile", in_flight=FULL, seconds=sizes.seconds * 2)
            found[form] = {part: rows[:PLACES] for part, rows in profile.items()}
    return found


def figures(result: dict[str, Any]) -> dict[str, float]:
    """No bar is set for these."""
    return {}
