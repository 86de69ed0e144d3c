"""How a try is spelled: ``tx(Stock).try_("book", 1)``, or ``.aio`` to await it; an async class's is awaited, or ``.wait``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from msgspec import Raw

from troth.app.current import in_loop
from troth.app.tcc_form import TccForm, form_of
from troth.app.tcc_shape import AsyncFree, AsyncOn, SyncFree, SyncOn
from troth.app.tcc_tries import TryCall, Waited, ask_awaited, ask_blocking
from troth.app.verbs import Awaits
from troth.engine.node import Node
from troth.engine.waited import Answered
from troth.ports.errors import DefinitionError, WrongColour

P = ParamSpec("P")
H = TypeVar("H")


class Caller(Protocol):
    """Where tries are called from: a block, or a try."""

    def spelled(self, form: TccForm) -> str:
        """How its code calls the class, e.g. ``tx(Stock)``."""
        ...

    def ready(self, form: TccForm) -> Node:
        """The node that drives the transaction; raises if the class can't be called now."""
        ...

    def host(self) -> Waited:
        """On the loop's thread: the transaction's host."""
        ...

    def call(self, host: Waited, form: TccForm, args: Raw, answered: Answered) -> int:
        """On the loop's thread: register a branch."""
        ...


class Try:
    """One class's try, called from somewhere."""

    def __init__(self, caller: Caller, form: TccForm) -> None:
        self._caller = caller
        self._form = form

    def _blocking(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        form, caller = self._form, self._caller
        if in_loop():
            right = f"await {caller.spelled(form)}.try_" + ("" if form.is_async else ".aio") + "(…)"
            raise WrongColour(f"{form.what}: its try would block the event loop that runs here. Write: {right}")
        raw = form.bind(args, kwargs)
        node = caller.ready(form)
        return form.decode_hold(ask_blocking(node, caller.host, self._call(raw)))

    def _awaited(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TryCall[Any]:
        form, caller = self._form, self._caller
        if not in_loop():
            right = f"{caller.spelled(form)}.try_" + (".wait" if form.is_async else "") + "(…)"
            raise WrongColour(f"{form.what}: its try is awaited here, and no event loop runs. Write: {right}")
        raw = form.bind(args, kwargs)
        return ask_awaited(caller.ready(form), caller.host, self._call(raw), form.decode_hold)

    def _call(self, raw: Raw) -> Callable[[Waited, Answered], int]:
        form, caller = self._form, self._caller
        return lambda host, answered: caller.call(host, form, raw, answered)


class SyncTry(Try, Generic[P, H]):
    """The try of a class with plain methods."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> H:
        """Register the branch, durably, then reserve; returns the hold.

        :raises Refused: a definite no; the transaction can only be cancelled now.
        :raises StepFailed: it gave no answer that counts; the transaction can only be cancelled now.
        :raises Cancelled: it was cancelled before: by another try, its deadline, or its caller.
        """
        hold: H = self._blocking(args, kwargs)
        return hold

    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Awaits[H]:
        """The awaitable spelling."""
        return self._awaited(args, kwargs)

    if not TYPE_CHECKING:

        @property
        def wait(self) -> Any:
            spelled = self._caller.spelled(self._form)
            raise DefinitionError(f"{self._form.what} blocks already: call {spelled}.try_(…), or await {spelled}.try_.aio(…).")


class AsyncTry(Try, Generic[P, H]):
    """The try of a class with async methods."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaits[H]:
        """As `SyncTry.__call__`, awaited. The branch is registered now, in call order; it is made even if it is never awaited."""
        return self._awaited(args, kwargs)

    def wait(self, *args: P.args, **kwargs: P.kwargs) -> H:
        """The blocking spelling."""
        hold: H = self._blocking(args, kwargs)
        return hold

    if not TYPE_CHECKING:

        @property
        def aio(self) -> Any:
            spelled = self._caller.spelled(self._form)
            raise DefinitionError(f"{self._form.what} is awaited already: await {spelled}.try_(…), or call {spelled}.try_.wait(…).")


class SyncPart(Generic[P, H]):
    """A class with plain methods, inside one transaction.

    :ivar try_: its try, with the parameters of its ``try_`` (without the connection).
    """

    def __init__(self, try_: SyncTry[P, H]) -> None:
        self.try_ = try_


class AsyncPart(Generic[P, H]):
    """A class with async methods, inside one transaction.

    :ivar try_: its try, awaited.
    """

    def __init__(self, try_: AsyncTry[P, H]) -> None:
        self.try_ = try_


class CallsTries:
    """What is called with a class and gives its try: ``tx(Stock).try_(…)``."""

    @overload
    def __call__(self: Caller, what: type[AsyncOn[P, H]], /) -> AsyncPart[P, H]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self: Caller, what: type[AsyncFree[P, H]], /) -> AsyncPart[P, H]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self: Caller, what: type[SyncOn[P, H]], /) -> SyncPart[P, H]: ...
    @overload
    def __call__(self: Caller, what: type[SyncFree[P, H]], /) -> SyncPart[P, H]: ...
    @overload
    def __call__(self: Caller, what: TccForm, /) -> SyncPart[..., Any]: ...
    def __call__(self: Caller, what: Any, /) -> Any:
        """Call a participant within this transaction.

        :param what: the TCC class, or a remote one.
        :raises DefinitionError: if it is none.
        """
        return part_of(self, form_of(what))


def part_of(caller: Caller, form: TccForm) -> Any:
    """The class as called from there, in its colour."""
    if form.is_async:
        return AsyncPart(AsyncTry[Any, Any](caller, form))
    return SyncPart(SyncTry[Any, Any](caller, form))

