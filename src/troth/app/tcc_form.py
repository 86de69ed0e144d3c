"""What blocks, declared transactions and nested calls need of a TCC class, whether it is ours or served elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec
from msgspec import Raw

from troth.core.plan import StepSpec
from troth.engine.participants import Participant
from troth.ports.errors import DefinitionError

FORM = "__troth_tcc__"
"""Where a decorated class keeps its definition; only its own counts, not one that it inherits."""


@runtime_checkable
class TccForm(Protocol):
    """One TCC class as its callers see it. `troth.app.tcc.TccClass` is the one of a class in this process."""

    @property
    def name(self) -> str:
        """The name it is stored by."""
        ...

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names it had before."""
        ...

    @property
    def source(self) -> tuple[str, str]:
        """(module, qualified name) of its code: the same again replaces."""
        ...

    @property
    def what(self) -> str:
        """How errors call it, e.g. ``tcc class shop.Stock``."""
        ...

    @property
    def short(self) -> str:
        """How code calls it, e.g. ``Stock``."""
        ...

    @property
    def is_async(self) -> bool:
        """Its tries are awaited (unless ``.wait``); else they block (unless ``.aio``)."""
        ...

    @property
    def spec(self) -> StepSpec:
        """It as the rules see it."""
        ...

    @property
    def participant(self) -> Participant:
        """It as the engine sees it."""
        ...

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Raw:
        """The encoded arguments of a try: one JSON object by parameter name.

        :raises TypeError: if its try can't be called so.
        :raises PayloadError: if a value can't be encoded.
        """
        ...

    def decode_hold(self, raw: Raw | bytes) -> Any:
        """What its try returned."""
        ...


class Branch(msgspec.Struct, frozen=True):
    """A try that is declared and not made yet: what ``Stock.branch(…)`` gives and ``run_tcc`` takes.

    :param args: the encoded arguments of the try.
    """

    form: Any
    args: Raw

    @classmethod
    def of(cls, form: TccForm, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Branch:
        """Encode the arguments."""
        return cls(form, form.bind(args, kwargs))

    def __repr__(self) -> str:
        return f"<branch of {self.form.name}>"


def form_of(given: Any) -> TccForm:
    """The definition of what a caller names.

    :raises DefinitionError: if it is no TCC class.
    """
    found = vars(given).get(FORM) if isinstance(given, type) else given
    if isinstance(found, TccForm):
        return found
    if isinstance(given, type):
        if hasattr(given, FORM):
            raise DefinitionError(
                f"{given.__qualname__} inherits from a TCC class, but is none itself. Decorate it too: @troth.tcc(on=…)."
            )
        raise DefinitionError(f"{given.__qualname__} is no TCC class. Decorate it: @troth.tcc(on=…).")
    raise DefinitionError(f"{given!r} is no TCC class. Pass the class that @troth.tcc(on=…) decorates.")
