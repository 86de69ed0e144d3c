"""``on="default"``: steps on a database by its alias in Django's ``DATABASES``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, overload

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
from troth.ports.database import Database
from troth.ports.errors import DefinitionError

P = ParamSpec("P")
R = TypeVar("R")


class DefinesStepsByAlias(DefinesSteps):
    """The part of Django's Troth object that makes steps."""

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
        if isinstance(options.get("on"), str):
            options["on"] = self.on_alias(options["on"])
        make: Any = DefinesSteps.step
        return make(self, fn, **options)
