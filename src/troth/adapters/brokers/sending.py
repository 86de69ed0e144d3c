"""What the adapters' publishing has in common."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from troth.core.words import Word
from troth.ports.broker import HEADER_ID, HEADER_KEY, Confirm, Finding, Message
from troth.ports.errors import ConfigurationError, PayloadError

LATE: Final = Confirm(Word.UNKNOWN, "the broker gave no confirm in time")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_topic(topic: str) -> str:
    """A topic's, or a group's, name, if it is one.

    :raises PayloadError: if it isn't.
    """
    if not _TOPIC.fullmatch(topic):
        cure = "Use 1 to 128 letters, digits and . _ - only, a letter or digit first"
        raise PayloadError("topic", f"{topic[:64]!r} is no name of a topic or group", cure)
    return topic


def refused(reason: str) -> Confirm:
    """It never will be taken as it is."""
    return Confirm(Word.REFUSED, reason, retry=False)


def not_done(error: BaseException | str) -> Confirm:
    """It was not taken."""
    return Confirm(Word.NOT_DONE, error if isinstance(error, str) else said(error))


def unknown(error: BaseException) -> Confirm:
    """Nobody knows whether it was taken."""
    return Confirm(Word.UNKNOWN, f"no confirm: {said(error)}")


def said(error: BaseException) -> str:
    """An exception in words."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__


def unfit(message: Message, most: int) -> Confirm | None:
    """Why no broker of ours takes the message, or None."""
    if len(message.payload) > most:
        return refused(f"its payload has {len(message.payload)} bytes, more than {most}. Send a key to it instead")
    if not _TOPIC.fullmatch(message.topic):
        return refused(f"its topic {message.topic[:64]!r} may only hold 1 to 128 letters, digits and . _ -")
    if not _ID.fullmatch(message.id):
        return refused(f"its id {message.id[:64]!r} is not 32 hex digits")
    return None


async def publish_each(
    messages: Sequence[Message],
    most: int,
    timeout: float,
    ready: Callable[[Sequence[Message]], Awaitable[None]],
    send: Callable[[Message], Awaitable[Confirm]],
    broken: Callable[[], None],
) -> list[Confirm]:
    """Publish messages side by side, each answered in its own time.

    :param ready: connects; what it raises, or that it takes too long, means that nothing was sent.
    :param send: sends one message and waits for its confirm; it takes its place on the wire when it is first run.
    :param broken: called if an answer is missing: whatever is on the connection, nobody waits for it any more.
    """
    answers = [unfit(message, most) for message in messages]
    wanted = [message for message, answer in zip(messages, answers, strict=True) if answer is None]
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    try:
        if wanted:
            await asyncio.wait_for(ready(wanted), timeout)
    except Exception as error:
        why = not_done("the broker can't be reached in time" if isinstance(error, TimeoutError) else error)
        return [why if answer is None else answer for answer in answers]
    tasks = [loop.create_task(_answered(send, message)) for message in wanted]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=max(until - loop.time(), 0.0))
    finally:
        if not all(task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            broken()
    given = iter(LATE if task.cancelled() or not task.done() else task.result() for task in tasks)
    return [next(given) if answer is None else answer for answer in answers]


async def _answered(send: Callable[[Message], Awaitable[Confirm]], message: Message) -> Confirm:
    try:
        return await send(message)
    except Exception as error:
        return unknown(error)


def headers_of(message: Message) -> dict[str, str]:
    """What travels beside the payload."""
    own = {HEADER_ID: message.id}
    if message.key:
        own[HEADER_KEY] = message.key
    return {**message.headers, **own}


def received(topic: str, headers: Mapping[str, str], payload: bytes, place: Iterable[object] = (), given: str = "") -> Message:
    """A message as it came.

    One that is none of ours has an id by where it lies in the broker, or by the id that its sender gave it; where there
    is neither, it has none.

    :param place: what tells it apart from all others in the broker; empty if nothing does.
    :param given: the id its sender gave it.
    """
    rest = dict(headers)
    own = rest.pop(HEADER_ID, given)
    key = rest.pop(HEADER_KEY, "")
    if not _ID.fullmatch(own):
        told = [own] if own else [str(part) for part in place]
        own = hashlib.sha256("\0".join([topic, *told]).encode()).hexdigest()[:32] if told else ""
    return Message(own, topic, key, payload, rest)


def unreachable(broker: str, error: BaseException) -> Finding:
    """The broker can't be asked."""
    return Finding(True, f"broker {broker} can't be asked: {said(error)}", "Start it, or correct its URL")


def check_numbers(broker: str, **given: Any) -> None:
    """Raise unless the options are positive numbers (or None).

    :raises ConfigurationError: naming the option.
    """
    for option, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0):
            raise ConfigurationError(f"broker {broker!r}: {option}={value!r} is no positive number")

