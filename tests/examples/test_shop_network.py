"""The demo's bad network: what it loses and repeats, and that it passes on everything else as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
from aiohttp import web

from examples.shop.demo.calls import Answer, Call, calls_in
from examples.shop.demo.proxy import Proxy
from examples.shop.demo.weather import Weather

ALONE = "/troth/steps/charge?gid=order-1&branch_id=%2Fcharge%231&op=action&trans_type=saga"
CALL = Call("payment", 0, "order-1", "/charge#1", "action", "charge", 1)


class Storm(Weather):
    """Brings each event to the first that it can befall, and nothing else."""

    def __init__(self, *events: str) -> None:
        super().__init__(1, 0.001)
        self.events = set(events)

    def happens(self, what: str, part: float, event: str) -> bool:
        """Once each."""
        found = event in self.events
        self.events.discard(event)
        return found


class Witness:
    """Writes down what passes, and lets it pass, unless it kills the service that answers."""

    def __init__(self, *, kill: bool = False) -> None:
        self.kill = kill
        self.asked: list[tuple[Call, bool]] = []
        self.said: list[tuple[Answer, bool]] = []

    def asks(self, call: Call, *, again: bool) -> None:
        """See `Watcher`."""
        self.asked.append((call, again))

    def says(self, answer: Answer, *, again: bool) -> bool:
        """See `Watcher`."""
        self.said.append((answer, again))
        return not self.kill


@asynccontextmanager
async def network(weather: Weather, witness: Witness) -> AsyncIterator[tuple[str, list[bytes], Proxy]]:
    """A service that counts its requests, behind a proxy: the proxy's URL, what the service saw, the proxy."""
    seen: list[bytes] = []

    async def serve(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        seen.append(body)
        if request.path.endswith("/batch"):
            lines = [msgspec.json.decode(line) for line in body.splitlines()]
            said = b"".join(msgspec.json.encode({"n": line["n"], "status": 200, "body": line["n"]}) + b"\n" for line in lines)
            return web.Response(body=said, content_type="application/x-ndjson")
        return web.Response(body=str(len(seen)).encode(), headers={"Troth-Batch": "/troth/batch"})

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    proxy = Proxy("payment", f"http://{host}:{port}", weather, witness)
    try:
        yield await proxy.open(), seen, proxy
    finally:
        await proxy.settle()
        await proxy.close()
        await runner.cleanup()


def ask(weather: Weather, witness: Witness, path: str = ALONE, body: bytes = b"{}") -> tuple[bytes, list[bytes]]:
    """Ask once through the network: the answer, and what the service saw until all was quiet."""

    async def go() -> tuple[bytes, list[bytes]]:
        async with network(weather, witness) as (url, seen, proxy), aiohttp.ClientSession() as session:
            async with session.post(url + path, data=body) as response:
                said = await response.read()
            assert response.status == 200
            assert path != ALONE or response.headers["Troth-Batch"] == "/troth/batch"
            await proxy.settle()
            return said, seen

    return asyncio.run(go())


def test_on_a_good_day_everything_passes_as_it_is() -> None:
    """Once there, once back, and the watcher has seen the call and its answer."""
    witness = Witness()
    assert ask(Storm(), witness) == (b"1", [b"{}"])
    assert witness.asked == [(CALL, False)]
    assert witness.said == [(Answer(CALL, 200, b"1"), False)]


def test_a_repeated_request_arrives_twice_and_is_answered_once() -> None:
    """The same bytes; the repetition is marked as the network's own."""
    witness = Witness()
    assert ask(Storm("repeated"), witness) == (b"2", [b"{}", b"{}"])
    assert [again for _, again in witness.asked] == [False, True]


def test_a_late_repetition_comes_after_the_answer() -> None:
    """The transaction has gone on by then."""
    assert ask(Storm("late"), Witness()) == (b"1", [b"{}", b"{}"])


@pytest.mark.parametrize("kill", [False, True])
def test_a_lost_answer_is_none(kill: bool) -> None:
    """The service has done it, and the connection ends without a word: on its way, or with the service."""
    witness = Witness(kill=kill)
    with pytest.raises(aiohttp.ClientError):
        ask(Storm() if kill else Storm("lost"), witness)
    assert [answer.status for answer, _ in witness.said] == [200]


def line(n: int) -> bytes:
    """A call in a batch."""
    fields = {"n": n, "path": "steps/charge", "gid": f"order-{n}", "branch": "/charge#1", "op": "action", "attempt": 1}
    return msgspec.json.encode(fields) + b"\n"


def test_one_line_of_a_batch_is_lost_and_the_others_pass() -> None:
    """Each call of a batch has its own fate."""
    witness = Witness()
    said, _ = ask(Storm("lost"), witness, "/troth/batch", line(1) + line(2))
    assert said == b'{"n":2,"status":200,"body":2}\n'
    assert [call.gid for call, _ in witness.asked] == ["order-1", "order-2"]


def test_what_belongs_to_no_transaction_is_no_call() -> None:
    """The pre-check's questions pass, and nobody counts them."""
    witness = Witness()
    assert ask(Storm(), witness, "/catalogue/drum")[0] == b"1"
    assert not witness.asked
    assert calls_in("stock", "/troth/", "", {}, b"") == []


def test_the_weather_depends_on_the_seed_and_the_call_alone() -> None:
    """The same seed brings the same, another one something else, and a good network nothing."""
    calls = [f"call {n}" for n in range(2000)]
    one, same, other = ([Weather(seed, 0.05).happens(call, 0.1, "lost") for call in calls] for seed in (1, 1, 2))
    assert one == same != other
    assert 0.05 < sum(one) / len(one) < 0.15
    assert not any(Weather(1, 0).happens(call, 1.0, "lost") for call in calls)
