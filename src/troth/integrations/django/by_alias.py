"""``on="default"``: steps and TCC classes on a database by its alias in Django's ``DATABASES``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, ParamSpec, TypeVar, overload

from troth.app.step import (
    UNSET,
    AsyncStep,
    DefinesSteps,
    OnDecorator,
    RoleName,
    StepDecorator,
    SyncStep,
    Unset,
)
from troth.app.tcc import DefinesTcc
from troth.app.tcc_shape import FreeDecorator as FreeTcc
from troth.app.tcc_shape import OnDecorator as OnTcc
from troth.ports.database import Database
from troth.ports.errors import DefinitionError

P = ParamSpec("P")
R = TypeVar("R")


class DefinesByAlias(DefinesSteps, DefinesTcc):
    """The part of Django's Troth object that makes steps and TCC classes."""

    def on_alias(self, alias: str) -> Database:
        """The database of an alias; see `DjangoTroth.on_alias`."""
        raise DefinitionError(f"no database {alias!r} is known here")

    @overload
    def step(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncStep[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def step(self, fn: Callable[P, R], /) -> SyncStep[P, R]: ...
    @overload
    def step(
        self,
        *,
        on: Database | str,
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
        self,
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
    def step(self, fn: Callable[..., Any] | None = None, **options: Any) -> Any:
        """As `Troth.step`; ``on=`` may also be an alias of ``DATABASES``: the function gets Django's connection.

        :raises DefinitionError: naming the step, what is wrong, and the cure.
        :raises ConfigurationError: if there is no such alias.
        """
        make: Any = DefinesSteps.step
        return make(self, fn, **self._resolved(options))

    def _resolved(self, options: dict[str, Any]) -> dict[str, Any]:
        on = options.get("on")
        return {**options, "on": self.on_alias(on)} if isinstance(on, str) else options

    @overload
    def tcc(
        self,
        cls: None = None,
        /,
        *,
        on: Database | str,
        guarded: bool = False,
        name: str | None = None,
        aliases: tuple[str, ...] = (),
        timeout: float | None = None,
        attempts: int | None = None,
        interval: float | None = None,
        refuse_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    ) -> OnTcc: ...
    @overload
    def tcc(
        self,
        cls: None = None,
        /,
        *,
        on: None = None,
        guarded: Literal[True],
        name: str | None = None,
        aliases: tuple[str, ...] = (),
        timeout: float | None = None,
        attempts: int | None = None,
        interval: float | None = None,
        refuse_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    ) -> FreeTcc: ...
    def tcc(self, cls: Any = None, /, **options: Any) -> Any:
        """As `Troth.tcc`; ``on=`` may also be an alias of ``DATABASES``.

        :raises DefinitionError: naming the class, what is wrong, and the cure.
        :raises ConfigurationError: if there is no such alias.
        """
        make: Any = DefinesTcc.tcc
        return make(self, cls, **self._resolved(options))
