"""Steps: functions whose effects can be made once, undone and asked about."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from troth.app.attached import Attached
from troth.app.host import Host
from troth.app.naming import checked_aliases, checked_seconds, name_of, source_of
from troth.app.verbs import Awaits
from troth.core import limits
from troth.core.plan import StepSpec
from troth.core.words import Role
from troth.ports.database import Database
from troth.ports.errors import DefinitionError
from troth.wire.signature import Signature

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
RoleName = Literal["compensable", "pivot", "retriable", "local"]


class Unset:
    """The type of `UNSET`: nothing was said."""


UNSET: Final = Unset()


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What `troth.step(…)` takes; see there."""

    on: Database | None = None
    guarded: bool = False
    name: str | None = None
    aliases: tuple[str, ...] = ()
    timeout: float | None = None
    attempts: int | None = None
    role: RoleName = "compensable"
    check: Callable[..., Any] | None = None
    compensate: Callable[..., Any] | Unset | None = UNSET
    refuse_on: type[BaseException] | tuple[type[BaseException], ...] = ()
    interval: float | None = None


class Step(Generic[P, R]):
    """A step; `SyncStep` and `AsyncStep` say how it is called.

    :ivar name: the name it is stored by.
    :ivar fn: the raw function; call it where no transaction is wanted.
    :ivar signature: how it is called over the wire.
    :ivar database: where its effect lives, or None.
    :ivar refuse_on: exceptions that mean a definite business no.
    :ivar waived: it was said that it needs no compensation.
    """

    def __init__(self, host: Host, fn: Callable[..., Any], options: StepOptions) -> None:
        """Check and register the step.

        :raises DefinitionError: naming the step, what is wrong, and the cure.
        """
        if isinstance(fn, Step):
            raise DefinitionError(f"step {fn.name}: it is a step already. Leave one of the decorators out.")
        self.name = name_of(fn, options.name, "step")
        self.what = f"step {self.name}"
        self.source = source_of(fn, "step")
        self.aliases = checked_aliases(options.aliases, self.what)
        self.fn = fn
        self.is_async = inspect.iscoroutinefunction(fn)
        self.database = options.on
        check_colour(options.on, self.is_async, self.what)
        self.signature = Signature.of(fn, options.on is not None, self.what)
        self.refuse_on = checked_refusals(options.refuse_on, self.what)
        self.waived = options.compensate is None
        self.undo: Attached | None = None
        self.checker: Attached | None = None
        self.spec = spec_of_options(self.name, options, self.what, sealable=options.on is not None)
        self._host = host
        vars(self).update({name: getattr(fn, name) for name in functools.WRAPPER_ASSIGNMENTS if hasattr(fn, name)})
        self.__signature__ = self.signature.python
        if callable(options.compensate):
            self.compensate(options.compensate)
        if options.check is not None:
            self.check(options.check)
        host.register_step(self)

    def compensate(self, fn: F) -> F:
        """Attach what undoes the step. It takes the same parameters; ``result`` too, if it names it.

        ``result`` is what the step returned, or None where nobody knows it. With ``on=`` the first is the connection.

        :raises DefinitionError: if its parameters are others, or its colour can't run on the database.
        """
        self.undo = self._attach(fn, "compensation")
        self._update()
        return fn

    def check(self, fn: F) -> F:
        """Attach what finds out whether the step happened. It takes the same parameters.

        It returns the step's result (it happened), raises `Refused` (it never will) or `Ongoing` (not yet).

        :raises DefinitionError: as `compensate`.
        """
        self.checker = self._attach(fn, "check")
        self._update()
        return fn

    @property
    def undoable(self) -> bool:
        """There is something that undoes it."""
        return self.undo is not None

    def _attach(self, fn: Callable[..., Any], kind: str) -> Attached:
        attached = Attached(fn, self.signature, self.database is not None, kind)
        check_colour(self.database, attached.is_async, attached.what)
        return attached

    def _update(self) -> None:
        self.spec = StepSpec(
            name=self.name,
            role=self.spec.role,
            guarded=self.spec.guarded,
            sealable=self.spec.sealable,
            undoable=self.undo is not None,
            checkable=self.checker is not None,
            timeout=self.spec.timeout,
            attempts=self.spec.attempts,
            interval=self.spec.interval,
            waived=self.spec.waived,
        )

    def __reduce__(self) -> str:
        return self.source[1]

    def __repr__(self) -> str:
        return f"<{'async ' if self.is_async else ''}step {self.name}>"


