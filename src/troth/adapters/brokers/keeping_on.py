"""Consuming again and again: from one connection's end to the next one's begin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from troth.adapters.brokers.lanes import either
from troth.adapters.brokers.sending import said

FIRST_PAUSE: Final = 0.05
"""Seconds until a lost connection is opened again, at first; doubled each time."""
LONGEST_PAUSE: Final = 5.0
"""Seconds; the longest such pause."""
GOOD_SECONDS: Final = 1.0
"""Seconds that a connection must hold for the pauses to begin anew."""

log = logging.getLogger("troth")


async def keep_on(broker: str, stop: asyncio.Event, once: Callable[[], Awaitable[None]]) -> None:
    """Run *once* until *stop* is set: it consumes as long as its connection holds, and ends by itself once stop is set."""
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE
    while not stop.is_set():
        begun = loop.time()
        try:
            await once()
            reason = "its connection ended"
        except Exception as error:
            reason = said(error)
        if stop.is_set():
            return
        if loop.time() - begun > GOOD_SECONDS:
            pause = FIRST_PAUSE
        log.log(logging.WARNING if pause > GOOD_SECONDS else logging.INFO, "broker %s: %s; again in %g s", broker, reason, pause)
        await either(stop, asyncio.sleep(pause))
        pause = min(pause * 2, LONGEST_PAUSE)
