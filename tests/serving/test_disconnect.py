"""Clients that go away, servers that cancel, processes that only serve: nothing is torn half-way."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from tests.app.patience import auntil
from tests.serving.asking import batch, call_to, send
from tests.serving.stock import Stock, left
from troth.ports.caller import Call
from troth.wire import http as wire


def scope_of(call: Call) -> dict[str, Any]:
    """A call as an ASGI server shows it."""
    query, headers, _ = wire.parts_of(call)
    raw = [(name.encode(), value.encode()) for name, value in {**headers, "content-type": wire.JSON}.items()]
    path = f"/steps/{call.name}"
    return {"type": "http", "method": "POST", "path": path, "query_string": query.encode(), "headers": raw}


class Wire:
    """One request's two ends."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.sent: list[MutableMapping[str, Any]] = []

    async def receive(self) -> MutableMapping[str, Any]:
        """The body, whole."""
        return {"type": "http.request", "body": bytes(self.call.args), "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Keep what is sent."""
        self.sent.append(message)


def test_a_cancelled_request_lets_its_call_end_and_its_repetition_gets_the_answer(stock: Stock) -> None:
    """A server that cancels a request tears no transaction: whoever asks again is told what happened."""

    async def go() -> None:
        app = stock.troth.routes()
        for name in ("stock.slow", "stock.aslow"):
            stock.gate.clear()
            call = call_to(name, {"sku": "a"})
            asked = asyncio.create_task(app(scope_of(call), (first := Wire(call)).receive, first.send))
            await auntil(lambda: stock.entered.acquire(blocking=False), "the step to begin")
            asked.cancel()
            await asyncio.wait([asked])
            assert asked.cancelled()
            assert first.sent == []
            again = asyncio.create_task(app(scope_of(call), (second := Wire(call)).receive, second.send))
            stock.gate.set()
            await again
            assert second.sent[0]["status"] == 200

    asyncio.run(go())
    assert (sorted(stock.runs), left(stock)) == (["aslow", "slow"], 9)


def test_a_client_that_hangs_up_changes_nothing(served: Callable[..., int], stock: Stock) -> None:
    """The call ends, and the same call again gets its answer."""
    port = served()
    call = call_to("stock.slow", {"sku": "a"})
    query, headers, body = wire.parts_of(call)
    lines = [f"POST /troth/steps/{call.name}?{query} HTTP/1.1", "host: stock", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in {**headers, "content-type": wire.JSON}.items()]
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        assert stock.entered.acquire(timeout=10)
    stock.gate.set()
    assert send(port, call).json == "slow"
    assert (stock.runs, left(stock)) == (["slow"], 9)


def test_a_client_that_hangs_up_before_its_body_is_whole_begins_nothing(uvicorn_serves: Any, stock: Stock) -> None:
    """Half a call is none."""
    port = uvicorn_serves(stock.troth.routes())
    call = call_to("stock.slow", {"sku": "a"})
    query, headers, _ = wire.parts_of(call)
    lines = [f"POST /steps/{call.name}?{query} HTTP/1.1", "host: stock", "content-length: 20"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall("\r\n".join(lines).encode() + b'\r\n\r\n{"sku"')
    stock.gate.set()
    assert send(port, call_to("stock.reserve", {"sku": "a", "n": 1}), mount="").status == 200
    assert stock.runs == ["reserve"]


def test_hung_calls_of_one_step_hold_up_no_other(uvicorn_serves: Any, stock: Stock) -> None:
    """A step that hangs holds its share of the threads, not all."""
    port = uvicorn_serves(stock.troth.routes())
    calls = [call_to("stock.aslow", {"sku": "a"}) for _ in range(40)] + [call_to("stock.stuck", {"sku": "a"}) for _ in range(40)]
    lines = batch(port, [*calls, call_to("stock.reserve", {"sku": "a", "n": 1})], mount="")
    assert next(lines).n == 81
    stock.gate.set()
    assert sum(line.status == 200 for line in lines) == 80


def test_too_many_calls_are_turned_away_and_may_come_again(stock: Stock, monkeypatch: Any) -> None:
    """503 with a time: whether an earlier attempt ran isn't said, so it is no refusal."""
    from troth.core import limits

    monkeypatch.setattr(limits, "CALLS_PER_DESTINATION", 1)

    async def go() -> None:
        app = stock.troth.routes()
        first, second = (call_to("stock.aslow", {"sku": "a"}) for _ in range(2))
        asked = asyncio.create_task(app(scope_of(first), (one := Wire(first)).receive, one.send))
        await auntil(lambda: stock.entered.acquire(blocking=False), "the step to begin")
        await app(scope_of(second), (two := Wire(second)).receive, two.send)
        assert two.sent[0]["status"] == 503
        assert (b"retry-after", b"1") in two.sent[0]["headers"]
        stock.gate.set()
        await asked
        await app(scope_of(second), (three := Wire(second)).receive, three.send)
        assert (one.sent[0]["status"], three.sent[0]["status"]) == (200, 200)

    asyncio.run(go())


def test_routes_serve_on_one_loop_after_another(stock: Stock) -> None:
    """As tests that make a loop each need it."""
    app = stock.troth.routes()
    for _ in range(2):
        call = call_to("stock.weigh", {"sku": "a"})
        asyncio.run(app(scope_of(call), (seen := Wire(call)).receive, seen.send))
        assert seen.sent[0]["status"] == 200


def test_a_server_that_runs_the_routes_alone_closes_what_steps_opened(stock: Stock) -> None:
    """Its shutdown ends the threads and closes the databases' idle connections."""

    async def go() -> list[str]:
        app, sent = stock.troth.routes(), []
        call = call_to("stock.reserve", {"sku": "a", "n": 1})
        await app(scope_of(call), (seen := Wire(call)).receive, seen.send)
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> MutableMapping[str, Any]:
            return {"type": next(messages)}

        async def send_back(message: MutableMapping[str, Any]) -> None:
            sent.append(message["type"])

        await app({"type": "lifespan"}, receive, send_back)
        return sent

    assert asyncio.run(go()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


ALONE = """
import asyncio, sys
from troth import Troth
troth = Troth("sqlite:///log.db")

@troth.step(guarded=True, name="ping", compensate=None)
def ping() -> int:
    return 1

app, wsgi = troth.routes(), troth.wsgi_routes()
heavy = {"aiohttp", "starlette", "flask", "uvicorn", "psycopg", "werkzeug", "click", "rich"} & set(sys.modules)
assert not heavy, heavy
from tests.serving.asking import call_to
from tests.serving.test_disconnect import Wire, scope_of
call = call_to("ping", {})
wire = Wire(call)
asyncio.run(app(scope_of(call), wire.receive, wire.send))
assert wire.sent[0]["status"] == 200, wire.sent
import os
print(sorted(os.listdir()), troth.runtime.node)
"""


def test_a_service_that_only_takes_part_opens_no_log(tmp_path: Path) -> None:
    """No node, no file; and serving imports no framework."""
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE], cwd=tmp_path, env={"PYTHONPATH": f"{root}/src:{root}"}, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ran.stdout, ran.returncode) == ("[] None\n", 0), ran.stderr


def test_a_call_that_waited_too_long_for_a_thread_is_not_begun(stock: Stock, monkeypatch: Any) -> None:
    """Its caller has given up long ago and asks again: running it now would only take a thread from others."""
    from troth.app.serving import threads

    hung = [call_to("stock.stuck", {"sku": "a"}) for _ in range(16)]
    late = call_to("stock.stuck", {"sku": "a"})
    seconds = [0.0]
    monkeypatch.setattr(threads, "monotonic", lambda: seconds[0])

    async def go() -> None:
        app = stock.troth.routes()
        wires = [Wire(call) for call in (*hung, late)]
        asked = [asyncio.create_task(app(scope_of(each.call), each.receive, each.send)) for each in wires]
        await auntil(lambda: stock.entered.acquire(blocking=False), "a step to begin")
        seconds[0] = 11.0
        stock.gate.set()
        await asyncio.gather(*asked)
        assert {each.sent[0]["status"] for each in wires} == {200, 503}
        assert wires[-1].sent[0]["status"] == 503

    asyncio.run(go())
    assert stock.runs == ["stuck"] * 16
