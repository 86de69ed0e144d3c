"""Functions that happen once per key, without a saga: ``@troth.once(on=orders, key=…)``."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar, overload

from msgspec import Raw

from troth.app.current import SCOPE, in_loop
from troth.app.naming import Names, checked_seconds, name_of, source_of
from troth.app.step import check_colour, checked_refusals
from troth.app.verbs import Awaits
from troth.core import limits
from troth.engine.clock import Clock
from troth.participant.database import Guarded
from troth.participant.numbers import Numbers
from troth.participant.once import Keys
from troth.ports.caller import Call
from troth.ports.errors import DefinitionError, WrongColour
from troth.wire.codec import canonical
from troth.wire.signature import Signature

if TYPE_CHECKING:
    from troth.app.troth import Troth

P = ParamSpec("P")
R = TypeVar("R")
KeyOf = str | Callable[..., Any]
"""The parameter that is the key, or what makes the key from the arguments."""


class Once(Generic[P, R]):
    """A function that happens once per key; `SyncOnce` and `AsyncOnce` say how it is called.

    :ivar name: the name its keys are stored by.
    :ivar fn: the raw function; call it with a connection of your own where no guard is wanted.
    """

    def __init__(
        self,
        troth: Troth,
        fn: Callable[..., Any],
        on: Guarded,
        key: KeyOf,
        numbers: Numbers | None,
        keep: timedelta | float,
        name: str | None,
        timeout: float,
        refuse_on: Any,
    ) -> None:
        """Check and register the function.

        :raises DefinitionError: naming the function, what is wrong, and the cure.
        """
        self.name: Final = name_of(fn, name, "once")
        self.what: Final = f"once {self.name}"
        self.source: Final = source_of(fn, "once")
        self.aliases: Final = ()
        self.fn: Final = fn
        self.is_async: Final = inspect.iscoroutinefunction(fn)
        self.database: Final = checked_database(on, self.is_async, self.what)
        self.signature: Final = Signature.of(fn, True, self.what)
        self._key: Final = checked_key(key, self.signature, self.what)
        seconds = keep.total_seconds() if isinstance(keep, timedelta) else keep
        self.keys: Final = Keys(
            self.name,
            on,
            troth.clock.now,
            keep=checked_seconds(seconds, self.what, "keep"),
            timeout=checked_seconds(timeout, self.what, "timeout"),
            numbers=numbers,
            refuse_on=checked_refusals(refuse_on, self.what),
        )
        self._troth: Final = troth
        vars(self).update({word: getattr(fn, word) for word in functools.WRAPPER_ASSIGNMENTS if hasattr(fn, word)})
        self.__signature__ = self.signature.python
        troth.once_names.add(self)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The call, checked: nothing was written so far.

        :raises PayloadError: if an argument can't be encoded, or the key is none.
        """
        scope = SCOPE.get()
        if isinstance(scope, Call):
            step = self._troth.steps.find(scope.name)
            if step is None or step.database is self.database:
                raise DefinitionError(
                    f"{self.what} is called inside of {scope.name}, whose local transaction on {self.database.name} is open: "
                    f"there would be two. Call {self.fn.__name__}.fn(db, …) for the plain function."
                )
        raw = self.signature.bind(args, kwargs)
        key = self.signature.values(raw)[self._key] if isinstance(self._key, str) else self._key(*args, **kwargs)
        return self.keys.call(self.keys.checked(key), canonical(raw))

    def _blocking(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        call = self._call(args, kwargs)

        def effect(db: Any, stored: Raw | None) -> Raw:
            token = SCOPE.set(call)
            try:
                return self.signature.encode_result(self.fn(db, *args, **kwargs))
            finally:
                SCOPE.reset(token)

        result: R = self.signature.decode_result(self.keys.run(call, effect))
        return result

    async def _awaited(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        call = self._call(args, kwargs)

        async def effect(db: Any, stored: Raw | None) -> Raw:
            token = SCOPE.set(call)
            try:
                return self.signature.encode_result(await self.fn(db, *args, **kwargs))
            finally:
                SCOPE.reset(token)

        result: R = self.signature.decode_result(await self.keys.arun(call, effect))
        return result

    def __reduce__(self) -> str:
        return self.source[1]

    def __repr__(self) -> str:
        return f"<{'async ' if self.is_async else ''}once {self.name}>"


class SyncOnce(Once[P, R]):
    """One that is a ``def``: called like one."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do it, or get the first answer again.

        :raises Refused: if it was refused, now or the first time.
        :raises Ongoing: if another call with this key has not ended within the timeout.
        :raises KeyConflict: if the key was used with other arguments.
        :raises KeyExpired: if the number is older than what is remembered.
        :raises KeyInDoubt: if the database's answer to COMMIT got lost.
        """
        if in_loop():
            name = self.fn.__name__
            raise WrongColour(f"{self.what} would block the event loop that runs here. Write: await {name}.aio(…)")
        return self._blocking(args, kwargs)

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Awaits[R]:
        """The awaitable spelling, in a thread. Cancelling the await doesn't stop it: call again, and get its answer."""
        return asyncio.to_thread(self._blocking, args, kwargs)


class AsyncOnce(Once[P, R]):
    """One that is an ``async def``: awaited."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaits[R]:
        """As `SyncOnce.__call__`. Cancelled, it may have happened or not: call again, and get its answer."""
        return self._awaited(args, kwargs)

    def wait(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The blocking spelling."""
        if in_loop():
            name = self.fn.__name__
            raise WrongColour(f"{self.what} would block the event loop that runs here. Write: await {name}(…)")
        runtime = self._troth.runtime
        result: R = runtime.call(self._awaited(args, kwargs), runtime.started().loop)
        return result


class OnceDecorator(Protocol):
    """What ``troth.once(…)`` gives: the function's first parameter is the connection."""

    @overload
    def __call__(self, fn: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> AsyncOnce[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, fn: Callable[Concatenate[Any, P], R], /) -> SyncOnce[P, R]: ...


class DefinesOnce:
    """The part of the Troth object that draws numbers and makes functions happen once."""

    @cached_property
    def once_names(self) -> Names[Once[Any, Any]]:
        """The functions by their names."""
        return Names("once")

    @cached_property
    def clock(self) -> Clock:
        """The time that keys and numbers are stamped with."""
        return Clock()

    def numbers(self, prefix: str = "") -> Numbers:
        """Numbers to hand out, e.g. as order numbers: unique, ordered by time, with a check character.

        :param prefix: what they begin with: nothing, or 1 to 12 of ``A-Z0-9``, a letter first.
        :raises ConfigurationError: if the prefix is none.
        """
        return Numbers(prefix, self.clock.now)

    def once(
        self,
        *,
        on: Guarded,
        key: KeyOf,
        numbers: Numbers | None = None,
        keep: timedelta | float = limits.ONCE_DAYS * 86_400.0,
        name: str | None = None,
        timeout: float = limits.PARTICIPANT_TIMEOUT,
        refuse_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    ) -> OnceDecorator:
        """Make a function happen at most once per key: its effect, the key's row and its result are one local transaction.

        A repeated call gets the first answer again: the result, or `Refused`. One with other arguments is a
        `KeyConflict`. One at the same time waits for the first. After any other exception nothing is kept, and the next
        call runs the function.

        :param on: the database of the effect (`troth.database`). The function's first parameter is the connection.
        :param key: the parameter that is the key, by name, or what makes it from the arguments:
            ``key=lambda order: order.number``. A text of 1 to 255 characters, or an int.
        :param numbers: the keys are numbers of this kind: what was mistyped is turned away, and one older than ``keep``
            is a `KeyExpired` instead of happening again.
        :param keep: how long an answer is remembered at least: seconds, or a timedelta; default 90 days.
        :param name: the name its keys are stored by; default ``module.qualname``. Another name is another set of keys.
        :param timeout: seconds a call waits for a connection, and for another call with the same key; default 10.
        :param refuse_on: exceptions of yours that mean a definite no, as `Refused` does: the no is remembered.
        :raises DefinitionError: naming the function, what is wrong, and the cure.
        """
        host: Any = self

        def decorate(fn: Callable[..., Any]) -> Any:
            kind: Any = AsyncOnce if inspect.iscoroutinefunction(fn) else SyncOnce
            return kind(host, fn, on, key, numbers, keep, name, timeout, refuse_on)

        return decorate


def checked_database(on: Any, is_async: bool, what: str) -> Guarded:
    """The database, if the function's colour runs on it.

    :raises DefinitionError: if it is none, or doesn't.
    """
    if not isinstance(on, Guarded):
        raise DefinitionError(f'{what}: on={on!r} is no database. Make one: on=troth.database("orders", "sqlite:///…").')
    check_colour(on, is_async, what)
    return on


def checked_key(key: Any, signature: Signature, what: str) -> KeyOf:
    """The ``key=``, if it can make one.

    :raises DefinitionError: if it can't.
    """
    known = list(signature.python.parameters)
    if isinstance(key, str):
        if key not in known:
            raise DefinitionError(f"{what}: key={key!r} is none of its parameters. Name one of: {', '.join(known) or 'none'}.")
        return key
    if not callable(key):
        raise DefinitionError(
            f"{what}: key={key!r} makes no key. Name the parameter that is it, or give a function of the parameters, e.g. "
            "key=lambda order: order.number."
        )
    return key  # type: ignore[no-any-return]
