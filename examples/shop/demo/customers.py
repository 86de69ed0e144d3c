"""The customers: they send orders to the gateway over HTTP, and send them again until they have an answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import aiohttp

from examples.shop.demo.orderfile import Entry
from examples.shop.demo.processes import Process

PATIENCE = aiohttp.ClientTimeout(60)
PAUSE = 0.1
"""Seconds until a customer tries again."""
TWICE = 11
"""Every so manieth customer presses the button twice."""
Told = Callable[[str, str, str], None]


class Customers:
    """All of them.

    :param gateways: any of them will do: orders go to the one that has the fewest.
    :param told: takes order id, status and reason, each time that a customer is told them.
    """

    def __init__(self, gateways: list[Process], told: Told) -> None:
        self.gateways = gateways
        self.told = told
        self.waiting: Counter[str] = Counter()
        """Orders that a gateway has not answered, by its name."""
        self.again = 0
        """Orders that were sent again because there was no answer."""
        self.session = aiohttp.ClientSession(timeout=PATIENCE, connector=aiohttp.TCPConnector(limit=0, force_close=True))

    async def close(self) -> None:
        """Go home."""
        await self.session.close()

    async def order(self, entry: Entry, number: int) -> None:
        """Place an order and have its outcome."""
        times = 2 if number % TWICE == 0 else 1
        await asyncio.gather(*(self._insist(entry) for _ in range(times)))

    async def ask(self, entry: Entry) -> tuple[str, str] | None:
        """What the gateway says about an order, if it was placed: its status, and the transaction's state."""
        async with self.session.get(f"{self.gateways[0].url}/orders/{entry.id}") as response:
            if response.status == 404:
                return None
            found = await response.json()
            return found["status"], found["state"]

    async def _insist(self, entry: Entry) -> None:
        while not await self._place(entry):
            await asyncio.sleep(PAUSE)

    async def _place(self, entry: Entry) -> bool:
        """Send it once; has it been decided?"""
        gateway = min(self.gateways, key=lambda each: (not each.ready, self.waiting[each.name]))
        self.waiting[gateway.name] += 1
        try:
            headers = {"Idempotency-Key": entry.id}
            async with self.session.post(f"{gateway.url}/orders", json=entry.order, headers=headers) as response:
                said = await response.json()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            self.again += 1
            return False
        finally:
            self.waiting[gateway.name] -= 1
        if response.status in (201, 409, 422):
            self.told(entry.id, said.get("status", "?"), said.get("reason", str(said)))
            return True
        return False
