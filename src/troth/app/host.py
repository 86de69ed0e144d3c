"""What definitions need of the object they belong to: a place to be registered at, and someone to run them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from msgspec import Raw

if TYPE_CHECKING:
    from troth.app.graph import Graph
    from troth.app.saga import Saga
    from troth.app.step import Step

Spelling = Literal["own", "aio", "wait"]
"""``own``: as the ``def`` is; ``aio``: what blocks, awaited; ``wait``: what is awaited, blocking."""
Verb = Literal["call", "run", "start"]


class Options(NamedTuple):
    """What one call of a saga may say.

    :param gid: the transaction's id; None: the definition's ``gid=``, else a generated one.
    :param timeout: seconds for its undecided part; None: the definition's.
    """

    gid: str | None = None
    timeout: float | None = None


class Definition(Protocol):
    """A saga or a graph, as whoever runs it sees it."""

    @property
    def name(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def is_async(self) -> bool: ...
    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Raw:
        """The encoded input of a call."""
        ...

    def gid_of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Options) -> str | None:
        """The gid that the call or the definition gives, checked; None if one is to be generated."""
        ...

    def decode_result(self, raw: Raw | bytes) -> Any: ...


class Host(Protocol):
    """The Troth object, as definitions see it.

    Whoever runs a call also judges its spelling: a blocking one inside of a running event loop, or an awaitable one of
    what is awaited anyway, raises at once and names the right one.
    """

    def register_step(self, step: Step[Any, Any]) -> None:
        """Take a step, once it is made.

        :raises DefinitionError: if another function has its name.
        """
        ...

    def register_saga(self, saga: Saga[Any, Any]) -> None: ...
    def register_graph(self, graph: Graph[Any, Any]) -> None: ...
    def invoke_step(
        self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], spelling: Spelling
    ) -> Any:
        """Call a step. Where the spelling (with the step's colour) is awaited, returns an awaitable."""
        ...

    def invoke_saga(
        self,
        definition: Saga[Any, Any] | Graph[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        verb: Verb,
        spelling: Spelling,
        options: Options,
    ) -> Any:
        """Begin a transaction: ``call`` gives its value, ``run`` an `Outcome`, ``start`` a `Handle`.

        Where the spelling (with the definition's colour) is awaited, returns an awaitable of that.
        """
        ...
