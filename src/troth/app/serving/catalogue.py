"""What a Troth object offers to others, and what it keeps to itself and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from troth.app.serving.served import ServedStep, ServedTcc, short_name, withheld
from troth.app.step import Step
from troth.app.tcc import TccClass
from troth.core import limits
from troth.participant.serving import NotServed
from troth.wire.http import STEPS, TCC

Definition = Step[Any, Any] | TccClass
Served = ServedStep | ServedTcc
OWN: Final = (Step, TccClass)
NOUN: Final = {STEPS: "step", TCC: "TCC class"}


class Holder(Protocol):
    """The Troth object, as a catalogue sees it."""

    steps: Any
    tcc_classes: Any
    no_retry: tuple[type[BaseException], ...]


class TrothCatalogue:
    """The `troth.participant.serving.Catalogue` of a Troth object. Definitions made later are seen too."""

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        self._served: dict[str, Served] = {}

    def find(self, kind: str, name: str) -> Served | NotServed:
        """What is served by that name, alias, or short name that only one has; else why nothing is."""
        found = self._named(kind, name)
        if isinstance(found, NotServed):
            return found
        why = withheld(found)
        if why:
            return NotServed(f"{found.what} is not served: {why}")
        return self._participant(found)

    def described(self) -> Mapping[str, Any]:
        """What is served and how it can be asked; what isn't, and why."""
        served: dict[str, list[dict[str, Any]]] = {STEPS: [], TCC: []}
        withholding = []
        for kind, offers in served.items():
            for each in self._own(kind):
                why = withheld(each)
                if why:
                    withholding.append({"name": each.name, "reason": why})
                    continue
                ops = sorted(self._participant(each).ops)
                parameters = list(each.signature.parameters)
                offers.append({"name": each.name, "path": f"{kind}/{each.name}", "ops": ops, "parameters": parameters})
        return {**served, "not_served": withholding}

    def _own(self, kind: str) -> list[Definition]:
        """What is defined here, by name; others' services are not passed on."""
        every: Iterable[Any] = self.holder.steps if kind == STEPS else self.holder.tcc_classes
        return sorted((each for each in every if isinstance(each, OWN)), key=lambda each: each.name)

    def _participant(self, definition: Definition) -> Served:
        found = self._served.get(definition.name)
        if found is None or found.definition is not definition or found.spec is not definition.spec:  # since then changed
            made = ServedTcc if isinstance(definition, TccClass) else ServedStep
            found = self._served[definition.name] = made(definition, self.holder.no_retry)  # type: ignore[arg-type]
        return found

    def _named(self, kind: str, name: str) -> Definition | NotServed:
        every = self.holder.steps if kind == STEPS else self.holder.tcc_classes
        found = every.find(name)
        if isinstance(found, OWN):
            return found
        own = self._own(kind)
        short = [each for each in own if short_name(each) == name and not withheld(each)]
        if len(short) == 1:
            return short[0]
        if short:
            return NotServed(f"{name} could be {_listed(short)}. Name one of them in full")
        return NotServed(f"no {NOUN[kind]} {name[: limits.NAME_LENGTH]!r} is served here. Served: {_listed(own)}")


def _listed(definitions: Iterable[Definition]) -> str:
    """Names of what is served, at most twenty."""
    names = [each.name for each in definitions if not withheld(each)]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return (", ".join(names[:20]) + more) if names else "nothing"
