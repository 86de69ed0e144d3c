"""``with troth.message("order.created", {...}, within=session)``: a message that is sent if the local transaction commits."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from troth.app.current import in_loop
from troth.app.handles import TrothHandle
from troth.app.message_begin import Sending, aidentity_of, begin_message, identity_of
from troth.app.outcome import Handle
from troth.app.tcc_tries import post
from troth.app.transactions import watch
from troth.engine.messages import Producer
from troth.participant.handles import aspeak, speak
from troth.participant.meaning import in_words
from troth.participant.producing import HalfMessage, mark
from troth.ports.database import Script
from troth.ports.errors import DefinitionError, WrongColour

if TYPE_CHECKING:
    from troth.app.troth import Troth


class MessageBlock:
    """One message. Made by `Troth.message`; entered once, by ``with`` or ``async with``.

    Entering makes the half message durable and writes its row into the local transaction. Leaving, in whatever way, believes
    nothing: the row is asked, and says whether the local transaction committed, once it has ended.
    """

    def __init__(self, troth: Troth, what: Sending) -> None:
        self._troth = troth
        self._what = what
        self._producer: Producer | None = None
        self._pid = 0

    @property
    def gid(self) -> str:
        """The message's transaction.

        :raises DefinitionError: before the block is entered, where none was given.
        """
        if self._producer is not None:
            return self._producer.live.gid
        if self._what.gid is None:
            raise DefinitionError("a message's gid is known once its block is entered; give a gid to know it before")
        return self._what.gid

    @property
    def handle(self) -> Handle[None]:
        """A hold on it: wait until it is ``decided``, or ``finished``: delivered to everyone."""
        return TrothHandle(self._troth, self.gid, None)

    def __enter__(self) -> Self:
        if in_loop():
            raise WrongColour("`with troth.message(…)` would block the event loop that runs here. Write: async with …")
        self._fresh()
        what, troth = self._what, self._troth
        if what.handle is not None and what.handle.is_async:
            raise WrongColour("within= is a connection that is awaited. Write: async with troth.message(…)")
        identity = identity_of(troth, what.database) if what.handle is not None and what.database is not None else 0
        node = troth.runtime.started()
        producer = troth.runtime.call(begin_message(node, what), node.loop)
        if what.handle is not None:
            try:
                speak(what.handle, self._mark(producer, identity), "troth.message")
            except BaseException as error:
                post(node, producer.left, why_of(error))
                raise
        self._begun(producer)
        return self

    async def __aenter__(self) -> Self:
        self._fresh()
        what, troth = self._what, self._troth
        identity = await aidentity_of(troth, what.database) if what.handle is not None and what.database is not None else 0
        node = await troth.runtime.anywhere()
        beginning = begin_message(node, what)
        producer = await (beginning if node.loop is asyncio.get_running_loop() else troth.elsewhere(node, beginning))
        if what.handle is not None:
            try:
                if what.handle.is_async:
                    await aspeak(what.handle, self._mark(producer, identity), "troth.message")
                else:
                    speak(what.handle, self._mark(producer, identity), "troth.message")
            except BaseException as error:
                post(node, producer.left, why_of(error))
                raise
        self._begun(producer)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        producer = self._ended(error)
        if producer is not None:
            node = producer.node
            self._troth.runtime.call(watch(node, producer.live.gid, "decided"), node.loop)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        producer = self._ended(error)
        if producer is not None:
            node = producer.node
            waiting = watch(node, producer.live.gid, "decided")
            await (waiting if node.loop is asyncio.get_running_loop() else self._troth.elsewhere(node, waiting))

    def _fresh(self) -> None:
        if self._producer is not None:
            raise DefinitionError(f"{self.gid} was sent before: one block is one message. Call troth.message(…) again.")

    def _mark(self, producer: Producer, identity: int) -> Script[None]:
        what, doc = self._what, producer.live.saga.doc
        assert what.handle is not None and what.database is not None
        half = HalfMessage(doc.gid, doc.uid, producer.call_id, doc.begun, producer.node.log_id)
        return mark(what.handle, half, identity, what.database.driver.dialect.lock)

    def _begun(self, producer: Producer) -> None:
        self._producer = producer
        self._pid = os.getpid()

    def _ended(self, error: BaseException | None) -> Producer | None:
        """Say that the block was left; the producer, if its submit must be durable before anyone goes on."""
        producer, what = self._producer, self._what
        if producer is None or self._pid != os.getpid():
            return None
        if what.handle is not None or error is not None:
            post(producer.node, producer.left, "" if error is None else why_of(error))
            return None
        post(producer.node, producer.submit)
        return producer if what.check is None and what.database is None else None


def why_of(error: BaseException) -> str:
    """An exception as the reason for which a producer was left."""
    return f"its producer was left by {in_words(error)}"
