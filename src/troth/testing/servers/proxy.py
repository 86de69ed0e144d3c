"""A cable that can be cut: a TCP proxy in front of a server, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from troth.testing.servers.process import free_port

HOST: Final = "127.0.0.1"


class Cable:
    """Connections to `port` reach *target* while it is whole.

    :param target: the server's port on this machine.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable", daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._do(self._open())

    def cut(self) -> None:
        """Reset every connection and refuse new ones, as a killed server's machine does."""
        self._do(self._cut())

    def mend(self) -> None:
        """Let connections through again."""
        self._do(self._open())

    def stall(self) -> None:
        """Let nothing through and close nothing, as a stopped server does."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        """Go on."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def close(self) -> None:
        """End it."""
        self._do(self._cut())
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _open(self) -> None:
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._joined, HOST, self.port)

    async def _cut(self) -> None:
        self._flows.set()
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(HOST, self._target)
        except OSError:
            self._drop(writer)
            return
        self._writers.add(back)
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._drop(writer)
        self._drop(back)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.transport.abort()
