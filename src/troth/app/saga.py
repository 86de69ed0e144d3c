"""Sagas: functions that call steps, and whose transaction is confirmed when they return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from msgspec import Raw

from troth.app.host import Host, Options
from troth.app.naming import checked_aliases, checked_gid, checked_seconds, name_of, source_of
from troth.app.step import Step
from troth.app.verbs import AwaitedForm, BlockingForm
from troth.core import limits
from troth.core.plan import Plan, StepSpec
from troth.ports.errors import DefinitionError
from troth.wire.signature import Arguments, Signature

P = ParamSpec("P")
R = TypeVar("R")
Recover = Literal["run", "cancel"]
GidOf = Callable[..., str]
"""Makes the gid from the saga's arguments."""


@dataclass(frozen=True, slots=True)
class SagaOptions:
    """What `troth.saga(…)` takes; see there."""

    gid: GidOf | None = None
    name: str | None = None
    aliases: tuple[str, ...] = ()
    timeout: float | None = None
    recover: Recover = "run"


class Saga(Generic[P, R]):
    """A function saga's definition; `SyncSaga` and `AsyncSaga` add how it is called.

    :ivar name: the name it is stored by.
    :ivar fn: the raw function.
    :ivar signature: how it is called over the wire.
    :ivar timeout: seconds for its undecided part.
    """

    def _define(self, fn: Callable[..., Any], options: SagaOptions) -> None:
        """Check the definition.

        :raises DefinitionError: naming the saga, what is wrong, and the cure.
        """
        if isinstance(fn, (Saga, Step)):
            raise DefinitionError(
                f"saga {fn.name}: it is a {type(fn).__name__} already. Leave one of the decorators out."
            )
        self.name = name_of(fn, options.name, "saga")
        self.what = f"saga {self.name}"
        self.source = source_of(fn, "saga")
        self.aliases = checked_aliases(options.aliases, self.what)
        self.fn = fn
        self.is_async = inspect.iscoroutinefunction(fn)
        self.signature = Signature.of(fn, False, self.what)
        timeout = limits.COORDINATOR_TIMEOUT if options.timeout is None else options.timeout
        self.timeout = checked_seconds(timeout, self.what, "timeout")
        if options.recover not in ("run", "cancel"):
            raise DefinitionError(f'{self.what}: recover={options.recover!r} is no way. Say "run" or "cancel".')
        self.recover = options.recover
        if options.gid is not None and not callable(options.gid):
            raise DefinitionError(
                f"{self.what}: gid={options.gid!r} can't be called. Give a function of its parameters, e.g. "
                'gid=lambda order: f"order-{order.id}"; for one call say .options(gid=…).'
            )
        self._gid = options.gid
        vars(self).update({name: getattr(fn, name) for name in functools.WRAPPER_ASSIGNMENTS if hasattr(fn, name)})
        self.__signature__ = self.signature.python

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Raw:
        """The encoded input of a call: one object by parameter name; see `Signature.bind`."""
        return self.signature.bind(args, kwargs)

    def load(self, raw: Raw | bytes) -> Arguments:
        """What to call the function with; see `Signature.load`."""
        return self.signature.load(raw)

    def encode_result(self, value: Any) -> Raw:
        """The encoded value; see `Signature.encode_result`."""
        return self.signature.encode_result(value)

    def decode_result(self, raw: Raw | bytes) -> Any:
        """The function's value; see `Signature.decode_result`."""
        return self.signature.decode_result(raw)

    def gid_of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Options) -> str | None:
        """The gid that the call's options or the definition's ``gid=`` give; None if one is to be generated.

        :raises PayloadError: if it is none.
        :raises LimitExceeded: if it is too long.
        """
        if options.gid is not None:
            return checked_gid(options.gid)
        return None if self._gid is None else checked_gid(self._gid(*args, **kwargs))

    def plan(
        self,
        lookup: Callable[[str], StepSpec | None] | None = None,
        same: Callable[[str, Raw, Raw], bool] | None = None,
    ) -> Plan:
        """The definition as the rules see it.

        :param lookup: the step of a stored name, or None if there is no code for it.
        :param same: whether two encoded argument sets of the named step are equal after decoding.
        """
        return Plan(
            name=self.name, form="function", lookup=lookup, same=same, timeout=self.timeout, recover=self.recover
        )

    def __reduce__(self) -> str:
        return self.source[1]

    def __repr__(self) -> str:
        return f"<{'async ' if self.is_async else ''}saga {self.name}>"


class SyncSaga(Saga[P, R], BlockingForm[P, R]):
    """A saga that is a ``def``: called like one."""

    def __init__(self, host: Host, fn: Callable[..., Any], options: SagaOptions) -> None:
        BlockingForm.__init__(self, host, self, "own", Options())
        self._define(fn, options)
        host.register_saga(self)


class AsyncSaga(Saga[P, R], AwaitedForm[P, R]):
    """A saga that is an ``async def``: awaited."""

    def __init__(self, host: Host, fn: Callable[..., Any], options: SagaOptions) -> None:
        AwaitedForm.__init__(self, host, self, "own", Options())
        self._define(fn, options)
        host.register_saga(self)


def make_saga(host: Host, fn: Callable[..., Any], options: SagaOptions) -> Any:
    """The saga of a function, in the function's colour."""
    kind: Any = AsyncSaga if inspect.iscoroutinefunction(fn) else SyncSaga
    return kind(host, fn, options)


class SagaDecorator(Protocol):
    """What ``troth.saga(…)`` gives."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncSaga[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, fn: Callable[P, R], /) -> SyncSaga[P, R]: ...


class DefinesSagas:
    """The part of the Troth object that makes sagas."""

    @overload
    def saga(self: Host, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncSaga[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def saga(self: Host, fn: Callable[P, R], /) -> SyncSaga[P, R]: ...
    @overload
    def saga(
        self: Host,
        *,
        gid: GidOf | None = None,
        name: str | None = None,
        aliases: tuple[str, ...] = (),
        timeout: float | None = None,
        recover: Recover = "run",
    ) -> SagaDecorator: ...
    def saga(self: Host, fn: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Make a function a saga; with and without parentheses.

        :param gid: makes the transaction's id from the arguments: the same id again is the same transaction.
        :param name: the name it is stored by; default ``module.qualname``.
        :param aliases: names it had before, so that what was stored by them is found.
        :param timeout: seconds for its undecided part; default 30, moved on by each recorded call's budget.
        :param recover: after a crash, ``run`` the function again, or ``cancel``.
        :raises DefinitionError: naming the saga, what is wrong, and the cure.
        """
        made = SagaOptions(**options)
        if fn is not None:
            return make_saga(self, fn, made)
        return lambda function: make_saga(self, function, made)
