"""What a TCC class looks like to a type checker: its methods' colours, its connection, what its try returns.

A class decorator can't change how mypy sees a class, so a decorated class stays the class it is, and whoever takes one
(``tx(Stock)``, ``Stock.branch(…)``) looks at its methods.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

P = ParamSpec("P")
H = TypeVar("H")
S_co = TypeVar("S_co", covariant=True)


class SyncOn(Protocol[P, H]):
    """Plain methods on a database: the connection comes first."""

    @property
    def try_(self) -> Callable[Concatenate[Any, P], H]: ...
    @property
    def confirm(self) -> Callable[[Any, H], object]: ...
    @property
    def cancel(self) -> Callable[[Any, H | None], object]: ...


class AsyncOn(Protocol[P, H]):
    """Async methods on a database."""

    @property
    def try_(self) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, H]]: ...
    @property
    def confirm(self) -> Callable[[Any, H], Coroutine[Any, Any, object]]: ...
    @property
    def cancel(self) -> Callable[[Any, H | None], Coroutine[Any, Any, object]]: ...


class SyncFree(Protocol[P, H]):
    """Plain methods without a connection (``guarded=True``)."""

    @property
    def try_(self) -> Callable[P, H]: ...
    @property
    def confirm(self) -> Callable[[H], object]: ...
    @property
    def cancel(self) -> Callable[[H | None], object]: ...


class AsyncFree(Protocol[P, H]):
    """Async methods without a connection (``guarded=True``)."""

    @property
    def try_(self) -> Callable[P, Coroutine[Any, Any, H]]: ...
    @property
    def confirm(self) -> Callable[[H], Coroutine[Any, Any, object]]: ...
    @property
    def cancel(self) -> Callable[[H | None], Coroutine[Any, Any, object]]: ...


class OnDecorator(Protocol):
    """What ``troth.tcc(on=…)`` gives. The class comes back as it is."""

    @overload
    def __call__(self, cls: type[AsyncOn[P, H]], /) -> type[AsyncOn[P, H]]: ...
    @overload
    def __call__(self, cls: type[SyncOn[P, H]], /) -> type[SyncOn[P, H]]: ...


class FreeDecorator(Protocol):
    """What ``troth.tcc(guarded=True)`` gives. The class comes back as it is."""

    @overload
    def __call__(self, cls: type[AsyncFree[P, H]], /) -> type[AsyncFree[P, H]]: ...
    @overload
    def __call__(self, cls: type[SyncFree[P, H]], /) -> type[SyncFree[P, H]]: ...
