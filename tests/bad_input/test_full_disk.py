"""The log's disk is full: new orders are not accepted, what is in flight waits, and all goes on when there is space."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.full import fill, make_room
from tests.bad_input.shop import log_of
from tests.changes.waiting import PATIENCE
from troth import NotAccepted, Troth, UnknownTransaction

LARGE = "x" * 50_000
"""More than the pages that the log has still fit."""


class Shop:
    """An async shop: each order is picked, waits where it is told to, and is packed.

    :ivar happened: how often each (step, order) was done.
    """

    def __init__(self, path: Path) -> None:
        self.app = Troth(f"sqlite:///{path}")
        self.happened: Counter[tuple[str, str]] = Counter()
        self.gate = asyncio.Event()
        self.here = asyncio.Semaphore(0)

        @self.app.step(name="pick", guarded=True)
        async def pick(order: str, wait: str) -> str:
            await self.pause("pick", wait)
            self.happened["pick", order] += 1
            return LARGE

        @pick.compensate
        async def unpick(order: str, wait: str) -> None:
            self.happened["unpick", order] += 1

        @self.app.step(name="pay", guarded=True, role="pivot")
        async def pay(order: str, text: str, wait: str) -> str:
            await self.pause("pay", wait)
            self.happened["pay", order] += 1
            return LARGE

        @self.app.saga(name="place-order")
        async def place_order(order: str, wait: str = "") -> str:
            text = await pick(order, wait)
            await self.pause("between", wait)
            await pay(order, text, wait)
            await self.pause("end", wait)
            return order

        self.place_order = place_order

    async def pause(self, where: str, wait: str) -> None:
        if where == wait:
            self.here.release()
            await self.gate.wait()


async def begin_held(shop: Shop, each: int) -> dict[str, Any]:
    """Orders in flight at each of four points."""
    handles = {}
    for where in ("pick", "between", "pay", "end"):
        for n in range(each):
            gid = f"{where}-{n}"
            handles[gid] = await shop.app.aio.start(shop.place_order, gid, where, gid=gid)
    for _ in handles:
        await shop.here.acquire()
    return handles


async def refusals(shop: Shop, gids: list[str]) -> list[BaseException]:
    """What many callers at once are told."""
    calls = [shop.app.aio.run(shop.place_order, gid + LARGE, gid=gid) for gid in gids]
    told = await asyncio.gather(*calls, return_exceptions=True)
    return [each for each in told if isinstance(each, BaseException)]


def test_a_full_disk_accepts_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """Callers are told `NotAccepted` and nothing of theirs is written; the others finish once there is space again."""
    path = tmp_path / "log.db"
    new = [f"new-{n}" for n in range(40)]

    async def main() -> None:
        shop = Shop(path)
        async with shop.app:
            held = await begin_held(shop, 5)
            fill(shop.app)
            told = await refusals(shop, new)
            assert [type(error) for error in told] == [NotAccepted] * len(new)
            assert all("nothing was written" in str(error) and error.retry_after > 0 for error in told)  # type: ignore[attr-defined]
            for gid in new:
                with pytest.raises(UnknownTransaction):
                    await shop.app.aio.get(gid)
            assert not [key for key in shop.happened if key[1].startswith("new")]

            shop.gate.set()
            with pytest.raises(TimeoutError):  # they wait: nothing is told that isn't in the log
                await held["pick-0"].aio.wait(timeout=0.3)
            assert {record.state for record in log_of(path).values()} <= {"trying", "confirming"}
            again = await refusals(shop, new[:5])
            assert [type(error) for error in again] == [NotAccepted] * 5

            make_room(shop.app)
            for handle in held.values():
                assert (await handle.aio.wait(timeout=PATIENCE)).state == "confirmed"
            for gid in new:
                assert (await shop.app.aio.run(shop.place_order, gid + LARGE, gid=gid)).state == "confirmed"
        expected = Counter({(step, gid): 1 for gid in held for step in ("pick", "pay")})
        expected.update({(step, gid + LARGE): 1 for gid in new for step in ("pick", "pay")})
        assert shop.happened == expected

    asyncio.run(main())
    found = log_of(path)
    assert len(found) == 60 and {record.state for record in found.values()} == {"confirmed"}


def test_a_node_killed_while_its_disk_is_full_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Another node on the file goes on from what was durable before; effects stay within what steps guard."""
    path = tmp_path / "log.db"

    async def first() -> None:
        shop = Shop(path)
        await shop.app.__aenter__()
        await begin_held(shop, 3)
        fill(shop.app)
        shop.gate.set()
        assert all(isinstance(error, NotAccepted) for error in await refusals(shop, ["new-1", "new-2"]))
        node, store = shop.app.runtime.node, shop.app.runtime.store
        assert node is not None and store is not None
        node.desert()
        shop.app.runtime.node = shop.app.runtime.store = None
        store.abandon()  # type: ignore[attr-defined]  # to everybody else it looks as though it had been killed

    asyncio.run(first())
    before = log_of(path)
    assert len(before) == 12 and {record.state for record in before.values()} <= {"trying", "confirming"}

    async def second() -> None:
        shop = Shop(path)
        shop.gate.set()
        async with shop.app:
            for gid in before:
                assert (await shop.app.attach(gid).aio.wait(timeout=PATIENCE)).state == "confirmed"
            for gid in ("new-1", "new-2"):
                with pytest.raises(UnknownTransaction):
                    await shop.app.aio.get(gid)

    asyncio.run(second())
    assert {record.state for record in log_of(path).values()} == {"confirmed"}
