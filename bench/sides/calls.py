"""Two calls over HTTP, made bare and as a saga, with the same client: one request a call, or many calls a request."""

from __future__ import annotations

import os

import aiohttp
import msgspec

from bench.load import run
from bench.sampling import Profile, Sampler
from bench.sides.side import TEXT, counters
from troth import Troth
from troth.core import limits

URL = os.environ.get("TROTH_BENCH_SERVICE", "http://127.0.0.1:1")
"""The service: plain for the first two sides, one of troth for the others."""
BODY = {"text": TEXT}


class Bare:
    """The same two calls, and nothing that manages a transaction."""

    def __init__(self, paths: tuple[str, str]) -> None:
        self._urls = [f"{URL}{path}" for path in paths]
        self._count = 0

    async def start(self) -> None:
        """Open the pool."""
        pool = aiohttp.TCPConnector(limit=0, keepalive_timeout=limits.IDLE_SECONDS)
        self._session = aiohttp.ClientSession(connector=pool, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)

    async def stop(self) -> None:
        """Close it."""
        await self._session.close()

    async def one(self) -> object:
        """Two calls, one after the other, their answers decoded."""
        self._count += 1
        answer: object = None
        for url in self._urls:
            data = msgspec.json.encode(BODY)
            async with self._session.post(url, data=data, headers={"content-type": "application/json"}) as response:
                answer = msgspec.json.decode(await response.read())
                if response.status != 200:
                    raise RuntimeError(f"{url} answered {response.status}")
        return answer

    def stats(self) -> dict[str, int]:
        """It writes nothing."""
        return {}


class Sagas:
    """A function saga over the same two calls, its log an SQLite file."""

    def __init__(self, name: str, log: str) -> None:
        self.app = Troth(f"sqlite:///{log}")
        if name == "calls-saga":
            reserve = self.app.http("reserve", f"{URL}/reserve", compensate=None, guarded=True)
            charge = self.app.http("charge", f"{URL}/charge", compensate=None, guarded=True)
        else:
            reserve = self.app.remote(URL, "reserve", compensate=None)
            charge = self.app.remote(URL, "charge", compensate=None)
        self.graph = self.app.graph("order", input=dict[str, str])
        first = self.graph.step(reserve, text=self.graph.input["text"])
        self.graph.returns(self.graph.step(charge, text=first.result["text"]).result)

    async def start(self) -> None:
        """Become a node."""
        await self.app.__aenter__()

    async def stop(self) -> None:
        """Drain and leave."""
        await self.app.__aexit__(None, None, None)

    async def one(self) -> object:
        """One saga of two calls."""
        return await self.graph.aio(BODY)

    async def profile(self, in_flight: int, seconds: float) -> Profile:
        """Where the time goes while so many are in flight."""
        with Sampler() as sampler:
            await run(self.one, in_flight, seconds)
        return sampler.profile()

    def stats(self) -> dict[str, int]:
        """What the node counted."""
        return counters(self.app.stats())


def make(name: str, log: str) -> Bare | Sagas:
    """The side of that name."""
    if name == "calls-bare":
        return Bare(("/reserve", "/charge"))
    if name == "calls-bare-served":
        return Bare(("/steps/reserve", "/steps/charge"))
    return Sagas(name, log)
