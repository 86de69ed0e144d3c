"""The broker port: how messages leave this process and reach others. `troth.testing.exams.broker` examines each clause.

A broker is asyncio's only: relays and consumers live on a node's loop. What a confirm is worth, and what a broker may
lose, differs between brokers; docs/brokers.md has the matrix.

Publishing

1.  Nothing is opened at construction. `publish` answers one `Confirm` per message, in their order, and raises nothing
    for a broker that is down, unreachable, restarting or hung.
2.  ``done`` is the broker's own confirm that it has taken the message durably: after it a killed and restarted broker
    delivers the message. Nothing else is ``done``.
3.  It answers within *timeout* seconds (and a little); a message without an answer by then is ``unknown``: the broker
    may have taken it, or still will. Whoever wants it there publishes it again, with the same id.
4.  ``not_done`` is a message that is known not to have been taken: it was never sent, or the broker said no for now.
5.  ``refused`` is a message that the broker will not take as it is: too large (``retry=False``), or nobody is there to
    receive it (unroutable; ``retry=True``, for somebody may come). Another message of the same call is not affected.
6.  It connects again by itself: once the broker is back the same object publishes.
7.  Id, topic, key, payload and headers arrive as they were given. Publishing again keeps the id.
8.  Messages of one call with one key are taken in their order. Beyond one call only the publisher can keep an order, by
    waiting for the confirm of a key's message before it publishes the key's next one.

Consuming

9.  `consume` calls *handle* for every message of its topics that was published since its group was first there, until
    it was acknowledged: at least once, whoever of the group's consumers is killed, or the broker. It raises nothing for
    a broker that is down, and goes on when it is back.
10. Each group gets every message; within a group the consumers share them.
11. Messages of one key are handled in the order in which they were taken, one after the other, in all of the group's
    consumers together, as far as a message that was handled before, and comes again, is passed over. At most *at_once*
    are handled at a time by one `consume`, of different keys; messages without a key have no order.
12. `Settle.again` has the message handled again after its pause, before the key's next one, with a higher attempt.
    `Settle.dead` ends it for this group: whoever says so has kept it elsewhere, or means to lose it. An exception from
    *handle* is `Settle.again`.
13. Setting *stop* ends it: nothing new is taken, what is being handled ends and is settled, the rest is left to others.
14. Cancelling `consume` leaves what was not settled to others, at once or within the broker's own time.
15. Deliveries count: `Delivery.attempt` is 1 at first, and higher each time.

Both

16. `close` gives connections back, and use opens them again. After `abandon` (in a forked child) those inherited are
    neither used nor closed.
17. `preflight` says what in the broker's settings would break a promise, each `Finding` with its cure; nothing where the
    broker can't be asked is a finding too.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from troth.core.words import Word

HEADER_ID: Final = "troth-id"
"""The message's id, where the broker has no place of its own for it."""
HEADER_KEY: Final = "troth-key"
"""The message's key, likewise."""
HEADER_BEGUN: Final = "troth-begun"
"""Microseconds since 1970: when the message's transaction, or its outbox row, began."""
HEADER_LOG: Final = "troth-log"
"""The log, or outbox, that sends it: whose marks let an inbox purge its rows."""
HEADER_LOW_WATER: Final = "troth-low-water"
"""Microseconds since 1970: no message of that log begun before will ever be sent again."""
HEADER_BUSINESS_ID: Final = "troth-business-id"
"""What the sender calls it: an order's number, say."""


class Message(NamedTuple):
    """What is sent.

    :param id: 32 hex digits, the same at every publishing of this message, never another's.
    :param topic: 1 to 128 of ``A-Za-z0-9._-``, the first alphanumeric.
    :param key: messages of one key keep their order; "": it has none.
    :param payload: JSON.
    :param headers: short texts by lower-case name; ``troth-…`` are ours, see the constants here.
    """

    id: str
    topic: str
    key: str = ""
    payload: bytes = b"null"
    headers: Mapping[str, str] = {}


class Confirm(NamedTuple):
    """What became of one published message.

    :param word: ``done``, ``not_done``, ``unknown`` or ``refused``; see the clauses.
    :param reason: why, in words; "" if done.
    :param retry: False where publishing the same message again can't do better.
    """

    word: Word
    reason: str = ""
    retry: bool = True


DONE: Final = Confirm(Word.DONE)


class Delivery(NamedTuple):
    """One message as it reaches a consumer.

    :param attempt: from 1; how often the group got it, as far as the broker and this process can tell.
    """

    message: Message
    attempt: int = 1


class Settled(enum.StrEnum):
    """How a delivery can end."""

    ACK = "ack"
    AGAIN = "again"
    DEAD = "dead"


class Settle(NamedTuple):
    """What is to become of a delivery. Made by `ack`, `again` and `dead`.

    :param after: with again, seconds until it is handled again.
    :param reason: with dead, why.
    """

    how: Settled
    after: float = 0.0
    reason: str = ""

    @classmethod
    def ack(cls) -> Settle:
        """It is handled: never again for this group."""
        return ACK

    @classmethod
    def again(cls, after: float = 0.0) -> Settle:
        """Once more, after so many seconds, and before the key's next one."""
        return cls(Settled.AGAIN, after)

    @classmethod
    def dead(cls, reason: str) -> Settle:
        """It is given up for this group; it was kept elsewhere."""
        return cls(Settled.DEAD, 0.0, reason)


ACK: Final = Settle(Settled.ACK)
Handle = Callable[[Delivery], Awaitable[Settle]]


class Finding(NamedTuple):
    """One thing that `Broker.preflight` found.

    :param serious: True if it breaks a promise; False if it only is worth knowing.
    :param what: what is so.
    :param cure: what to do about it.
    """

    serious: bool
    what: str
    cure: str


class Broker(Protocol):
    """See the module's clauses."""

    @property
    def name(self) -> str:
        """How errors, metrics and tables call it."""
        ...

    async def publish(self, messages: Sequence[Message], timeout: float) -> list[Confirm]:
        """Publish messages, pipelined; one answer each, in their order.

        :param timeout: seconds until a message without an answer is ``unknown``.
        """
        ...

    async def consume(
        self, topics: Sequence[str], group: str, handle: Handle, *, at_once: int, stop: asyncio.Event
    ) -> None:
        """Have every message of the topics handled, for a group, until *stop* is set.

        :param group: consumers of one group share the messages; named as a topic is.
        :param at_once: deliveries handled at a time.
        """
        ...

    async def preflight(self, timeout: float) -> list[Finding]:
        """What stands in the way of the promises.

        :param timeout: seconds to ask the broker for.
        """
        ...

    async def close(self) -> None:
        """Close the running loop's connections; use opens them again."""
        ...

    def abandon(self) -> None:
        """In a forked child: forget what was inherited."""
        ...