class SyncStep(Step[P, R]):
    """A step that is a ``def``: called like one."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the step: a part of the saga around it, or an ordinary call in its own local transaction."""
        result: R = self._host.invoke_step(self, args, kwargs, "own")
        return result

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Awaits[R]:
        """The awaitable spelling."""
        result: Awaits[R] = self._host.invoke_step(self, args, kwargs, "aio")
        return result

    if not TYPE_CHECKING:

        @property
        def wait(self) -> Any:
            raise DefinitionError(
                f"{self.what} blocks already: call {self.__name__}(…), or await {self.__name__}.aio(…)."
            )


class AsyncStep(Step[P, R]):
    """A step that is an ``async def``: awaited."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaits[R]:
        """Call the step: a part of the saga around it, or an ordinary call in its own local transaction.

        The call is recorded now, in call order; it is made even if it is never awaited.
        """
        result: Awaits[R] = self._host.invoke_step(self, args, kwargs, "own")
        return result

    def wait(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The blocking spelling."""
        result: R = self._host.invoke_step(self, args, kwargs, "wait")
        return result

    if not TYPE_CHECKING:

        @property
        def aio(self) -> Any:
            raise DefinitionError(
                f"{self.what} is awaited already: await {self.__name__}(…), or call {self.__name__}.wait(…)."
            )


def check_colour(on: Any, is_async: bool, what: str) -> None:
    """Raise unless functions of that colour can run on the database.

    :param on: what was given as ``on=``.
    :raises DefinitionError: naming the cure.
    """
    if on is None:
        return
    if not (hasattr(on, "colours") and hasattr(on, "name")):
        raise DefinitionError(
            f'{what}: on={on!r} is no database. Make one: on=troth.database("stock", "sqlite:///…").'
        )
    if is_async and "async" not in on.colours:
        raise DefinitionError(
            f"{what}: an async def can't run on database {on.name}, whose library blocks. "
            "Write it as def, and await it with .aio(…) in an async program."
        )
    if not is_async and "sync" not in on.colours:
        raise DefinitionError(
            f"{what}: a def can't run on database {on.name}, whose library is async only. Write it as async def."
        )


def checked_attempts(given: Any, what: str) -> int:
    """The number of calls, if it is one; None: the default.

    :raises DefinitionError: if it isn't.
    """
    attempts = limits.MAX_RETRY_COUNT if given is None else given
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise DefinitionError(f"{what}: attempts={attempts!r} is no count. Give the number of calls, the first included.")
    return attempts


def check_ready(steps: Iterable[Step[Any, Any]], excused: Iterable[str] = ()) -> None:
    """Check what can only be known once everything is defined: that each compensable step can be undone.

    :param excused: names of steps that are only used in other roles (by graphs).
    :raises DefinitionError: naming the step and the cure.
    """
    free = set(excused)
    for step in steps:
        if step.spec.role is Role.COMPENSABLE and not step.undoable and not step.waived and step.name not in free:
            short = getattr(step, "__name__", "step")
            raise DefinitionError(
                f"{step.what} is compensable, but nothing undoes it. Attach a compensation with @{short}.compensate, "
                'waive it with compensate=None, or say role="local" if no saga uses it.'
            )


def make_step(host: Host, fn: Callable[..., Any], options: StepOptions) -> Any:
    """The step of a function, in the function's colour."""
    kind: Any = AsyncStep if inspect.iscoroutinefunction(fn) else SyncStep
    return kind(host, fn, options)


