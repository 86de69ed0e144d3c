"""A broker within one process, for tests and first steps: nothing of it outlives the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Final

from troth.adapters.brokers.lanes import PAUSE, log
from troth.core import limits
from troth.core.words import Word
from troth.ports.broker import DONE, Confirm, Delivery, Finding, Handle, Message, Settle, Settled

DOWN: Final = Confirm(Word.NOT_DONE, "the broker is down")
HUNG: Final = Confirm(Word.UNKNOWN, "no confirm in time")


class _Waiting:
    """One message of one group that was not settled yet."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.attempt = 0
        self.taken = False


class _Group:
    """What one group has not settled of one topic, in order."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.waiting = [_Waiting(message) for message in messages]

    def take(self) -> _Waiting | None:
        """The first whose key nobody handles, now taken."""
        busy: set[str] = set()
        for each in self.waiting:
            key = each.message.key
            if not each.taken and key not in busy:
                each.taken = True
                each.attempt += 1
                return each
            if key:
                busy.add(key)
        return None


class MemoryBroker:
    """See `troth.ports.broker`. Its confirms are durable only as long as the process lives.

    :ivar down: set it, and nothing is taken or delivered until it is unset.
    :ivar hung: set it, and what is published is taken without an answer.
    """

    def __init__(self, name: str, url: str = "memory://", *, most_bytes: int = limits.PAYLOAD_BYTES) -> None:
        self.name = name
        self.down = False
        self.hung = False
        self._most = most_bytes
        self._lock = threading.Lock()
        self._kept: dict[str, list[Message]] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._wakers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    async def publish(self, messages: Sequence[Message], timeout: float) -> list[Confirm]:
        """Take the messages."""
        if self.down:
            return [DOWN] * len(messages)
        answers = [self._take(message) for message in messages]
        self.wake()
        if self.hung:
            await asyncio.sleep(timeout)
            return [HUNG if answer is DONE else answer for answer in answers]
        return answers

    def _take(self, message: Message) -> Confirm:
        if len(message.payload) > self._most:
            return Confirm(Word.REFUSED, f"{len(message.payload)} bytes are more than {self._most}", retry=False)
        with self._lock:
            self._kept.setdefault(message.topic, []).append(message)
            for (topic, _), group in self._groups.items():
                if topic == message.topic:
                    group.waiting.append(_Waiting(message))
        return DONE

    def wake(self) -> None:
        """Have every consumer look again."""
        with self._lock:
            wakers = list(self._wakers.items())
        for event, loop in wakers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def consume(
        self, topics: Sequence[str], group: str, handle: Handle, *, at_once: int, stop: asyncio.Event
    ) -> None:
        """Handle what there is, and what comes."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        queues = [self._group(topic, group) for topic in topics]
        with self._lock:
            self._wakers[changed] = loop
        stopping = loop.create_task(_forward(stop, changed))
        tasks: set[asyncio.Task[None]] = set()
        try:
            while not stop.is_set():
                changed.clear()
                while len(tasks) < at_once and (found := self._next(queues)) is not None:
                    task = loop.create_task(self._through(*found, handle, stop))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                    task.add_done_callback(lambda _: changed.set())
                await changed.wait()
            if tasks:
                await asyncio.wait(tasks)
        finally:
            stopping.cancel()
            for task in tasks:
                task.cancel()
            with self._lock:
                del self._wakers[changed]

    def _group(self, topic: str, group: str) -> _Group:
        with self._lock:
            found = self._groups.get((topic, group))
            if found is None:
                found = self._groups[topic, group] = _Group(self._kept.get(topic, ()))
            return found

    def _next(self, queues: list[_Group]) -> tuple[_Group, _Waiting] | None:
        with self._lock:
            if self.down:
                return None
            return next(((queue, taken) for queue in queues if (taken := queue.take()) is not None), None)

    async def _through(self, queue: _Group, item: _Waiting, handle: Handle, stop: asyncio.Event) -> None:
        """Handle one until it is settled, or give it back."""
        settled = False
        try:
            while not settled:
                settle = await self._handled(handle, Delivery(item.message, item.attempt))
                settled = settle.how is not Settled.AGAIN
                if not settled:
                    if await _within(stop, settle.after):
                        return
                    item.attempt += 1
        finally:
            with self._lock:
                item.taken = False
                if settled:
                    queue.waiting.remove(item)
            self.wake()

    async def _handled(self, handle: Handle, delivery: Delivery) -> Settle:
        try:
            return await handle(delivery)
        except Exception:
            log.exception("handling message %s of %s failed", delivery.message.id, delivery.message.topic)
            return Settle.again(PAUSE)

    async def preflight(self, timeout: float) -> list[Finding]:
        """It keeps nothing."""
        return [Finding(True, f"broker {self.name} lives in this process's memory", "Use it in tests; else " + ELSE)]

    async def close(self) -> None:
        """There is nothing to close."""

    def abandon(self) -> None:
        """What was inherited is a copy: the child's own, and empty."""
        self._lock = threading.Lock()
        self._kept, self._groups, self._wakers = {}, {}, {}


ELSE: Final = "name a server: amqp://…, nats://…, redis://…"


async def _forward(stop: asyncio.Event, changed: asyncio.Event) -> None:
    await stop.wait()
    changed.set()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """True if the event is set within the seconds."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
