"""The pre-check: what can be said no to before anything is begun. It promises nothing; only the services' own steps do."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import aiohttp

from examples.shop.checkout import Line, Order
from examples.shop.settings import url

SECONDS = aiohttp.ClientTimeout(5)


class Rejected(Exception):
    """The order isn't placed; says why."""


class Unreachable(Exception):
    """A service didn't answer, so nothing can be said."""


class Precheck:
    """Asks the services; used as ``async with``."""

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(timeout=SECONDS)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.session.close()

    async def look_at(self, order: Order) -> None:
        """Ask about all of it at once.

        :raises Rejected: if it can't go through.
        :raises Unreachable: if that can't be found out now.
        """
        if order.coupon and order.kind == "flash":
            raise Rejected("coupons are not taken in a flash sale")
        asked = [self.stock(line) for line in order.lines]
        if order.coupon:
            asked.append(self.coupon(order.coupon))
        for said in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(said, BaseException):
                raise said

    async def stock(self, line: Line) -> None:
        """Does the catalogue show enough?"""
        _, found = await self.get(f"{url('stock')}/catalogue/{line.sku}")
        if found["shown"] < line.n:
            raise Rejected(f"{line.sku} is sold out")

    async def coupon(self, code: str) -> None:
        """Is it any good?"""
        status, found = await self.get(f"{url('orders')}/coupons/{code}")
        if status == 409:
            raise Rejected(found["detail"])

    async def get(self, where: str) -> tuple[int, Any]:
        """A service's answer."""
        try:
            async with self.session.get(where) as response:
                if response.status >= 500:
                    raise Unreachable(f"{where} answered {response.status}")
                return response.status, await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"{where} did not answer: {error}") from error
