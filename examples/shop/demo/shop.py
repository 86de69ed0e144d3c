"""The whole shop as the demo runs it: its processes, the network between them, its log and databases."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from pathlib import Path

import aiohttp

from examples.shop.demo.processes import Process
from examples.shop.demo.proxy import Proxy, Watcher
from examples.shop.demo.weather import Weather
from examples.shop.opening import make_databases, read_opening
from examples.shop.settings import SERVICES

LEAVES = 40.0
"""Seconds that all processes have to finish and go."""
FALLS = 5
"""Processes that may end by themselves before the run is given up."""


class GivenUpError(Exception):
    """The run can't come to an end."""


class Shop:
    """Used as ``async with``.

    :param home: a new folder.
    :param workers: gateway processes.
    """

    def __init__(self, home: Path, workers: int, weather: Weather, watcher: Watcher) -> None:
        self.home = home
        self.opening = read_opening()
        secret = "whsec_" + base64.b64encode(random.Random(weather.seed).randbytes(32)).decode()
        self.env = {"SHOP_HOME": str(home), "SHOP_SECRET": secret}
        self.services = {name: Process(name, name, home, self.env) for name in SERVICES}
        self.gateways = [Process(f"gateway-{n + 1}", "gateway", home, self.env) for n in range(workers)]
        self.proxies = {name: Proxy(name, each.url, weather, watcher) for name, each in self.services.items()}
        self.fallen: list[str] = []
        """Processes that ended without being killed, with their last words."""
        self._starts: set[asyncio.Task[None]] = set()

    @property
    def processes(self) -> list[Process]:
        """All of them."""
        return [*self.services.values(), *self.gateways]

    async def open(self) -> None:
        """Start everything; returns when all of it answers.

        :raises GivenUpError: if something doesn't.
        """
        make_databases(self.home, self.opening)
        self.session = aiohttp.ClientSession()
        for name, proxy in self.proxies.items():
            self.env[f"SHOP_{name.upper()}"] = await proxy.open()
        for process in self.processes:
            self.start(process)
        await asyncio.gather(*self._starts, return_exceptions=True)
        for process in self.processes:
            if not process.ready:
                raise GivenUpError(f"{process.name} does not start: {process.words()}")

    def start(self, process: Process) -> None:
        """Start a process, again if need be."""
        process.start()
        task = asyncio.create_task(process.answers(self.session))
        self._starts.add(task)
        task.add_done_callback(self._started)

    def _started(self, task: asyncio.Task[None]) -> None:
        self._starts.discard(task)
        if not task.cancelled():
            task.exception()  # one that doesn't answer is killed, or has fallen, or the run is given up

    def look_after(self) -> None:
        """Start again what has ended by itself, which nothing ever should.

        :raises GivenUpError: if it is always so.
        """
        for process in self.processes:
            if process.gone():
                self.fallen.append(f"{process.name} ended: {process.words()}")
                if len(self.fallen) >= FALLS:
                    raise GivenUpError(f"{FALLS} processes ended by themselves, at last {self.fallen[-1]}")
                self.start(process)

    async def leave(self) -> None:
        """Let everything finish: the gateway first, then what it calls.

        :raises GivenUpError: if something doesn't.
        """
        for proxy in self.proxies.values():
            await proxy.settle()
        for group in (self.gateways, list(self.services.values())):
            for process in group:
                process.leave()
            until = time.monotonic() + LEAVES
            while staying := [process.name for process in group if not process.gone()]:
                if time.monotonic() > until:
                    raise GivenUpError(f"{', '.join(staying)} did not leave within {LEAVES:g} s")
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        """End everything at once, whatever it is doing."""
        for task in list(self._starts):
            task.cancel()
        for process in self.processes:
            process.close()
        for proxy in self.proxies.values():
            await proxy.close()
        await self.session.close()
