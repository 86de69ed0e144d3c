"""Handling deliveries side by side, those of one key one after the other."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from troth.ports.broker import Delivery, Handle, Settle, Settled

SettleIt = Callable[[Settle], Awaitable[None]]
"""Tells the broker what became of a delivery: an `ack` or a `dead`."""
PAUSE: Final = 1.0
"""Seconds before a delivery is handled again whose handler raised what it should not."""

log = logging.getLogger("troth")


class Item(NamedTuple):
    """A delivery, and how the broker is told."""

    delivery: Delivery
    settle: SettleIt


class Lanes:
    """One lane per topic and key, each a task while it has something; without a key, one per delivery.

    What waits is bounded by the adapter: by what it asks the broker for ahead of time.

    :param at_once: deliveries handled at a time, over all lanes.
    """

    def __init__(self, handle: Handle, at_once: int) -> None:
        self._handle = handle
        self._turn = asyncio.Semaphore(at_once)
        self._lanes: dict[object, deque[Item]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()
        self._numbers = itertools.count()

    @property
    def held(self) -> int:
        """Deliveries that are not settled yet."""
        return sum(len(lane) for lane in self._lanes.values())

    def put(self, delivery: Delivery, settle: SettleIt) -> None:
        """Take a delivery in."""
        message = delivery.message
        name: object = (message.topic, message.key) if message.key else next(self._numbers)
        lane = self._lanes.get(name)
        if lane is not None:
            lane.append(Item(delivery, settle))
            return
        self._lanes[name] = lane = deque((Item(delivery, settle),))
        task = asyncio.get_running_loop().create_task(self._run(name, lane), name=f"troth-lane {message.topic}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Begin nothing more; return once what is being handled has been settled. The rest stays unsettled."""
        self._ending.set()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        """Stop at once."""
        self._ending.set()
        for task in self._tasks:
            task.cancel()

    async def _run(self, name: object, lane: deque[Item]) -> None:
        try:
            while lane and await self._through(lane[0]):
                lane.popleft()
        finally:
            del self._lanes[name]

    async def _through(self, item: Item) -> bool:
        """Handle a delivery until it is settled; False if it is left unsettled."""
        delivery = item.delivery
        while not self._ending.is_set():
            async with self._turn:
                if self._ending.is_set():
                    return False
                settle = await self._handled(delivery)
            if settle.how is not Settled.AGAIN:
                await self._settled(item, settle)
                return True
            await self._pause(settle.after)
            delivery = delivery._replace(attempt=delivery.attempt + 1)
        return False

    async def _handled(self, delivery: Delivery) -> Settle:
        try:
            return await self._handle(delivery)
        except Exception:
            log.exception("handling message %s of %s failed", delivery.message.id, delivery.message.topic)
            return Settle.again(PAUSE)

    async def _settled(self, item: Item, settle: Settle) -> None:
        try:
            await item.settle(settle)
        except Exception as error:  # the broker is gone: it delivers the message again
            log.debug("message %s could not be settled: %s", item.delivery.message.id, error)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for longer than there is something to wait for."""
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return


async def either(stop: asyncio.Event, other: Awaitable[Any]) -> bool:
    """Wait until *stop* is set or the other has ended; True if the other has. The other is cancelled if it has not.

    :raises Exception: what the other raised.
    """
    work = asyncio.ensure_future(other)
    waiting = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            return True
        return False
    finally:
        waiting.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
