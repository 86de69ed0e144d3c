"""Functions that belong to a step: its compensation and its check. They take the step's own parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Optional

from msgspec import Raw

from troth.app.naming import source_of
from troth.core.reply import NULL
from troth.ports.errors import DefinitionError
from troth.wire.signature import Arguments, Signature, annotation_of

RESULT = "result"
"""The parameter of a compensation that gets the action's result."""


class Attached:
    """A compensation or a check.

    :ivar fn: the raw function.
    :ivar what: how errors call it, e.g. ``step shop.reserve: compensation release``.
    :ivar wants_result: it has a parameter ``result`` that the step hasn't.
    """

    __slots__ = ("_keywords", "_positions", "fn", "is_async", "signature", "wants_result", "what")

    def __init__(self, fn: Callable[..., Any], signature: Signature, on: bool, kind: str) -> None:
        """Check the function against the step's signature.

        :param on: its first parameter is the connection.
        :param kind: ``compensation`` or ``check``.
        :raises DefinitionError: naming the step, the parameter and the cure.
        """
        source_of(fn, f"{signature.what}: {kind}")
        self.what = f"{signature.what}: {kind} {fn.__name__}"
        self.fn = fn
        self.signature = signature
        self.is_async = inspect.iscoroutinefunction(fn)
        parameters = list(inspect.signature(fn).parameters.values())
        if on:
            parameters = self._without_connection(parameters)
        names = [each.name for each in parameters]
        self.wants_result = kind == "compensation" and RESULT in names and RESULT not in signature.parameters
        self._compare(parameters)
        self._positions = [each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_ONLY]
        self._keywords = [name for name in names if name not in self._positions]

    def load(self, args: Raw | bytes, result: Raw | bytes | None) -> Arguments:
        """What to call the function with (after the connection).

        :param args: the action's encoded arguments.
        :param result: the action's encoded result, or None where nobody knows it.
        :raises PayloadError: if they aren't what the step's annotations say (any more).
        """
        values = self.signature.values(args)
        if self.wants_result:
            values[RESULT] = None
            if result is not None and result != NULL:  # a branch that gave up has none, whatever its type
                values[RESULT] = self.signature.decode_result(result)
        return Arguments(
            tuple([values[name] for name in self._positions]), {name: values[name] for name in self._keywords}
        )

    def _without_connection(self, parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
        if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            raise DefinitionError(f"{self.what}: with on= its first parameter is the connection. Add one, e.g. `db`.")
        return parameters[1:]

    def _compare(self, parameters: list[inspect.Parameter]) -> None:
        """The same parameters as the step's, with the same annotations or none."""
        expected = self.signature.parameters
        given = {each.name: each for each in parameters}
        takes = ", ".join(expected) or "none"
        for name in given:
            if name not in expected and not (name == RESULT and self.wants_result):
                raise DefinitionError(
                    f"{self.what}: the step has no parameter {name}; it has {takes}. Take the same parameters."
                )
        for name, parameter in expected.items():
            if name not in given:
                raise DefinitionError(
                    f"{self.what}: parameter {name} of the step is missing. Take the same parameters."
                )
            own = annotation_of(self.fn, name, given[name].annotation, f"{self.what}: parameter {name}")
            if own not in (Any, parameter.annotation) and Optional[own] != parameter.annotation:  # noqa: UP045
                raise DefinitionError(
                    f"{self.what}: parameter {name} is annotated {own}, in the step it is "
                    f"{parameter.annotation}. Annotate both alike."
                )
