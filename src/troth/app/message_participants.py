"""Who a message's calls go to: the producer's row, the user's own check-back, and the subscribers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from msgspec import Raw

from troth.app.http_step import HttpOptions, HttpStep, checked_headers, checked_secret, checked_url
from troth.app.naming import name_of, source_of
from troth.app.step import Step, check_colour
from troth.core import limits
from troth.core.plan import StepSpec
from troth.core.quick import Op, Word
from troth.core.reply import NULL, Reply
from troth.core.retry import micros
from troth.engine.participants import Participant
from troth.participant.database import Guarded
from troth.participant.meaning import in_words
from troth.ports.caller import Call
from troth.ports.errors import DefinitionError, Ongoing, PayloadError, Refused
from troth.wire.envelope import arguments_of, envelope_of
from troth.wire.signature import Signature

PRODUCER: Final = "producer:"
SUBSCRIBER: Final = "subscriber:"


class Local(StrEnum):
    """What became of a producer's local transaction, as its function or its check-back says."""

    COMMIT = "commit"
    ROLLBACK = "rollback"
    UNKNOWN = "unknown"
    """Not known yet: the check-back will be asked."""


class CheckBack:
    """A function of the user's that says what became of a message's local transaction; made by `troth.check_back`.

    :ivar database: whose connection is its first parameter, or None.
    """

    def __init__(self, fn: Callable[..., Any], name: str | None, on: Guarded | None) -> None:
        """Check the function.

        :raises DefinitionError: naming the function, what is wrong, and the cure.
        """
        self.name: Final = name_of(fn, name, "check-back")
        self.what: Final = f"check-back {self.name}"
        self.source: Final = source_of(fn, "check-back")
        self.aliases: Final = ()
        self.fn: Final = fn
        self.database: Final = on
        self.is_async: Final = inspect.iscoroutinefunction(fn)
        check_colour(on, self.is_async, self.what)
        self.signature: Final = Signature.of(fn, on is not None, self.what)
        self.__name__ = fn.__name__
        self.__doc__ = fn.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself."""
        return self.fn(*args, **kwargs)

    def ask(self, payload: Raw) -> Reply:
        """Ask, blocking."""
        try:
            given = self.signature.load(arguments_of(payload, self.signature, self.what))
            if self.database is None:
                return meant(self.fn(*given.args, **given.kwargs))
            return meant(self.database.plain(lambda db: self.fn(db, *given.args, **given.kwargs)))
        except Exception as error:
            return failed(error)

    async def aask(self, payload: Raw) -> Reply:
        """Ask, awaited."""
        if not self.is_async:
            return await asyncio.to_thread(self.ask, payload)
        try:
            given = self.signature.load(arguments_of(payload, self.signature, self.what))
            if self.database is None:
                return meant(await self.fn(*given.args, **given.kwargs))
            return meant(await self.database.aplain(lambda db: self.fn(db, *given.args, **given.kwargs)))
        except Exception as error:
            return failed(error)

    def __repr__(self) -> str:
        return f"<check-back {self.name}>"


def meant(answer: Any) -> Reply:
    """What a check-back's value means: something that it found is a yes; nothing found is not yet, never a no (P7)."""
    if answer is Local.ROLLBACK:
        return Reply(Word.REFUSED, reason="its check-back says that it was rolled back")
    if answer and answer is not Local.UNKNOWN:
        return Reply(Word.DONE)
    return Reply(Word.ONGOING, reason="its check-back has found nothing yet")


def failed(error: Exception) -> Reply:
    """What a check-back's exception means."""
    if isinstance(error, Refused):
        return Reply(Word.REFUSED, reason=error.reason, cause=error)
    if isinstance(error, Ongoing):
        return Reply(Word.ONGOING, reason="its check-back says: not yet", after=error.after)
    return Reply(Word.UNKNOWN, reason=f"its check-back failed: {in_words(error)}", cause=error)


class ProducerParticipant:
    """Says what became of a producer's local transaction: its row, else the user's check-back.

    :ivar most: few at a time, so that slow producers can't use up the database's connections.
    """

    def __init__(self, name: str, database: Guarded | None, check: CheckBack | None) -> None:
        self.name = name
        self.database = database
        self.check = check
        self.timeout = limits.CHECK_BACK_PATIENCE
        self.timeout_micros = micros(2 * limits.CHECK_BACK_PATIENCE)
        self.destination = f"check-back of {name}"
        self.most = limits.CHECK_BACKS_AT_ONCE
        self._blocks = database is None or "sync" in database.colours

    def is_async(self, op: Op) -> bool:
        """Whatever of it is awaited makes all of it awaited."""
        return not self._blocks or (self.check is not None and self.check.is_async)

    def call(self, call: Call) -> Reply:
        """Ask, blocking."""
        reply = NO_ROW if self.database is None else self.database.run(sealing(call), never)
        if reply.word is Word.ONGOING and self.check is not None:
            return self.check.ask(envelope_of(call.args).payload)
        return reply

    async def acall(self, call: Call) -> Reply:
        """Ask, awaited."""
        reply = NO_ROW
        if self.database is not None:
            asking = asyncio.to_thread(self.database.run, sealing(call), never) if self._blocks else self._sealed(call)
            reply = await asking
        if reply.word is Word.ONGOING and self.check is not None:
            return await self.check.aask(envelope_of(call.args).payload)
        return reply

    async def _sealed(self, call: Call) -> Reply:
        assert self.database is not None
        return await self.database.arun(sealing(call), anever)


