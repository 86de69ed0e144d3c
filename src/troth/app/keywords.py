"""The signature of a step that lives elsewhere: it takes any keyword arguments, as one JSON object."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from troth.core import limits
from troth.ports.errors import DefinitionError, PayloadError
from troth.wire.codec import DIGITS, LONG_NUMBER, SORTED_ENCODER, codec_of, unencodable
from troth.wire.codec import inspect as inspect_value
from troth.wire.shapes import Unencodable
from troth.wire.signature import Parameter, Signature

SUSPICIOUS: Final = (b"null", b"NaN", b"Infinity", b"\\u0000")
"""What a value that JSON can't hold may have become."""
PYTHON: Final = inspect.Signature([inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD)])
_decode: Final = msgspec.json.Decoder().decode


class KeywordSignature(Signature):
    """Takes any keywords.

    Arguments needn't come back as they were, for no function of ours gets them: whatever can be encoded is taken.

    :param what: how errors name the step.
    :param result: the result's type; ``Any``: JSON as it comes.
    :raises DefinitionError: if results of that type can't be decoded.
    """

    __slots__ = ()

    def __init__(self, what: str, result: Any) -> None:
        self.what = what
        self.returns = result
        self.python = PYTHON
        self.parameters: Mapping[str, Parameter] = {}
        try:
            self._result = codec_of(result)
        except Unencodable as error:
            raise DefinitionError(f"{what}: result={result!r}: {error.problem}. {error.cure}.") from error

    def taking(self, names: Iterable[str]) -> Mapping[str, Parameter]:
        """The parameters of a use in a graph: those that it names."""
        return {name: Parameter(name, inspect.Parameter.KEYWORD_ONLY, Any, None) for name in names}

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Raw:
        """The arguments as one JSON object.

        :raises TypeError: if one has no name.
        :raises PayloadError: if one can't be encoded; names it.
        """
        if args:
            name = self.what.removeprefix("step ").rpartition(".")[2]
            raise TypeError(f"{self.what}: its arguments are sent by name. Write e.g. {name}(order_id=…)")
        try:
            data = SORTED_ENCODER.encode(kwargs)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise unencodable(kwargs, "", error) from error
        odd = any(mark in data for mark in SUSPICIOUS) or LONG_NUMBER in data.translate(DIGITS)
        if odd or len(data) > limits.PAYLOAD_BYTES:
            inspect_value(kwargs, data, "")
        return Raw(data)

    def same(self, a: Raw, b: Raw) -> bool:
        """Whether two argument objects are equal; False if one can't be read."""
        if bytes(a) == bytes(b):
            return True
        try:
            return bool(_decode(a) == _decode(b))
        except (msgspec.DecodeError, RecursionError):
            return False

    def decode_result(self, raw: Raw | bytes) -> Any:
        """The result.

        :raises PayloadError: if it isn't of the type that was named.
        """
        try:
            return self._result.decode(raw, "result")
        except PayloadError as error:
            problem = f"the answer isn't what result= says ({error})"
            raise PayloadError(f"{self.what}: result", problem, "Name what it answers") from error
