"""The participant side as an ASGI 3 application: for Starlette, FastAPI, Quart, or a server alone (uvicorn, granian, hypercorn).

Async steps run on the server's own loop, sync ones in threads; the loop is never blocked. A call that has begun goes on
when its client disconnects or the server cancels the request: its answer is kept by the barrier for whoever asks again,
and no connection is torn from a transaction half-way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import partial
from typing import Any, Final

from troth.app.serving.flights import Flights, broken, full, told
from troth.app.serving.threads import Threads, ado
from troth.core.reply import Reply
from troth.engine.clock import Clock
from troth.participant.serving import Answer, Batch, Desk, Head, Task, Wanted, busy
from troth.wire.http import NDJSON

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MILLION: Final = 1_000_000


class AsgiRoutes:
    """An ASGI application; `troth.Troth.routes` makes it.

    :param shut: closes what the steps opened; awaited when a server that runs this alone ends.
    """

    def __init__(self, desk: Desk, threads: Threads, shut: Callable[[], Awaitable[None]]) -> None:
        self.desk = desk
        self.threads = threads
        self._shut = shut
        self._clock = Clock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flights: Flights[asyncio.Future[Reply]] | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request; or take part in the life of a server that runs this alone."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        head = head_of(scope)
        wanted = self.desk.look(head)
        if isinstance(wanted, Answer):
            return await sent(send, wanted)
        body = await read(receive, wanted.most)
        if body is None:
            return None
        if len(body) > wanted.most > 0:
            return await sent(send, self.desk.too_large(head, wanted.most))
        return await self._answered(wanted, body, send)

    async def _answered(self, wanted: Wanted, body: bytes, send: Send) -> None:
        opened = self.desk.opened(wanted, body if wanted.most else b"", self._clock.now() // MILLION)
        if isinstance(opened, Answer):
            await sent(send, opened)
        elif isinstance(opened, Batch):
            await self._stream(opened, send)
        else:
            reply = await asyncio.shield(self._reply(opened))
            await sent(send, self.desk.answer(opened, reply, wanted.head))

    def _reply(self, task: Task) -> asyncio.Future[Reply]:
        """The reply to a call, begun now unless it is under way already. To be awaited behind a shield."""
        loop = asyncio.get_running_loop()
        flights = self._flights
        if flights is None or self._loop is not loop:
            flights = Flights()
            self._loop, self._flights = loop, flights
        future: asyncio.Future[Reply] | None
        if task.offered.is_async(task.call.op):
            future, _ = flights.board(task, lambda: loop.create_task(answered(task)))
        else:
            future, mine = flights.board(task, loop.create_future)
            if future is not None and mine:
                self.threads.submit(task, partial(across, loop, task, future))
        if future is None:
            future = loop.create_future()
            future.set_result(busy(full(task)))
        return future

    async def _stream(self, batch: Batch, send: Send) -> None:
        """Answer each call as soon as it has ended, whatever the others do."""
        ended: asyncio.Queue[bytes] = asyncio.Queue()

        def line(task: Task) -> Callable[[asyncio.Future[Reply]], None]:
            return lambda future: ended.put_nowait(self.desk.line(task, outcome(future)))

        for task in batch.tasks:
            self._reply(task).add_done_callback(line(task))
        await send(start(200, NDJSON, ()))
        if batch.answers:
            await send({"type": "http.response.body", "body": b"".join(batch.answers), "more_body": True})
        left = len(batch.tasks)
        while left:
            lines = [await ended.get()]
            while not ended.empty():
                lines.append(ended.get_nowait())
            left -= len(lines)
            await send({"type": "http.response.body", "body": b"".join(lines), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._shut()
                await send({"type": "lifespan.shutdown.complete"})
                return


def head_of(scope: MutableMapping[str, Any]) -> Head:
    """A request's head. Where the application is mounted, ``root_path`` may or may not be a part of ``path``."""
    path, mount = scope["path"], scope.get("root_path", "").rstrip("/")
    if mount and path.startswith(mount) and path[len(mount) :][:1] in ("", "/"):
        path = path[len(mount) :]
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Head(scope["method"], path, scope["query_string"].decode("latin-1"), headers)


async def read(receive: Receive, most: int) -> bytes | None:
    """The body, or as much of it as shows that it is too large; None if the client has gone."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > most or not message.get("more_body", False):
            return b"".join(parts)


def start(status: int, content_type: str, headers: Iterable[tuple[str, str]]) -> Message:
    """The first message of an answer."""
    named = [("content-type", content_type), *headers]
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named]
    return {"type": "http.response.start", "status": status, "headers": raw}


async def sent(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    length = ("content-length", str(len(answer.body)))
    await send(start(answer.status, answer.content_type, (*answer.headers, length)))
    await send({"type": "http.response.body", "body": answer.body})


def outcome(future: asyncio.Future[Reply]) -> Reply:
    """What a future that is done replied."""
    if future.cancelled():
        return broken(asyncio.CancelledError())
    error = future.exception()
    return future.result() if error is None else broken(error)


async def answered(task: Task) -> Reply:
    """Do an async task; what failed is logged."""
    return told(task, await ado(task))


def across(loop: asyncio.AbstractEventLoop, task: Task, future: asyncio.Future[Reply], reply: Reply) -> None:
    """Hand a reply from a thread to the loop."""

    def land() -> None:
        if not future.done():
            future.set_result(told(task, reply))

    try:
        loop.call_soon_threadsafe(land)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return
