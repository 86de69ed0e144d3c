"""RabbitMQ, through aio-pika.

A topic is a durable exchange of that name (of type ``topic``, with the message's key as routing key); a group is a durable
quorum queue ``topic.group`` bound to all of it, with a *single active consumer*: RabbitMQ delivers to one of the group's
consumers and to the next when that one is gone, so that a key keeps its order whatever number of processes consume.
Messages are persistent and mandatory, and every publish waits for the broker's confirm: for a quorum queue that is a
majority's log on disk. Without ``mandatory`` RabbitMQ confirms what nobody will ever get.

The *robust* connections of aio-pika are not used: publishing on one that is closed waits for ever, as its users report.
A connection here is used while it holds, and replaced by another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aiormq.exceptions import DeliveryError, PublishError

from troth.adapters.brokers.keeping_on import keep_on
from troth.adapters.brokers.lanes import Lanes, either
from troth.adapters.brokers.lines import Lines, closed
from troth.adapters.brokers.sending import (
    check_numbers,
    check_topic,
    headers_of,
    not_done,
    publish_each,
    received,
    unreachable,
)
from troth.core import limits
from troth.core.words import Word
from troth.ports.broker import DONE, Confirm, Delivery, Finding, Handle, Message, Settle, Settled
from troth.ports.errors import ConfigurationError

HEARTBEAT: Final = 10
"""Seconds after which a silent connection counts as dead, unless the URL says."""
REDELIVERIES: Final = 1_000_000
"""Deliveries after which a quorum queue would drop a message by itself (RabbitMQ 4 does at 20, unless told)."""
ROUTING_KEY_BYTES: Final = 255
"""Bytes of a routing key in AMQP 0-9-1."""
UNROUTABLE: Final = Confirm(
    Word.REFUSED, "unroutable: no queue is bound to the topic's exchange. Start its consumers once, or bind a queue"
)


class _Publishing:
    """A connection to publish on."""

    def __init__(self, connection: AbstractConnection, channel: AbstractChannel, wire: Any) -> None:
        self.connection = connection
        self.channel = channel
        self.wire = wire
        self.declared: set[str] = set()


class RabbitmqBroker:
    """See `troth.ports.broker`.

    :param url: ``amqp://user:password@host:5672/vhost``, as aio-pika has it; ``?heartbeat=10`` by default.
    :param declare: False where exchanges, queues and bindings are made by others, by the names above.
    :param queue_type: ``quorum``, or ``classic`` (which a disk that is lost takes with it).
    :param prefetch: deliveries asked for ahead, per consumer and topic; default four times its ``at_once``.
    :param most_bytes: bytes of a payload.
    :raises ConfigurationError: if one of them is none that works.
    """

    def __init__(
        self, name: str, url: str, *, declare: bool = True, queue_type: str = "quorum", prefetch: int | None = None,
        most_bytes: int = limits.PAYLOAD_BYTES,
    ) -> None:  # fmt: skip
        if queue_type not in ("quorum", "classic"):
            raise ConfigurationError(f"broker {name!r}: queue_type={queue_type!r} is none. Use quorum or classic.")
        check_numbers(name, prefetch=prefetch, most_bytes=most_bytes)
        self.name = name
        query = urlsplit(url).query
        own = "" if "heartbeat" in parse_qs(query) else f"{'&' if query else '?'}heartbeat={HEARTBEAT}"
        self._url = url + own
        self._declare = declare
        self._queue_type = queue_type
        self._prefetch = prefetch
        self._most = most_bytes
        self._lines: Lines[_Publishing] = Lines(self._open, _shut, lambda line: not line.channel.is_closed)

    # -- publishing ---------------------------------------------------------------------------------------------

    async def _connect(self) -> AbstractConnection:
        return await aio_pika.connect(self._url)

    async def _open(self) -> _Publishing:
        connection = await self._connect()
        try:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            return _Publishing(connection, channel, await channel.get_underlay_channel())
        except BaseException:
            await closed(_hang_up, connection)
            raise

    async def publish(self, messages: Sequence[Message], timeout: float) -> list[Confirm]:
        """Publish on the loop's channel, and wait for the broker's confirms."""
        line: _Publishing | None = None

        async def ready(wanted: Sequence[Message]) -> None:
            nonlocal line
            line = await self._lines.get()
            for topic in {message.topic for message in wanted} - line.declared:
                await self._exchange(line.channel, topic)
                line.declared.add(topic)

        async def send(message: Message) -> Confirm:
            assert line is not None
            return await self._send(line, message)

        def broken() -> None:
            if line is not None:
                self._lines.drop(line)

        return await publish_each(messages, self._most, timeout, ready, send, broken)

    async def _send(self, line: _Publishing, message: Message) -> Confirm:
        properties = aiormq.spec.Basic.Properties(
            content_type="application/json", delivery_mode=2, message_id=message.id, headers=dict(headers_of(message))
        )
        key = message.key if len(message.key.encode()) <= ROUTING_KEY_BYTES else ""
        try:
            await line.wire.basic_publish(
                message.payload, exchange=message.topic, routing_key=key, properties=properties, mandatory=True, wait=False
            )
        except PublishError:
            return UNROUTABLE
        except DeliveryError:
            return not_done("the broker said no (basic.nack): a queue is full, or its leader is away")
        return DONE

    async def _exchange(self, channel: AbstractChannel, topic: str) -> Any:
        """The topic's exchange."""
        return await channel.declare_exchange(topic, aio_pika.ExchangeType.TOPIC, durable=True, passive=not self._declare)

    # -- consuming ----------------------------------------------------------------------------------------------

    async def consume(
        self, topics: Sequence[str], group: str, handle: Handle, *, at_once: int, stop: asyncio.Event
    ) -> None:
        """Consume on a connection of its own, and on the next one when that is lost."""
        for name in (*topics, group):
            check_topic(name)
        await keep_on(self.name, stop, lambda: self._consume_once(topics, group, handle, at_once, stop))

    async def _consume_once(
        self, topics: Sequence[str], group: str, handle: Handle, at_once: int, stop: asyncio.Event
    ) -> None:
        connection = await self._connect()
        lanes = Lanes(handle, at_once)
        lost = asyncio.Event()
        try:
            channel = await connection.channel(publisher_confirms=False)
            channel.close_callbacks.add(lambda *_: lost.set())
            (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lambda *_: lost.set())
            await channel.set_qos(prefetch_count=self._prefetch or max(4 * at_once, 16))
            for topic in topics:
                queue = await self._queue(channel, topic, group)
                await queue.consume(_taker(topic, lanes, stop))
            await either(stop, lost.wait())
            await lanes.drain()
        except BaseException:
            lanes.cancel()
            raise
        finally:  # what was not settled goes back to its place in the queue
            await closed(_hang_up, connection)

    async def _queue(self, channel: AbstractChannel, topic: str, group: str) -> AbstractQueue:
        name = f"{topic}.{group}"
        if not self._declare:
            return await channel.declare_queue(name, passive=True)
        arguments: dict[str, Any] = {"x-queue-type": self._queue_type, "x-single-active-consumer": True}
        if self._queue_type == "quorum":
            arguments["x-delivery-limit"] = REDELIVERIES
        exchange = await self._exchange(channel, topic)
        queue = await channel.declare_queue(name, durable=True, arguments=arguments)
        await queue.bind(exchange, routing_key="#")
        return queue

    # -- both ---------------------------------------------------------------------------------------------------

    async def preflight(self, timeout: float) -> list[Finding]:
        """Its version, and what it says about publisher confirms and quorum queues."""
        try:
            connection = await asyncio.wait_for(self._connect(), timeout)
        except Exception as error:
            return [unreachable(self.name, error)]
        told: Any = connection.transport.connection.server_properties if connection.transport else {}
        await closed(_hang_up, connection)
        version = told.get("version", b"")
        text = version.decode() if isinstance(version, bytes) else str(version)
        found = []
        if tuple(int(part) for part in text.split(".")[:2] if part.isdecimal()) < (3, 8):
            found.append(Finding(True, f"RabbitMQ {text or 'of unknown version'} has no quorum queues", "Use 3.10 or newer"))
        if self._queue_type == "classic":
            found.append(Finding(False, "classic queues are kept by one machine", "Leave queue_type= out: quorum"))
        return found

    async def close(self) -> None:
        """Close the running loop's connection."""
        await self._lines.close()

    def abandon(self) -> None:
        """In a forked child: forget the connections."""
        self._lines.abandon()


async def _shut(line: _Publishing) -> None:
    await _hang_up(line.connection)


async def _hang_up(connection: AbstractConnection) -> None:
    await connection.close()


def _taker(topic: str, lanes: Lanes, stop: asyncio.Event) -> Any:
    """What is called with each message of a queue."""

    async def take(incoming: AbstractIncomingMessage) -> None:
        if stop.is_set():
            return  # left unsettled, so that its place in the queue is kept

        async def settle(how: Settle) -> None:
            if how.how is Settled.DEAD:
                await incoming.reject(requeue=False)
            else:
                await incoming.ack()

        lanes.put(Delivery(_message(topic, incoming), _attempt(incoming)), settle)

    return take


def _attempt(incoming: AbstractIncomingMessage) -> int:
    count = incoming.headers.get("x-delivery-count")
    if isinstance(count, int):
        return count + 1
    return 2 if incoming.redelivered else 1


def _message(topic: str, incoming: AbstractIncomingMessage) -> Message:
    headers = {name: _text(value) for name, value in incoming.headers.items() if name != "x-delivery-count"}
    return received(topic, headers, incoming.body, given=incoming.message_id or "")


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
