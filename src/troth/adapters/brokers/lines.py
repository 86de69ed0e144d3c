"""One connection per event loop, opened when it is wanted and opened again when it broke."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
CLOSE_SECONDS: Final = 1.0
"""Seconds that saying goodbye may take: a hung broker doesn't answer it."""
KEPT: Final[list[Any]] = []
"""What a forked child inherited: kept, never used or closed."""

log = logging.getLogger("troth")


class _Line(Generic[T]):
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.connection: T | None = None


class Lines(Generic[T]):
    """See above.

    :param open: opens a connection; raises what it likes.
    :param shut: closes one, with a word to the broker.
    :param alive: whether it can still be used, as far as this side knows.
    """

    def __init__(
        self, open: Callable[[], Awaitable[T]], shut: Callable[[T], Awaitable[None]], alive: Callable[[T], bool]
    ) -> None:
        self._open = open
        self._shut = shut
        self._alive = alive
        self._lines: dict[asyncio.AbstractEventLoop, _Line[T]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def get(self) -> T:
        """The running loop's connection."""
        line = self._line()
        async with line.lock:
            if line.connection is not None and self._alive(line.connection):
                return line.connection
            if line.connection is not None:
                self.drop(line.connection)
            line.connection = await self._open()
            return line.connection

    def _line(self) -> _Line[T]:
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            self._lines = {loop: line for loop, line in self._lines.items() if not loop.is_closed()}
            line = self._lines[loop] = _Line()
        return line

    def drop(self, connection: T) -> None:
        """It broke, or nobody knows what is still on it: close it in the background, and open another when one is wanted."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is not None and line.connection is connection:
            line.connection = None
            task = loop.create_task(closed(self._shut, connection))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close the running loop's connection."""
        loop = asyncio.get_running_loop()
        line = self._lines.pop(loop, None)
        if line is not None and line.connection is not None:
            await closed(self._shut, line.connection)
        closing = [task for task in self._closing if task.get_loop() is loop]
        if closing:
            await asyncio.wait(closing)

    def abandon(self) -> None:
        """In a forked child: neither use nor close what was inherited."""
        KEPT.append((self._lines, self._closing))
        self._lines, self._closing = {}, set()


async def closed(shut: Callable[[T], Awaitable[None]], connection: T) -> None:
    """Close a connection, whatever state it is in."""
    try:
        await asyncio.wait_for(shut(connection), CLOSE_SECONDS)
    except Exception as error:
        log.debug("closing a broker's connection: %s: %s", type(error).__name__, error)
