"""The explicit form of a transactional message: the local transaction is a function that says what became of it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Raw

from troth.app.current import in_loop
from troth.app.message_begin import Sending, begin_message, sending
from troth.app.message_participants import Local
from troth.app.tcc_tries import post
from troth.core.quick import Op, Word
from troth.core.reply import NULL, Reply
from troth.engine.messages import Producer
from troth.participant.meaning import in_words
from troth.ports.caller import Call
from troth.ports.errors import DefinitionError, MessageGivenUp, Ongoing, Refused, WrongColour

if TYPE_CHECKING:
    from troth.app.troth import Troth

ROLLED_BACK = "its local transaction said: roll back"


class Sent(NamedTuple):
    """What became of a message's local transaction, as far as its sender knows.

    :param gid: the message; ``troth.attach(gid)`` waits for it.
    :param local: ``commit``: it is being delivered. ``rollback``: nobody will see it. ``unknown``: the check-back will find out.
    """

    gid: str
    local: Local


def send(troth: Troth, what: Sending, local: Callable[..., Any]) -> Sent:
    """Half message, local transaction, submit."""
    check_local(what, local, is_async=False)
    if in_loop():
        raise WrongColour("troth.send_message(…) would block the event loop that runs here. Write: await troth.aio.send_message(…)")
    node = troth.runtime.started()
    producer = troth.runtime.call(begin_message(node, what), node.loop)
    if what.database is None:
        try:
            return told(producer, said(local()))
        except BaseException as error:
            left(producer, error)
            raise
    answer: list[Local] = []

    def effect(db: Any, stored: Raw | None) -> Raw:
        answer[:] = [said(local(db))]
        return kept(answer[0])

    try:
        reply = what.database.run(call_of(producer, what), effect)
    except BaseException as error:
        left(producer, error)
        raise
    return concluded(producer, reply, answer)


async def asend(troth: Troth, what: Sending, local: Callable[..., Any]) -> Sent:
    """`send`, awaited; a ``def`` is run in a thread."""
    if not inspect.iscoroutinefunction(local):
        return await asyncio.to_thread(send, troth, what, local)
    check_local(what, local, is_async=True)
    node = await troth.runtime.anywhere()
    beginning = begin_message(node, what)
    producer = await (beginning if node.loop is asyncio.get_running_loop() else troth.elsewhere(node, beginning))
    if what.database is None:
        try:
            return told(producer, said(await local()))
        except BaseException as error:
            left(producer, error)
            raise
    answer: list[Local] = []

    async def effect(db: Any, stored: Raw | None) -> Raw:
        answer[:] = [said(await local(db))]
        return kept(answer[0])

    try:
        reply = await what.database.arun(call_of(producer, what), effect)
    except BaseException as error:
        left(producer, error)
        raise
    return concluded(producer, reply, answer)


def check_local(what: Sending, local: Any, *, is_async: bool) -> None:
    """Raise unless somebody can say what became of the function's local transaction.

    :raises DefinitionError: naming the cure.
    """
    if what.database is None and what.check is None:
        raise DefinitionError(
            "troth.send_message: if this process died, nobody could say what became of local=. Say on which database it works, "
            "on=troth.database(…), or who can be asked: check=."
        )
    if not callable(local):
        raise DefinitionError(f"troth.send_message: local={local!r} is no function. Write one that returns Local.COMMIT.")
    if inspect.iscoroutinefunction(local) is not is_async:
        raise WrongColour("local= is an async def. Write: await troth.aio.send_message(…)")
    if what.database is not None and ("async" if is_async else "sync") not in what.database.colours:
        raise DefinitionError(f"troth.send_message: local= has a colour that {what.database.name} doesn't run.")


def said(answer: Any) -> Local:
    """What the function returned.

    :raises TypeError: if it is none of the three: nothing is kept then.
    """
    if not isinstance(answer, Local):
        raise TypeError(f"local= returned {answer!r}. Return Local.COMMIT, Local.ROLLBACK or Local.UNKNOWN.")
    return answer


def kept(local: Local) -> Raw:
    """What the barrier makes of the answer: a row that is done, refused or ongoing."""
    if local is Local.ROLLBACK:
        raise Refused(ROLLED_BACK)
    if local is Local.UNKNOWN:
        raise Ongoing
    return NULL


def call_of(producer: Producer, what: Sending) -> Call:
    """The local transaction as a call to the barrier."""
    doc, node = producer.live.saga.doc, producer.node
    return Call(
        doc.uid, doc.gid, producer.call_id, Op.ACTION, what.plan.name, 1, doc.input, None, doc.begun, node.mark, node.log_id,
        what.plan.timeout,
    )  # fmt: skip


def told(producer: Producer, local: Local) -> Sent:
    """Without a row: a commit is believed, anything else is asked about."""
    if local is Local.COMMIT:
        post(producer.node, producer.submit)
    else:
        post(producer.node, producer.left, ROLLED_BACK if local is Local.ROLLBACK else "")
    return Sent(producer.live.gid, local)


def left(producer: Producer, error: BaseException) -> None:
    """The function, or what runs it, raised: nobody believes that it rolled back."""
    post(producer.node, producer.left, f"its local transaction was left by {in_words(error)}")


def concluded(producer: Producer, reply: Reply, answer: list[Local]) -> Sent:
    """What the row's answer means to the sender.

    :raises MessageGivenUp: the check-back came first.
    """
    gid, node, word = producer.live.gid, producer.node, reply.word
    if word is Word.DONE:
        post(node, producer.submit)
        return Sent(gid, Local.COMMIT)
    if word is Word.ONGOING:
        return Sent(gid, Local.UNKNOWN)
    post(node, producer.left, reply.reason)
    if word is Word.REFUSED:
        if not answer:
            raise MessageGivenUp(gid)
        if answer[0] is not Local.ROLLBACK and reply.cause is not None:
            raise reply.cause
        return Sent(gid, Local.ROLLBACK)
    if word is Word.NOT_DONE and reply.cause is not None:
        raise reply.cause
    return Sent(gid, Local.UNKNOWN)


class AwaitsMessages:
    """The awaitable spelling of `SendsMessages.send_message`, under ``troth.aio``."""

    _troth: Troth

    async def send_message(self, topic: str, payload: Any, *, local: Callable[..., Any], **options: Any) -> Sent:
        """As `SendsMessages.send_message`; ``local`` may be an ``async def``."""
        return await asend(self._troth, sending(self._troth, topic, payload, "troth.aio.send_message", **options), local)
