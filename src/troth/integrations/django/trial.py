"""What Django's tests need: a log of their own, and transactions that end before a call returns.

A `TestCase` test begins with an empty log, in memory unless the settings say otherwise, and lends its connections to what
it waits for. Elsewhere than in tests nothing here does anything.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from asgiref.sync import sync_to_async

from troth.app.stores import open_store
from troth.integrations.django.lending import Connections, Lending, in_tests, of_test
from troth.ports.store import Store


class Trial:
    """The tests of one Troth object.

    :param url: the log of each test.
    :param close: ends this process's node.
    """

    def __init__(self, url: str, close: Callable[[], None]) -> None:
        self.url = url
        self.close = close
        self.lending = Lending()
        self.open_store = open_store(url)
        self._running: list[tuple[Any, Any]] = []
        self._looking = threading.Lock()

    def make_store(self) -> Store:
        """The log of the test that is running, unopened."""
        return self.open_store()

    def forget_log(self) -> None:
        """End the node; what comes next begins with an empty log, if it is in memory."""
        self.close()
        self.open_store = open_store(self.url)

    def look(self) -> Connections:
        """Forget the log of a test that is over; the connections of a TestCase test that is running in this thread."""
        given = of_test()
        self.look_at(given)
        return given

    def look_at(self, given: Connections) -> None:
        """Forget the log of a test that is over.

        :param given: the connections of the test that is running.
        """
        running = [(connection, connection.atomic_blocks[-1]) for connection in given.values()]
        with self._looking:
            if any(pair in self._running for pair in running):
                return
            over = bool(self._running) and not any(block in connection.atomic_blocks for connection, block in self._running)
            if running or over:
                self._running = running
                self.forget_log()

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """This thread waits for troth. True inside a TestCase: its connections are lent meanwhile."""
        given = self.look() if in_tests() else {}
        if not given:
            yield False
            return
        with self.lending.lend(given):
            yield True

    @asynccontextmanager
    async def awaiting(self) -> AsyncIterator[bool]:
        """The same in a task. The connections are those of the thread in which `sync_to_async` works: the test's own."""
        given: Connections = await sync_to_async(of_test)() if in_tests() else {}
        if in_tests():
            await asyncio.to_thread(self.look_at, given)
        if not given:
            yield False
            return
        with self.lending.lend(given):
            yield True