NO_ROW: Final = Reply(Word.ONGOING, reason="it has written no row")


def sealing(call: Call) -> Call:
    """The question of the row: which of the two was first?"""
    return call._replace(op=Op.SEAL, args=NULL)


def never(db: Any, stored: Raw | None) -> Raw:
    """The effect of a seal: there is none, so it is never run."""
    raise TypeError("a seal runs nothing")


async def anever(db: Any, stored: Raw | None) -> Raw:
    """`never` in the other colour."""
    raise TypeError("a seal runs nothing")


class Subscriber:
    """Who gets the messages of a topic: a step, or a URL. Made by `Troth.subscribe`.

    :ivar name: what its deliveries are stored by.
    :ivar step: the step, or None.
    """

    def __init__(self, topic: str, name: str, step: Step[Any, Any] | None, url: Receiver | None) -> None:
        self.topic: Final = topic
        self.name: Final = name
        self.step: Final = step
        self.url: Final = url

    @property
    def spec(self) -> StepSpec:
        """As the rules see it."""
        behind = self.url if self.step is None else self.step
        assert behind is not None
        return StepSpec(SUBSCRIBER + self.name, guarded=True, timeout=behind.spec.timeout, interval=behind.spec.interval)

    def __repr__(self) -> str:
        return f"<subscriber {self.name} of {self.topic}>"


class Receiver:
    """A URL that messages are delivered to; as `troth.app.http_calls.Elsewhere` wants it."""

    def __init__(self, topic: str, name: str, url: str, timeout: float, interval: float, headers: Any, secret: Any) -> None:
        """Check what was given.

        :raises DefinitionError: naming the subscriber, what is wrong, and the cure.
        """
        what = f"subscriber {name} of {topic}"
        self.name = name
        self.options = HttpOptions(name, {Op.DELIVER: checked_url(url, what, "url")}, True)
        self.spec = StepSpec(name, guarded=True, timeout=timeout, interval=interval)
        self.headers = {**checked_headers(headers, what), "troth-topic": topic}
        self.signer = checked_secret(secret, what)


class SubscriberParticipant:
    """Delivers to one subscriber.

    :param inner: what calls the step or the URL.
    """

    def __init__(self, subscriber: Subscriber, inner: Participant) -> None:
        self.subscriber = subscriber
        self.inner = inner
        self.name = SUBSCRIBER + subscriber.name
        self.timeout, self.timeout_micros = inner.timeout, inner.timeout_micros
        self.destination, self.most = inner.destination, inner.most
        remote = isinstance(subscriber.step, HttpStep)
        self._op = Op.ACTION if remote else Op.DELIVER
        """Another service serves its step as an action; the branch tells deliveries from all else there."""

    def is_async(self, op: Op) -> bool:
        """As the step's own function."""
        return self.inner.is_async(self._op)

    def call(self, call: Call) -> Reply:
        """Deliver, blocking."""
        try:
            return self.inner.call(self._delivery(call))
        except PayloadError as error:
            return Reply(Word.REFUSED, reason=str(error), cause=error)

    async def acall(self, call: Call) -> Reply:
        """Deliver, awaited."""
        try:
            delivery = self._delivery(call)
        except PayloadError as error:
            return Reply(Word.REFUSED, reason=str(error), cause=error)
        return await self.inner.acall(delivery)

    def _delivery(self, call: Call) -> Call:
        step, payload = self.subscriber.step, envelope_of(call.args).payload
        args = payload if step is None or isinstance(step, HttpStep) else arguments_of(payload, step.signature, step.what)
        return call._replace(op=self._op, name=self.inner.name, args=args)


def checked_check(check: Any, known: Any, what: str) -> CheckBack | None:
    """The ``check=``, if it is found again after a restart.

    :param known: finds a check-back by its name.
    :raises DefinitionError: if it isn't one.
    """
    if check is None:
        return None
    if not isinstance(check, CheckBack) or known(check.name) is not check:
        name = getattr(check, "__name__", repr(check))
        raise DefinitionError(
            f"{what}: check={name} would not be found again after a restart. Write @troth.check_back above it, where it is defined."
        )
    return check
