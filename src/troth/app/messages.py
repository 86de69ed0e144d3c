"""The Troth object's verbs for transactional messages: send one, subscribe to a topic, say what became of a local transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload
from urllib.parse import urlsplit

from troth.app.http_calls import HttpParticipant
from troth.app.http_step import HttpStep
from troth.app.message_begin import VERB, sending
from troth.app.message_block import MessageBlock
from troth.app.message_explicit import Sent, send
from troth.app.message_participants import (
    PRODUCER,
    SUBSCRIBER,
    CheckBack,
    Local,
    ProducerParticipant,
    Receiver,
    Subscriber,
    SubscriberParticipant,
)
from troth.app.naming import Names, checked_name, checked_seconds
from troth.app.participant import StepParticipant
from troth.app.step import Step
from troth.core import limits
from troth.core.plan import Plan, StepSpec
from troth.engine.participants import Participant
from troth.participant.database import Guarded
from troth.ports.errors import DefinitionError

if TYPE_CHECKING:
    from troth.app.troth import Troth

F = TypeVar("F", bound=Callable[..., Any])


class SendsMessages:
    """The part of the Troth object that sends messages and knows who subscribes to them."""

    @cached_property
    def check_backs(self) -> Names[CheckBack]:
        """The check-backs by name."""
        return Names("check-back")

    @cached_property
    def subscribers(self) -> dict[str, Subscriber]:
        """The subscribers by name."""
        return {}

    @cached_property
    def identities(self) -> dict[Guarded, int]:
        """The databases' own numbers, as far as they were asked for."""
        return {}

    # --- definitions

    def subscribe(
        self, topic: str, to: Step[Any, Any] | str, *, name: str | None = None, timeout: float = limits.PARTICIPANT_TIMEOUT,
        interval: float = limits.RETRY_INTERVAL, headers: Mapping[str, str] | None = None,
        secret: str | Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        """Have every message of a topic delivered, at least once, to a step or to a URL.

        Subscribers are independent: one that is down keeps no other waiting. Who subscribes is taken down at the submit. A
        step takes the payload's fields as parameters by name, or, with one single parameter, the whole payload; with
        ``on=`` its effect happens once. A URL gets ``POST`` with the payload as its body, ``op=deliver`` and the header
        ``troth-topic``; it must stand repeats by the ``Idempotency-Key``.

        :param to: a step of this Troth object, or a URL.
        :param name: what its deliveries are stored by; default: the step's name, or host and path of the URL.
        :param timeout: of a URL: seconds one delivery may take.
        :param interval: of a URL: seconds of the first pause between two.
        :param headers: of a URL: sent along.
        :param secret: of a URL: signs each delivery (Standard Webhooks).
        :raises DefinitionError: naming the subscriber, what is wrong, and the cure.
        """
        topic = checked_name(topic, "topic")
        what = f"troth.subscribe({topic!r})"
        if isinstance(to, str):
            called = checked_name(name or url_name(to), f"{what}: name")
            seconds = checked_seconds(timeout, what, "timeout"), checked_seconds(interval, what, "interval")
            subscriber = Subscriber(topic, called, None, Receiver(topic, called, to, *seconds, headers, secret))
        elif isinstance(to, Step):
            subscriber = Subscriber(topic, checked_name(name or to.name, f"{what}: name"), to, None)
        else:
            raise DefinitionError(f"{what}: {to!r} is neither a step nor a URL. Write @troth.step above the function.")
        self._take(subscriber, what)

    def _take(self, subscriber: Subscriber, what: str) -> None:
        before = self.subscribers.get(subscriber.name)
        if subscriber.name == "producer" or (before is not None and before.topic != subscriber.topic):
            raise DefinitionError(f"{what}: the name {subscriber.name} is taken. Give another name=.")
        steps = None if before is None else before.step, subscriber.step
        if steps[0] is not None and steps[1] is not None and steps[0].source != steps[1].source:
            raise DefinitionError(f"{what}: {subscriber.name} subscribes with another step already. Give another name=.")
        self.subscribers[subscriber.name] = subscriber
        cast("Troth", self).forget_participants()

    @overload
    def check_back(self, fn: Callable[..., Any], /) -> CheckBack: ...
    @overload
    def check_back(
        self, fn: None = None, /, *, on: Guarded | None = None, name: str | None = None
    ) -> Callable[[Callable[..., Any]], CheckBack]: ...
    def check_back(self, fn: Any = None, /, *, on: Guarded | None = None, name: str | None = None) -> Any:
        """Make a function one that says what became of a message's local transaction, for ``check=``.

        It takes the payload as a subscriber's step does. Something found (any true value) means that it committed; nothing
        found means *not yet*: it doesn't wait for a transaction that is still running. `Refused`, or `Local.ROLLBACK`,
        means that it never will.

        :param on: a database whose connection is its first parameter.
        :param name: the name it is stored by; default ``module.qualname``.
        :raises DefinitionError: naming the function, what is wrong, and the cure.
        """

        def taken(given: Callable[..., Any]) -> CheckBack:
            made = CheckBack(given, name, on)
            self.check_backs.add(made)
            cast("Troth", self).forget_participants()
            return made

        return taken if fn is None else taken(fn)

    # --- sending

    def message(
        self, topic: str, payload: Any, *, within: Any = None, check: CheckBack | None = None, on: Guarded | None = None,
        key: str = "", business_id: str = "", headers: dict[str, str] | None = None, gid: str | None = None, delay: float = 0.0,
        check_after: float = limits.CHECK_BACK_AFTER, check_every: float = limits.CHECK_BACK_EVERY,
        check_times: int = limits.CHECK_BACK_TIMES,
    ) -> MessageBlock:  # fmt: skip
        """A message that is sent if, and only if, the local transaction of a block commits: ``with`` or ``async with``.

        Entering makes the half message durable, which nobody sees, and writes its row into the local transaction of
        ``within``, which may be committed in the block or after it. Once it has ended, its row decides. Without ``within``,
        leaving without an exception sends, and ``check`` is asked if that doesn't come.

        :param topic: what it is about, e.g. ``order.created``.
        :param payload: JSON: dict, dataclass, msgspec or pydantic model …
        :param within: the connection or session (of Django also the alias) whose local transaction it is.
        :param check: a `check_back`, asked where there is no row to ask.
        :param on: the database that ``within`` is of; default: the running step's, or the only one.
        :param key: messages with the same key keep their order where the broker keeps one.
        :param business_id: your own name for what it is about.
        :param headers: sent along to a broker.
        :param gid: the message's id: the same again is refused. Default: generated.
        :param delay: seconds until it is delivered at the earliest, however it is decided.
        :param check_after: seconds until the first check-back; default 6.
        :param check_every: seconds between two at most; the pause doubles from the first. Default 60.
        :param check_times: check-backs until it is parked and a person is asked; default 15.
        :raises AlreadyBegun: at entry: the gid was sent before.
        :raises MessageGivenUp: at entry: the check-back came first.
        :raises NotAccepted: at entry: nothing was written; try again.
        :raises ConfigurationError: at entry: ``within`` is of another database, or in no local transaction.
        """
        troth = cast("Troth", self)
        what = sending(
            troth, topic, payload, VERB, within=within, on=on, check=check, key=key, business_id=business_id, headers=headers,
            gid=gid, delay=delay, check_after=check_after, check_every=check_every, check_times=check_times,
        )  # fmt: skip
        return MessageBlock(troth, what)

    def send_message(
        self, topic: str, payload: Any, *, local: Callable[..., Local], on: Guarded | None = None,
        check: CheckBack | None = None, key: str = "", business_id: str = "", headers: dict[str, str] | None = None,
        gid: str | None = None, delay: float = 0.0, check_after: float = limits.CHECK_BACK_AFTER,
        check_every: float = limits.CHECK_BACK_EVERY, check_times: int = limits.CHECK_BACK_TIMES,
    ) -> Sent:  # fmt: skip
        """The explicit form: the local transaction is a function that says what became of it.

        With ``on=``, ``local(db)`` is run in a local transaction of ours: ``Local.COMMIT`` commits and sends, ``ROLLBACK`` undoes
        it and the message, ``UNKNOWN`` commits and leaves it to ``check=``; an exception undoes both and goes on. Without, it is
        called without arguments, and whatever it doesn't say is asked of ``check=``.

        The other parameters are those of `message`.

        :raises DefinitionError: there is neither ``on=`` nor ``check=``; nobody could say what became of it.
        :raises MessageGivenUp: the check-back came first; nothing happened.
        """
        troth = cast("Troth", self)
        what = sending(
            troth, topic, payload, "troth.send_message", on=on, check=check, key=key, business_id=business_id, headers=headers,
            gid=gid, delay=delay, check_after=check_after, check_every=check_every, check_times=check_times,
        )  # fmt: skip
        return send(troth, what, local)

    # --- the engine's registry

    def audience(self, topic: str) -> tuple[str, ...]:
        """The participants of those who subscribe to a topic now."""
        return tuple(SUBSCRIBER + each.name for each in self.subscribers.values() if each.topic == topic)

    def message_plan(self, topic: str) -> Plan | None:
        """The plan of a topic's messages; None where nobody subscribes: another process has the code for it."""
        if not self.audience(topic):
            return None
        return Plan(topic, "message", lookup=self._message_spec, pattern="message", audience=lambda: self.audience(topic))

    def _message_spec(self, name: str) -> StepSpec | None:
        if name.startswith(PRODUCER):
            database, _, check = name.removeprefix(PRODUCER).partition("|")
            return StepSpec(name, guarded=True, sealable=bool(database), checkable=bool(check))
        subscriber = self.subscribers.get(name.removeprefix(SUBSCRIBER))
        return None if subscriber is None else subscriber.spec

    def message_participant(self, name: str) -> Participant | None:
        """A producer, or a subscriber, of a stored name."""
        if name.startswith(PRODUCER):
            return self._producer(name)
        if not name.startswith(SUBSCRIBER):
            return None
        subscriber = self.subscribers.get(name.removeprefix(SUBSCRIBER))
        return None if subscriber is None else SubscriberParticipant(subscriber, self._behind(subscriber))

    def _producer(self, name: str) -> Participant | None:
        database, _, check = name.removeprefix(PRODUCER).partition("|")
        known = cast("Troth", self).databases.get(database)
        asked = self.check_backs.find(check)
        if (database and known is None) or (check and asked is None):
            return None
        return ProducerParticipant(name, known, asked)

    def _behind(self, subscriber: Subscriber) -> Participant:
        troth, step = cast("Troth", self), subscriber.step
        if step is None:
            assert subscriber.url is not None
            return HttpParticipant(subscriber.url, troth.http_caller())
        return troth.http_participant(step) if isinstance(step, HttpStep) else StepParticipant(step, troth.no_retry)


def url_name(url: str) -> str:
    """A subscriber's name by its URL: host and path."""
    parts = urlsplit(url)
    return (parts.netloc + parts.path).strip("/").replace("/", ".")
