"""One run: orders are placed, processes killed and started again, until everything has been answered and has ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from examples.shop.demo.calls import Answer, Call
from examples.shop.demo.customers import Customers
from examples.shop.demo.evidence import Evidence
from examples.shop.demo.kills import GATEWAY, Kills, Takeovers
from examples.shop.demo.orderfile import Entry
from examples.shop.demo.processes import Process
from examples.shop.demo.shop import GivenUpError, Shop
from examples.shop.demo.tally import Tally
from examples.shop.demo.weather import Weather

STUCK = 60.0
"""Seconds without any answer or kill after which the run is given up: twice the time that one transaction may take."""
TICK = 0.005
"""Seconds between two looks at what was taken over."""
IN_FLIGHT = 5
"""Orders for each gateway process at a time."""
FEW = 2
"""The same while a kill is overdue, so that there are orders left for every kill."""
DOWN = 3
"""Processes that may be down at a time."""


class Run:
    """One run; a `troth.examples.shop.demo.proxy.Watcher` of its network.

    :param kills: None: nobody is killed.
    :param show: called now and then, for whoever looks on.
    """

    def __init__(
        self, home: Path, workers: int, entries: list[Entry], weather: Weather, kills: Kills | None, show: Callable[[Run], None]
    ) -> None:
        self.entries = entries
        self.kills = kills
        self.show = show
        self.tally = Tally()
        self.shop = Shop(home, workers, weather, self)
        self.asked: dict[str, tuple[str, str] | None] = {}
        """What the gateway says about each order when all is over."""
        self.placed: set[asyncio.Task[None]] = set()
        self._moved = time.monotonic()

    @property
    def answered(self) -> int:
        """Orders whose outcome was told."""
        return len(self.tally.answers)

    async def open(self) -> None:
        """Open the shop.

        :raises GivenUpError: if something doesn't start.
        """
        await self.shop.open()
        self.evidence = Evidence(self.shop.home)
        self.takeovers = Takeovers(self.evidence)
        self.customers = Customers(self.shop.gateways, self._told)

    async def go(self) -> str:
        """Have every order answered, every transaction ended and every process gone; says why if that can't be."""
        try:
            await self._sell()
            await self.shop.leave()
        except GivenUpError as error:
            return str(error)
        return ""

    async def _sell(self) -> None:
        self._moved = time.monotonic()
        waiting = list(enumerate(self.entries, 1))[::-1]
        while waiting or self.placed or self.takeovers.waiting or not self._all_ended():
            while waiting and len(self.placed) < self._most():
                number, entry = waiting.pop()
                self._place(entry, number)
            await self._turn()
        for entry in self.entries:
            self.asked[entry.id] = await self.customers.ask(entry)

    async def close(self) -> None:
        """End whatever is still there."""
        for task in list(self.placed):
            task.cancel()
        await asyncio.gather(*self.placed, return_exceptions=True)
        if hasattr(self, "customers"):
            await self.customers.close()
        await self.shop.close()

    async def _turn(self) -> None:
        await asyncio.sleep(TICK)
        self.shop.look_after()
        self.takeovers.look()
        self.show(self)
        if time.monotonic() - self._moved > STUCK:
            raise GivenUpError(f"no order was answered and nothing killed for {STUCK:g} s")

    def _all_ended(self) -> bool:
        return not self.evidence.unfinished()

    # -- orders

    def _place(self, entry: Entry, number: int) -> None:
        task = asyncio.create_task(self.customers.order(entry, number))
        self.placed.add(task)
        task.add_done_callback(self.placed.discard)

    def _most(self) -> int:
        """Orders that may be under way now."""
        overdue = self.kills is not None and not self.kills.over and self.answered > self.kills.due_at(len(self.kills.done))
        return len(self.shop.gateways) * (FEW if overdue else IN_FLIGHT)

    def _told(self, order: str, status: str, reason: str) -> None:
        self.tally.told(order, status, reason)
        self._moved = time.monotonic()

    # -- the network's watcher

    def asks(self, call: Call, *, again: bool) -> None:
        """See `Watcher.asks`."""
        self.tally.asked(call, again=again)
        if not again:
            self._moment(call, None)

    def says(self, answer: Answer, *, again: bool) -> bool:
        """See `Watcher.says`."""
        self.tally.said(answer)
        return again or self._moment(answer.call, answer.status) is not self.shop.services[answer.call.service]

    # -- killing

    def _moment(self, call: Call, status: int | None) -> Process | None:
        """Kill somebody, if this is a moment for it; who it was."""
        if self.kills is None or self.takeovers.waiting:
            return None
        kind = self.kills.wants(call, status, self.answered)
        if kind is None:
            return None
        process = self._owner(call.gid) if kind == GATEWAY else self.shop.services[kind]
        return process if process is not None and self._may_kill(process) and self._kill(process, kind, self.kills) else None

    def _may_kill(self, process: Process) -> bool:
        """It is up, nearly everything else is, and one of the gateway's processes stays to take over."""
        down = sum(not each.ready for each in self.shop.processes)
        gateways = [each for each in self.shop.gateways if each.ready and each is not process]
        return process.ready and down < DOWN and (bool(gateways) or len(self.shop.gateways) == 1)

    def _owner(self, gid: str) -> Process | None:
        """The gateway process that drives a transaction."""
        owners = {stored.gid: stored.owner for stored in self.evidence.unfinished()}
        nodes = {self.evidence.node_of(process.pid): process for process in self.shop.gateways}
        return nodes.get(owners.get(gid, -1))

    def _kill(self, process: Process, kind: str, kills: Kills) -> bool:
        """Stop it, look what it is in the midst of, kill it. It doesn't run another instruction in between."""
        if not process.freeze():
            return False
        node = self.evidence.node_of(process.pid) if kind == GATEWAY else 0
        gids = frozenset[str]() if kind == GATEWAY else self.shop.proxies[kind].under_way
        hit = [stored for stored in self.evidence.unfinished() if stored.gid in gids or (node and stored.owner == node)]
        places = {stored.gid: self.evidence.place(stored) for stored in hit}
        if not places:
            process.thaw()
            return False
        if kind == GATEWAY:
            self.takeovers.expect(node, hit)
        process.kill()
        kills.count(process.name, kind, places)
        self._moved = time.monotonic()
        self.shop.start(process)
        return True
