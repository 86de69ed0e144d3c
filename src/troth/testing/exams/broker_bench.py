"""The bench of the broker exam: a server that can be killed, clients, and consumers that note what they handle."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import pytest

from troth.core.words import Word
from troth.ports.broker import ACK, Broker, Delivery, Message, Settle

T = TypeVar("T")
_NUMBERS = itertools.count(1)
PATIENCE: Final = 20.0
"""Seconds within which what is sure to come comes: a restarted server takes some."""


class BrokerBench:
    """One broker under examination.

    :param make: makes one more client of the same server.
    :param kill: kills the server as ``kill -9`` does; None where there is none.
    :param start: starts it again on its data.
    :param hang: stops it without closing anything, as SIGSTOP does.
    :param resume: lets it go on.
    :param unroutable: makes a topic that nobody would receive; None where every topic is kept.
    :param too_large: bytes of payload that it won't take.
    """

    def __init__(
        self,
        make: Callable[[], Broker],
        *,
        kill: Callable[[], Any] | None = None,
        start: Callable[[], Any] | None = None,
        hang: Callable[[], Any] | None = None,
        resume: Callable[[], Any] | None = None,
        unroutable: Callable[[], str] | None = None,
        too_large: int = 2 * 1024 * 1024,
    ) -> None:
        self.make = make
        self.kill = kill
        self.start = start
        self.hang = hang
        self.resume = resume
        self.unroutable = unroutable
        self.too_large = too_large
        self._made: list[Broker] = []
        self._runner = asyncio.Runner()

    def broker(self) -> Broker:
        """One more client."""
        made = self.make()
        self._made.append(made)
        return made

    def run(self, examined: Coroutine[Any, Any, T]) -> T:
        """Run a test's coroutine, then close the clients it made."""

        async def whole() -> T:
            try:
                return await examined
            finally:
                for broker in self._made:
                    await broker.close()
                self._made.clear()

        return self._runner.run(whole())

    async def away(self, action: Callable[[], Any] | None) -> None:
        """Do something to the server, or skip the rest of the test where it can't be done."""
        if action is None:
            pytest.skip("this broker can't be killed, or hung")
        await asyncio.to_thread(action)

    def close(self) -> None:
        """End the loop."""
        self._runner.close()


class Reader:
    """A consumer that notes what it handles.

    :param seen: deliveries in the order in which they were handled; may be shared by several.
    """

    def __init__(
        self, broker: Broker, topic: str, group: str = "readers", *, seen: list[Delivery] | None = None, at_once: int = 8,
        answer: Callable[[Delivery], Awaitable[Settle]] | None = None,
    ) -> None:  # fmt: skip
        self.broker = broker
        self.topic = topic
        self.group = group
        self.at_once = at_once
        self.seen: list[Delivery] = [] if seen is None else seen
        self.stop = asyncio.Event()
        self._answer = answer
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> Reader:
        """Consume, in a task."""
        going = self.broker.consume([self.topic], self.group, self._handle, at_once=self.at_once, stop=self.stop)
        self.task = asyncio.get_running_loop().create_task(going)
        return self

    async def _handle(self, delivery: Delivery) -> Settle:
        settle = ACK if self._answer is None else await self._answer(delivery)
        self.seen.append(delivery)
        return settle

    def ids(self) -> set[str]:
        """What it has seen."""
        return {delivery.message.id for delivery in self.seen}

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(PATIENCE * 2):
            while not condition():
                assert self.task is None or not self.task.done(), "consume ended by itself"
                await asyncio.sleep(0.01)

    async def until_seen(self, messages: list[Message]) -> None:
        """Wait until it has seen them all."""
        wanted = {message.id for message in messages}
        await self.until(lambda: wanted <= self.ids())

    async def end(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.stop.set()
        assert self.task is not None
        await asyncio.wait_for(self.task, PATIENCE)


def new_topic() -> str:
    """A topic that nobody used before."""
    return f"exam-{os.urandom(4).hex()}-{next(_NUMBERS)}"


def new_message(topic: str, key: str = "", number: int = 0, size: int = 0) -> Message:
    """A message; its payload is its number, or as large as wanted."""
    payload = b'"' + b"x" * size + b'"' if size else str(number).encode()
    return Message(os.urandom(16).hex(), topic, key, payload, {"troth-log": "exam", "kind": "größer: 12 €"})


async def confirmed(broker: Broker, messages: list[Message], seconds: float = PATIENCE) -> None:
    """Publish until every message is confirmed, as a relay does: what isn't is published again."""
    async with asyncio.timeout(PATIENCE * 2):
        while messages:
            answers = await broker.publish(messages, min(seconds, 2.0))
            assert len(answers) == len(messages)
            messages = [message for message, answer in zip(messages, answers, strict=True) if answer.word is not Word.DONE]
            if messages:
                await asyncio.sleep(0.05)


def order_of(seen: list[Delivery], key: str) -> list[int]:
    """The numbers of a key's messages in the order in which each was first handled."""
    numbers = [int(each.message.payload) for each in seen if each.message.key == key]
    return list(dict.fromkeys(numbers))


async def present(broker: Broker, topic: str, group: str = "readers") -> None:
    """Let a group be there from now on: messages are published until one of them arrives."""
    reader = Reader(broker, topic, group).begin()
    async with asyncio.timeout(PATIENCE * 2):
        while not reader.seen:
            await broker.publish([new_message(topic)], 2.0)  # refused where nobody is there yet
            await asyncio.sleep(0.01)
    await reader.end()
