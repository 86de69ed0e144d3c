"""The network between the gateway and its services: slow, and it repeats and loses what it carries.

One door a service. Nothing behind it knows of the demo: what passes is seen here (`Watcher`), and so the moments are known
at which a process is in the midst of something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

import aiohttp
from aiohttp import web

from examples.shop.demo.calls import Answer, Call, answers_in, calls_in
from examples.shop.demo.weather import LATE, LOST, REPEATED, Weather

OWN = frozenset({"host", "connection", "keep-alive", "content-length", "transfer-encoding", "content-encoding", "date", "server"})
"""Headers of one connection, not of what is carried."""
PATIENCE = aiohttp.ClientTimeout(30)


class Watcher(Protocol):
    """Who is told what passes."""

    def asks(self, call: Call, *, again: bool) -> None:
        """A call is on its way to the service.

        :param again: the network repeats it.
        """

    def says(self, answer: Answer, *, again: bool) -> bool:
        """The service has answered; False: don't pass it on, the service has been killed just now."""


class Lost(Exception):
    """There will be no answer."""


class Proxy:
    """One service's door.

    :param target: where the service really is.
    """

    def __init__(self, service: str, target: str, weather: Weather, watcher: Watcher) -> None:
        self.service = service
        self.target = target
        self.weather = weather
        self.watcher = watcher
        self.trips: dict[int, set[Call]] = {}
        """For each request: its calls whose answers have not come back to the gateway."""
        self._late: set[asyncio.Task[None]] = set()
        self._looks = 0

    async def open(self) -> str:
        """Open it; its URL."""
        self.session = aiohttp.ClientSession(timeout=PATIENCE, auto_decompress=False, connector=aiohttp.TCPConnector(limit=0))
        self.runner = web.ServerRunner(web.Server(self.carry))
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        host, port = self.runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def settle(self) -> None:
        """Until everything that is late has arrived."""
        await asyncio.gather(*self._late)

    async def close(self) -> None:
        """Close it."""
        for task in self._late:
            task.cancel()
        await self.runner.cleanup()
        await self.session.close()

    @property
    def under_way(self) -> set[str]:
        """Transactions that wait for an answer of this service."""
        return {call.gid for trip in self.trips.values() for call in trip}

    async def carry(self, request: web.BaseRequest) -> web.StreamResponse:
        """Carry one request there and its answer back."""
        body = await request.read()
        calls = calls_in(self.service, request.path, request.query_string, request.headers, body)
        what = self._named(request, calls)
        trip = self._ask(calls)
        try:
            await asyncio.sleep(self.weather.travel(what, "there"))
            if self.weather.happens(what, LATE, "late") and calls:
                self._deliver_later(request, body, calls, what)
            if self.weather.happens(what, REPEATED, "repeated") and calls:
                await self._again(request, body, calls)
            return await self._deliver(request, body, calls, trip)
        except (Lost, aiohttp.ClientError, TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)
        finally:
            del self.trips[id(trip)]

    def _named(self, request: web.BaseRequest, calls: list[Call]) -> str:
        """What chance is drawn for."""
        self._looks += not calls
        return " ".join(f"{call} {call.attempt}" for call in calls) or f"{request.path} {self._looks}"

    def _ask(self, calls: list[Call], *, again: bool = False) -> set[Call]:
        trip = set(calls)
        self.trips[id(trip)] = trip
        for call in calls:
            self.watcher.asks(call, again=again)
        return trip

    # -- delivering

    def _post(self, request: web.BaseRequest, body: bytes) -> aiohttp.client._RequestContextManager:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in OWN}
        return self.session.request(request.method, f"{self.target}{request.path_qs}", data=body, headers=headers)

    async def _deliver(self, request: web.BaseRequest, body: bytes, calls: list[Call], trip: set[Call]) -> web.StreamResponse:
        async with self._post(request, body) as found:
            kept = {name: value for name, value in found.headers.items() if name.lower() not in OWN}
            if found.status == 200 and any(call.n for call in calls):
                return await self._stream(request, found, calls, trip, kept)
            said = await found.read()
        for call in calls:
            self._say(Answer(call, found.status, said))
        what = self._named(request, calls)
        if self.weather.happens(what, LOST, "lost"):
            raise Lost
        await asyncio.sleep(self.weather.travel(what, "back"))
        return web.Response(status=found.status, body=said, headers=kept)

    async def _stream(
        self, request: web.BaseRequest, found: aiohttp.ClientResponse, calls: list[Call], trip: set[Call], headers: dict[str, str]
    ) -> web.StreamResponse:  # fmt: skip
        """Pass on the answers of a batch one by one, each in its own time."""
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        lines: list[asyncio.Task[None]] = []
        try:
            async for read in found.content:
                for answer, line in answers_in(calls, read):
                    self._say(answer)
                    lines.append(asyncio.create_task(self._line(response, answer.call, line, trip)))
        finally:
            await asyncio.gather(*lines, return_exceptions=True)
        await response.write_eof()
        return response

    async def _line(self, response: web.StreamResponse, call: Call, line: bytes, trip: set[Call]) -> None:
        what = f"{call} {call.attempt}"
        if not self.weather.happens(what, LOST, "lost"):
            await asyncio.sleep(self.weather.travel(what, "back"))
            await response.write(line)
            trip.discard(call)

    def _say(self, answer: Answer) -> None:
        if not self.watcher.says(answer, again=False):
            raise Lost

    # -- repeating

    async def _again(self, request: web.BaseRequest, body: bytes, calls: list[Call]) -> None:
        """Deliver a request once more than was asked for, byte for byte; nobody is told the answer."""
        trip = self._ask(calls, again=True)
        try:
            async with self._post(request, body) as found:
                for answer in self._answers(calls, found.status, await found.read()):
                    self.watcher.says(answer, again=True)
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            pass  # the service was killed meanwhile: lost as any other
        finally:
            del self.trips[id(trip)]

    @staticmethod
    def _answers(calls: list[Call], status: int, said: bytes) -> Iterable[Answer]:
        if calls[0].n and status == 200:
            return [answer for answer, _ in answers_in(calls, said)]
        return [Answer(call, status, said) for call in calls]

    def _deliver_later(self, request: web.BaseRequest, body: bytes, calls: list[Call], what: str) -> None:
        async def later() -> None:
            await asyncio.sleep(self.weather.later(what))
            await self._again(request, body, calls)

        task = asyncio.create_task(later())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
