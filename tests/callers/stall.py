"""A participant in another language's shape: raw HTTP/1.1 on asyncio streams, in a thread of its own. It knows nothing of troth."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit


class Asked(NamedTuple):
    """One request, as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    connection: int


Writer = asyncio.StreamWriter
Act = Callable[[Asked, Writer], Awaitable[None]]
"""Answers a request, or does something else to its connection; closing the writer ends the connection."""


def answers(status: int, body: bytes | str = b"", *, kind: str = "application/json", **headers: str) -> Act:
    """A whole answer; ``retry_after="3"`` is a header."""
    data = body.encode() if isinstance(body, str) else body
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n{more}\r\n"

    async def act(asked: Asked, writer: Writer) -> None:
        writer.write(head.encode() + data)

    return act


def raw(*chunks: bytes, close: bool = True) -> Act:
    """Just these bytes."""

    async def act(asked: Asked, writer: Writer) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
        if close:
            writer.close()

    return act


async def hangs(asked: Asked, writer: Writer) -> None:
    """Never says a word; ends when the other side does."""
    while not writer.is_closing():
        await asyncio.sleep(0.01)


async def drips(asked: Asked, writer: Writer) -> None:
    """A byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.01)


class Stall:
    """The server.

    :ivar asked: every request, in order.
    :ivar plans: by ``path`` or ``op path``, what to do with its next requests; the last one stays.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.plans: dict[str, list[Act]] = {}
        self.default: Act = answers(200, b"null")
        self.connections = 0
        self.open = 0
        self.loop = asyncio.new_event_loop()
        self.server: asyncio.Server | None = None
        self.port = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    def url(self, path: str) -> str:
        """Of a path on this server."""
        return f"http://127.0.0.1:{self.port}{path}"

    def plan(self, path: str, *acts: Act) -> str:
        """What the next requests to the path meet; its URL."""
        self.plans[path] = list(acts)
        return self.url(path)

    def paths(self) -> list[str]:
        """Of the requests so far."""
        return [each.path for each in self.asked]

    async def _connected(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            await self._serve(reader, writer, self.connections)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer, number: int) -> None:
        while not writer.is_closing():
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            where = urlsplit(first.split(" ")[1])
            asked = Asked(where.path, dict(parse_qsl(where.query)), headers, body, number)
            self.asked.append(asked)
            acts = self.plans.get(f"{asked.query.get('op')} {asked.path}") or self.plans.get(asked.path) or [self.default]
            act = acts.pop(0) if len(acts) > 1 else acts[0]
            acting = asyncio.ensure_future(act(asked, writer))
            gone = asyncio.ensure_future(reader.read(1)) if act in (hangs, drips) else None
            if gone is not None:
                await asyncio.wait([acting, gone], return_when=asyncio.FIRST_COMPLETED)
                acting.cancel()
                gone.cancel()
                await asyncio.gather(acting, gone, return_exceptions=True)  # the caller may have reset the connection
                return
            await acting
            await writer.drain()

    async def start(self) -> None:
        """Listen on a free port."""
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and end every connection."""
        if self.server is not None:
            self.server.close()
            self.server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0)

    def do(self, work: Any) -> None:
        """Run something on the server's loop, and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)


@contextmanager
def stall() -> Iterator[Stall]:
    """A running server."""
    made = Stall()
    thread = threading.Thread(target=made.loop.run_forever, name="stall", daemon=True)
    thread.start()
    try:
        made.do(made.start())
        yield made
    finally:
        made.do(made.stop())
        made.loop.call_soon_threadsafe(made.loop.stop)
        thread.join(10)
        made.loop.close()
