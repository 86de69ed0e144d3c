"""A plain HTTP client that asks as a coordinator does, and reads every answer."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import Raw

from troth.core.words import Op
from troth.ports.caller import Call
from troth.wire import http as wire
from troth.wire.http import parts_of
from troth.wire.signing import Signer

NUMBERS = itertools.count(1)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """Why, as a problem document says it."""
        assert self.headers["content-type"] == "application/problem+json"
        found: str = self.json["detail"]
        return found


def call_to(name: str, args: Any, op: Op = Op.ACTION, *, like: Call | None = None, **more: Any) -> Call:
    """A call; ``like`` another one: the same branch."""
    base = like or Call(
        uid=os.urandom(16), gid=f"g-{next(NUMBERS)}", branch=f"0/{name}#1", op=op, name=name, attempt=1, args=Raw(b"{}"),
        result=None, begun=1_000, low_water=1, log="log", timeout=10.0,
    )  # fmt: skip
    made = base if args is None else base._replace(args=Raw(json.dumps(args).encode()))
    return made._replace(op=op, **more)


def ask(port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Said:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Said(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def send(port: int, call: Call, *, mount: str = "/troth", kind: str = "steps", more: dict[str, str] | None = None) -> Said:
    """One call."""
    query, headers, body = parts_of(call)
    return ask(port, "POST", f"{mount}/{kind}/{call.name}?{query}", body, {"content-type": wire.JSON, **headers, **(more or {})})


def batch(port: int, calls: list[Call], *, mount: str = "/troth", more: dict[str, str] | None = None) -> Iterator[wire.AnswerLine]:
    """Many calls in one request, numbered from 1; each answer as soon as it is there."""
    body = b"".join(wire.call_line(n, f"steps/{call.name}", call) for n, call in enumerate(calls, 1))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", f"{mount}/batch", body, {"content-type": wire.NDJSON, **(more or {})})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        while line := answer.readline():
            yield wire.read_answer_line(line)
    finally:
        connection.close()


def listening() -> socket.socket:
    """A socket on a free port."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(64)
    return made


def signed(body: bytes, message_id: str, now: int, secret: str = SECRET) -> dict[str, str]:
    """The headers of a signature."""
    return Signer(secret).headers(message_id, body, now)
