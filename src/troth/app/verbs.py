"""What can be done with a saga or a graph: call it, run it, start it; blocking or awaited, with or without options."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from troth.app.host import Host, Options, Spelling, Verb
from troth.app.naming import checked_gid, checked_seconds
from troth.app.outcome import Handle, Outcome
from troth.ports.errors import DefinitionError

P = ParamSpec("P")
R = TypeVar("R")
Awaits = Coroutine[object, object, R]
"""What an awaited call returns: ``object`` where ``async def`` says ``Any``, so that ``gather`` keeps the types."""


class Verbs:
    """One spelling of one definition, with the options of its calls."""

    def __init__(self, host: Host, definition: Any, spelling: Spelling, options: Options) -> None:
        self._host = host
        self._definition = definition
        self._spelling: Spelling = spelling
        self._options = options

    def _invoke(self, verb: Verb, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._host.invoke_saga(self._definition, args, kwargs, verb, self._spelling, self._options)


class Blocking(Verbs, Generic[P, R]):
    """The verbs that wait."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it to its end and return its value.

        :raises Cancelled: if it was cancelled.
        :raises NeedsAttention: if it needs a person.
        """
        value: R = self._invoke("call", args, kwargs)
        return value

    def run(self, *args: P.args, **kwargs: P.kwargs) -> Outcome[R]:
        """Run it to its end and say what became of it; a business no is not raised."""
        outcome: Outcome[R] = self._invoke("run", args, kwargs)
        return outcome

    def start(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Begin it, durably, and don't wait for it."""
        handle: Handle[R] = self._invoke("start", args, kwargs)
        return handle


class Awaited(Verbs, Generic[P, R]):
    """The verbs that are awaited. Cancelling the await stops waiting, never the transaction."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaits[R]:
        """As `Blocking.__call__`."""
        value: Awaits[R] = self._invoke("call", args, kwargs)
        return value

    def run(self, *args: P.args, **kwargs: P.kwargs) -> Awaits[Outcome[R]]:
        """As `Blocking.run`."""
        outcome: Awaits[Outcome[R]] = self._invoke("run", args, kwargs)
        return outcome

    def start(self, *args: P.args, **kwargs: P.kwargs) -> Awaits[Handle[R]]:
        """As `Blocking.start`."""
        handle: Awaits[Handle[R]] = self._invoke("start", args, kwargs)
        return handle


class BlockingForm(Blocking[P, R]):
    """What blocks by itself, with its awaitable spelling."""

    @cached_property
    def aio(self) -> Awaited[P, R]:
        """The awaitable spelling: ``await place.aio(order)``, ``.aio.run(…)``, ``.aio.start(…)``."""
        return Awaited(self._host, self._definition, "aio", self._options)

    def options(self, *, gid: str | None = None, timeout: float | None = None) -> BlockingForm[P, R]:
        """The same with options: ``place.options(gid="order-1").run(order)``.

        :param gid: the transaction's id, 1 to 128 of ``A-Za-z0-9._:-``; the same again is the same transaction.
        :param timeout: seconds for the undecided part of the transaction.
        :raises PayloadError: if the gid is none.
        :raises LimitExceeded: if it is too long.
        """
        made = _merged(self._options, self._definition.what, gid, timeout)
        return BlockingForm(self._host, self._definition, self._spelling, made)

    if not TYPE_CHECKING:

        @property
        def wait(self) -> Any:
            raise DefinitionError(f"{self._definition.what} blocks already: call it, or await its .aio(…).")


class AwaitedForm(Awaited[P, R]):
    """What is awaited by itself, with its blocking spelling."""

    @property
    def wait(self) -> Blocking[P, R]:
        """The blocking spelling: ``place.wait(order)``, ``.wait.run(…)``, ``.wait.start(…)``."""
        return Blocking(self._host, self._definition, "wait", self._options)

    def options(self, *, gid: str | None = None, timeout: float | None = None) -> AwaitedForm[P, R]:
        """As `BlockingForm.options`."""
        made = _merged(self._options, self._definition.what, gid, timeout)
        return AwaitedForm(self._host, self._definition, self._spelling, made)

    if not TYPE_CHECKING:

        @property
        def aio(self) -> Any:
            raise DefinitionError(f"{self._definition.what} is awaited already: await it, or call its .wait(…).")


def _merged(options: Options, what: str, gid: str | None, timeout: float | None) -> Options:
    """Options over options: what is not given stays."""
    return Options(
        options.gid if gid is None else checked_gid(gid),
        options.timeout if timeout is None else checked_seconds(timeout, what, "timeout"),
    )
