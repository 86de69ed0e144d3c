"""The participant side as a WSGI application (PEP 3333): for Flask, Django, gunicorn, waitress, mod_wsgi.

A sync step runs in the thread that the server gave the request; an async one on a loop of ours. Batches are answered as a
stream: PEP 3333 forbids a server to hold back what the iterator yields. A batch occupies one thread of the server until
its slowest call has ended, as a single slow call does; answers of the others don't wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from http import HTTPStatus
from queue import SimpleQueue
from typing import Any, Final

from troth.app.serving.flights import Flights, broken, full, told
from troth.app.serving.threads import Threads, do
from troth.core.reply import Reply
from troth.engine.clock import Clock
from troth.participant.serving import Answer, Batch, Desk, Head, Task, Wanted, busy
from troth.wire.http import NDJSON

StartResponse = Callable[..., Any]
MILLION: Final = 1_000_000
CONNECTION: Final = "connection"
"""Hop-by-hop: a WSGI application may not say it."""


class WsgiRoutes:
    """A WSGI application; `troth.Troth.wsgi_routes` makes it."""

    def __init__(self, desk: Desk, threads: Threads) -> None:
        self.desk = desk
        self.threads = threads
        self._clock = Clock()
        self._flights: Flights[Future[Reply]] = Flights()

    def abandon(self) -> None:
        """In a forked child: calls of the parent never end here."""
        self._flights = Flights()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        head = head_of(environ)
        wanted = self.desk.look(head)
        if isinstance(wanted, Answer):
            return sent(start_response, wanted)
        if wanted.kind and not sized(environ):
            return sent(start_response, self.desk.refusal(head, 411, "this server needs a Content-Length. Send one"))
        body = read(environ, wanted.most)
        if len(body) > wanted.most:
            return sent(start_response, self.desk.too_large(head, wanted.most))
        return self._answered(wanted, body, start_response)

    def _answered(self, wanted: Wanted, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
        opened = self.desk.opened(wanted, body, self._clock.now() // MILLION)
        if isinstance(opened, Answer):
            return sent(start_response, opened)
        if isinstance(opened, Batch):
            start_response("200 OK", [("content-type", NDJSON)])
            return self._stream(opened)
        return sent(start_response, self.desk.answer(opened, self._reply(opened), wanted.head))

    def _reply(self, task: Task) -> Reply:
        """The reply to a call, made in this thread unless it is under way already."""
        future, mine = self._flights.board(task, Future)
        if future is None:
            return busy(full(task))
        if mine:
            if task.offered.is_async(task.call.op):
                return self._begun(task, future).result()
            future.set_result(told(task, do(task)))
        return future.result()

    def _begun(self, task: Task, future: Future[Reply]) -> Future[Reply]:
        """Begin a call elsewhere than in this thread."""

        def land(reply: Reply) -> None:
            future.set_result(told(task, reply))

        if task.offered.is_async(task.call.op):
            self.threads.begin(task).add_done_callback(lambda ended: land(outcome(ended)))
        else:
            self.threads.submit(task, land)
        return future

    def _stream(self, batch: Batch) -> Iterator[bytes]:
        """Each call's answer as soon as it has ended, whatever the others do."""
        ended: SimpleQueue[bytes] = SimpleQueue()

        def line(task: Task) -> Callable[[Future[Reply]], None]:
            return lambda future: ended.put(self.desk.line(task, outcome(future)))

        for task in batch.tasks:
            future, mine = self._flights.board(task, Future)
            if future is None:
                ended.put(self.desk.line(task, busy(full(task))))
                continue
            future.add_done_callback(line(task))
            if mine:
                self._begun(task, future)
        yield from batch.answers
        for _ in batch.tasks:
            yield ended.get()


def head_of(environ: dict[str, Any]) -> Head:
    """A request's head. Paths are UTF-8 bytes, shown as Latin-1 (PEP 3333)."""
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    return Head(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers)


def sized(environ: dict[str, Any]) -> bool:
    """Is it known where the body ends?"""
    return bool(environ.get("CONTENT_LENGTH")) or bool(environ.get("wsgi.input_terminated"))


def read(environ: dict[str, Any], most: int) -> bytes:
    """The body, or as much of it as shows that it is too large."""
    if not most:
        return b""
    length = environ.get("CONTENT_LENGTH", "")
    left = min(int(length), most + 1) if length.isascii() and length.isdecimal() else most + 1
    parts = []
    while left and (part := environ["wsgi.input"].read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def sent(start_response: StartResponse, answer: Answer) -> Iterable[bytes]:
    """Send a whole answer."""
    status = HTTPStatus(answer.status)
    headers = [("content-type", answer.content_type), ("content-length", str(len(answer.body)))]
    start_response(f"{status.value} {status.phrase}", [*headers, *(each for each in answer.headers if each[0] != CONNECTION)])
    return [answer.body]


def outcome(future: Future[Reply]) -> Reply:
    """What a future that is done replied."""
    if future.cancelled():
        return broken(CancelledError())
    error = future.exception()
    return future.result() if error is None else broken(error)
