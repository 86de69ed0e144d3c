"""Calls to two services over HTTP, made bare, as a saga and as TCC, with the same client; alone or many in a request."""

from __future__ import annotations

import os

import aiohttp
import msgspec

from bench.load import run
from bench.sampling import Profile, Sampler
from bench.sides.side import TEXT, counters
from troth import Troth
from troth.core import limits

SERVICES = os.environ.get("TROTH_BENCH_SERVICES", "http://127.0.0.1:1 http://127.0.0.1:1").split()
"""Two services: plain ones, or for the sides of that name ``served`` by troth."""
BODY = {"text": TEXT}


class Bare:
    """The same calls, and nothing that manages a transaction.

    :param rounds: how often both services are called: once for a saga, twice for TCC.
    """

    def __init__(self, prefix: str, rounds: int = 1) -> None:
        paths = (f"{prefix}/reserve", f"{prefix}/charge")
        self._urls = [f"{service}{path}" for service, path in zip(SERVICES, paths, strict=True)] * rounds
        self._count = 0

    async def start(self) -> None:
        """Open the pool."""
        pool = aiohttp.TCPConnector(limit=0, keepalive_timeout=limits.IDLE_SECONDS)
        self._session = aiohttp.ClientSession(connector=pool, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)

    async def stop(self) -> None:
        """Close it."""
        await self._session.close()

    async def one(self) -> object:
        """The calls, one after the other, their answers decoded."""
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
    """A declared saga over the same two calls, its log an SQLite file."""

    def __init__(self, name: str, log: str) -> None:
        self.app = Troth(f"sqlite:///{log}")
        one, other = SERVICES
        if name == "calls-saga":
            reserve = self.app.http("reserve", f"{one}/reserve", compensate=None, guarded=True)
            charge = self.app.http("charge", f"{other}/charge", compensate=None, guarded=True)
        else:
            reserve = self.app.remote(one, "reserve", compensate=None)
            charge = self.app.remote(other, "charge", compensate=None)
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


class Tcc(Sagas):
    """Two tries and two confirms, all declared."""

    def __init__(self, name: str, log: str) -> None:
        super().__init__(name, log)
        self.holds = [self.app.remote_tcc(url, "hold", name=f"hold-{n}") for n, url in enumerate(SERVICES)]

    async def one(self) -> object:
        """One transaction of two branches."""
        outcome = await self.app.aio.run_tcc(None, [hold.branch(text=TEXT) for hold in self.holds])
        if outcome.state != "confirmed":
            raise RuntimeError(f"{outcome.gid}: {outcome.reason}")
        return outcome


def make(name: str, log: str) -> Bare | Sagas:
    """The side of that name."""
    if "bare" in name:
        return Bare("/steps" if "served" in name else "", 2 if "tcc" in name else 1)
    return Tcc(name, log) if "tcc" in name else Sagas(name, log)
