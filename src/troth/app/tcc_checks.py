"""Checking a TCC class when it is made: its three methods, their parameters, their one colour."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any, Final, Optional

from troth.ports.errors import DefinitionError
from troth.wire.signature import Signature, annotation_of

METHODS: Final = ("try_", "confirm", "cancel")
DUTY: Final = {
    "try_": "def try_(self, {db}…) reserves and returns the hold",
    "confirm": "def confirm(self, {db}hold) makes the reserved real",
    "cancel": "def cancel(self, {db}hold) gives the reserved back; its hold is None where the try left none",
}


def methods_of(cls: type, on: bool, what: str) -> dict[str, Callable[..., Any]]:
    """The three functions, each with ``self`` as its first parameter.

    :param on: the class is on a database: the connection comes after ``self``.
    :raises DefinitionError: naming the method, what is wrong, and the cure.
    """
    found: dict[str, Callable[..., Any]] = {}
    for name in METHODS:
        given = inspect.getattr_static(cls, name, None)
        duty = DUTY[name].format(db="db, " if on else "")
        if given is None:
            raise DefinitionError(f"{what}: it has no {name}. Add it: {duty}.")
        if not inspect.isfunction(given) or given.__name__ == "<lambda>":
            kind = "a lambda" if inspect.isfunction(given) else f"a {type(given).__name__}"
            raise DefinitionError(f"{what}: {name} is {kind}. Make it a plain method: {duty}.")
        if inspect.isgeneratorfunction(given) or inspect.isasyncgenfunction(given):
            raise DefinitionError(f"{what}: {name} is a generator. Return the values as a list.")
        parameters = list(inspect.signature(given).parameters)
        if parameters[:1] != ["self"]:
            raise DefinitionError(f"{what}: {name}'s first parameter is not self. Write: {duty}.")
        found[name] = given
    return found


def colour_of(methods: dict[str, Callable[..., Any]], what: str) -> bool:
    """Are the methods async? All or none.

    :raises DefinitionError: if they are mixed.
    """
    is_async = {name: inspect.iscoroutinefunction(method) for name, method in methods.items()}
    if len(set(is_async.values())) > 1:
        listed = ", ".join(f"{name} is {'async' if awaited else 'plain'}" for name, awaited in is_async.items())
        raise DefinitionError(f"{what}: {listed}. A class has one colour: make all three def, or all three async def.")
    return is_async["try_"]


def check_instance(cls: type, what: str) -> None:
    """Raise unless the class can be made without arguments: each call gets an object of its own."""
    try:
        inspect.signature(cls).bind()
    except TypeError as error:
        raise DefinitionError(
            f"{what}: its __init__ needs arguments ({error}), but each call makes a new object, in any process. "
            "Give them defaults, or keep what it needs at the module's level."
        ) from None
    except ValueError:  # a class without a signature takes none
        return


def signature_of(try_: Callable[..., Any], on: bool, what: str) -> Signature:
    """How the try is called over the wire.

    :raises DefinitionError: if a parameter or the hold can't travel.
    """
    return Signature.of(types.MethodType(try_, object()), on, f"{what}: try_")


def check_ending(name: str, method: Callable[..., Any], try_: Signature, on: bool, what: str) -> None:
    """Raise unless a confirm or cancel takes what its try returns, and nothing else.

    :param name: ``confirm`` or ``cancel``.
    :raises DefinitionError: naming the parameters that are wrong.
    """
    duty = DUTY[name].format(db="db, " if on else "")
    parameters = list(inspect.signature(method).parameters.values())[1:]
    given = ", ".join(each.name for each in parameters) or "nothing"
    wanted = ["db", "hold"] if on else ["hold"]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) != len(wanted) or any(each.kind not in positional for each in parameters):
        raise DefinitionError(
            f"{what}: {name} takes {given}; it is called with {' and '.join(wanted)}. Write: {duty}; "
            "what else it needs, have try_ return it."
        )
    hold = parameters[-1]
    own = annotation_of(method, hold.name, hold.annotation, f"{what}: {name}: parameter {hold.name}")
    returned: Any = try_.returns
    optional: Any = Optional[returned]  # noqa: UP045 - any annotation, also one without `|`
    if own is Any or own == optional or (own == returned and name == "confirm"):
        return
    if own == returned:
        raise DefinitionError(
            f"{what}: cancel's {hold.name} may be None, where nobody knows whether the try ran. "
            f"Annotate it so: {hold.name}: {_text(own)} | None."
        )
    cure = _text(optional if name == "cancel" else try_.returns)
    raise DefinitionError(
        f"{what}: {name}'s {hold.name} is annotated {_text(own)}, but try_ returns {_text(try_.returns)}. "
        f"Annotate it {cure}, or have try_ say what it returns."
    )


def _text(annotation: Any) -> str:
    if annotation is Any:
        return "Any (no annotation)"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