class OnDecorator(Protocol):
    """What ``troth.step(on=…)`` gives: the function's first parameter is the connection."""

    @overload
    def __call__(self, fn: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> AsyncStep[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, fn: Callable[Concatenate[Any, P], R], /) -> SyncStep[P, R]: ...


class StepDecorator(Protocol):
    """What ``troth.step(…)`` gives without ``on=``."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncStep[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, fn: Callable[P, R], /) -> SyncStep[P, R]: ...


class DefinesSteps:
    """The part of the Troth object that makes steps."""

    @overload
    def step(self: Host, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncStep[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def step(self: Host, fn: Callable[P, R], /) -> SyncStep[P, R]: ...
    @overload
    def step(
        self: Host,
        *,
        on: Database,
        name: str | None = None,
        aliases: tuple[str, ...] = (),
        timeout: float | None = None,
        attempts: int | None = None,
        role: RoleName = "compensable",
        check: Callable[..., Any] | None = None,
        compensate: Callable[..., Any] | Unset | None = UNSET,
        refuse_on: type[BaseException] | tuple[type[BaseException], ...] = (),
        interval: float | None = None,
    ) -> OnDecorator: ...
    @overload
    def step(
        self: Host,
        *,
        on: None = None,
        guarded: bool = False,
        name: str | None = None,
        aliases: tuple[str, ...] = (),
        timeout: float | None = None,
        attempts: int | None = None,
        role: RoleName = "compensable",
        check: Callable[..., Any] | None = None,
        compensate: Callable[..., Any] | Unset | None = UNSET,
        refuse_on: type[BaseException] | tuple[type[BaseException], ...] = (),
        interval: float | None = None,
    ) -> StepDecorator: ...
    def step(self: Host, fn: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Make a function a step; with and without parentheses.

        :param on: the database its effect lives in (`troth.database`): the effect, the row that makes it happen once
            and its result are one local transaction. The function's first parameter is the connection.
        :param guarded: the function is safe to repeat, and safe to compensate without having run.
        :param name: the name it is stored by; default ``module.qualname``.
        :param aliases: names it had before, so that what was stored by them is found.
        :param timeout: seconds one call may take; default 10.
        :param attempts: calls before the decision, the first included; default 3.
        :param role: ``compensable``; ``pivot``: the point of no return; ``retriable``: after it, never refused;
            ``local``: used in no saga.
        :param check: finds out whether it happened; as `Step.check`.
        :param compensate: None: it needs no undoing; or the function, as `Step.compensate`.
        :param refuse_on: exceptions of yours that mean a definite business no, as `Refused` does.
        :param interval: seconds of the first pause between two calls; default 1.
        :raises DefinitionError: naming the step, what is wrong, and the cure.
        """
        made = StepOptions(**options)
        if fn is not None:
            return make_step(self, fn, made)
        return lambda function: make_step(self, function, made)


def spec_of_options(
    name: str, options: StepOptions, what: str, *, sealable: bool, undoable: bool = False, checkable: bool = False
) -> StepSpec:
    """A step as the rules see it.

    :raises DefinitionError: if an option is none; names it.
    """
    if options.role not in Role.__members__.values():
        raise DefinitionError(
            f"{what}: role={options.role!r} is none. Say compensable, pivot, retriable or local (in no saga)."
        )
    attempts = checked_attempts(options.attempts, what)
    timeout = limits.PARTICIPANT_TIMEOUT if options.timeout is None else options.timeout
    interval = limits.RETRY_INTERVAL if options.interval is None else options.interval
    return StepSpec(
        name=name,
        role=Role(options.role),
        guarded=options.guarded or options.on is not None,
        sealable=sealable,
        undoable=undoable,
        checkable=checkable,
        timeout=checked_seconds(timeout, what, "timeout"),
        attempts=attempts,
        interval=checked_seconds(interval, what, "interval"),
        waived=options.compensate is None,
    )


def checked_refusals(given: Any, what: str) -> tuple[type[BaseException], ...]:
    """The exception classes of ``refuse_on=``, one or several.

    :raises DefinitionError: if one is none.
    """
    kinds = given if isinstance(given, tuple) else (given,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise DefinitionError(f"{what}: refuse_on={kind!r} is no exception class. Write refuse_on=(CardDeclined,).")
    return kinds
