"""A function's parameters and result on the wire: one JSON object by parameter name, made and read fast."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from troth.core.quick import made
from troth.core.reply import NULL
from troth.ports.errors import DefinitionError, PayloadError
from troth.wire.codec import Codec, codec_of
from troth.wire.shapes import Unencodable, bounded

NO_KWARGS: Final[dict[str, Any]] = {}
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


astuple = msgspec.structs.astuple


class Arguments(NamedTuple):
    """What a function is called with, decoded: ``fn(*args, **kwargs)``."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Parameter(NamedTuple):
    """One parameter of a function as the wire knows it.

    :param annotation: its type, or ``Any`` if it has none.
    :param default: its encoded default, or None if it must be given.
    """

    name: str
    kind: Any
    annotation: Any
    default: Raw | None


class Signature:
    """How a function is called over the wire. Made once per function by `of`.

    :ivar what: how errors name the function, e.g. ``step shop.reserve``.
    :ivar parameters: by name, in order; without the connection.
    :ivar returns: the result's annotation, or ``Any``.
    :ivar python: as `inspect` has it; without the connection.
    """

    __slots__ = ("_codec", "_positional", "_result", "_simple", "_struct", "parameters", "python", "returns", "what")

    def __init__(self, what: str, parameters: list[Parameter], returns: Any, python: inspect.Signature) -> None:
        self.what = what
        self.parameters: Mapping[str, Parameter] = {each.name: each for each in parameters}
        self.returns = returns
        self.python = python
        self._positional = sum(each.kind in _POSITIONAL for each in parameters)
        self._simple = all(each.kind is not inspect.Parameter.POSITIONAL_ONLY for each in parameters)
        self._struct = _struct(parameters)
        try:
            self._codec = Codec(self._struct)
        except (Unencodable, TypeError) as error:
            raise DefinitionError(f"{what}: its parameters can't be encoded: {error}") from error
        self._result = _codec(returns, f"{what}: its result")

    @classmethod
    def of(cls, fn: Callable[..., Any], skip_first: bool, what: str) -> Signature:
        """The signature of a function.

        :param skip_first: its first parameter is a connection, which doesn't travel.
        :param what: how errors name it, e.g. ``step shop.reserve``.
        :raises DefinitionError: if a parameter or the result can't travel; names it and the cure.
        """
        python = inspect.signature(fn)
        given = list(python.parameters.values())
        if skip_first:
            if not given or given[0].kind not in _POSITIONAL:
                raise DefinitionError(f"{what}: with on= its first parameter is the connection. Add one, e.g. `db`.")
            given = given[1:]
        parameters = [_parameter(fn, each, what) for each in given]
        returns = annotation_of(fn, "return", python.return_annotation, f"{what}: its result")
        if returns in (typing.NoReturn, typing.Never):
            returns = None
        return cls(what, parameters, returns, python.replace(parameters=given))

    def taking(self, names: Iterable[str]) -> Mapping[str, Parameter]:
        """The parameters of a use that gives arguments of those names: all there are."""
        return self.parameters

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Raw:
        """The arguments of a call as one JSON object by parameter name, defaults applied.

        :raises TypeError: if the function can't be called so.
        :raises PayloadError: if a value can't be encoded or isn't what its annotation says; names the field.
        """
        if self._simple or not kwargs:
            try:
                bound = self._struct(*args, **kwargs)
            except TypeError:
                bound = self._bind_slowly(args, kwargs)
        else:
            bound = self._bind_slowly(args, kwargs)
        return self._codec.encode(bound)

    def load(self, raw: Raw | bytes) -> Arguments:
        """What to call the function with.

        :raises PayloadError: if the object isn't what the parameters are (any more).
        """
        values = astuple(self._codec.decode(raw))
        cut = self._positional
        if len(values) == cut:
            arguments: Arguments = made(Arguments, (values, NO_KWARGS))
            return arguments
        return Arguments(values[:cut], dict(zip(self._struct.__struct_fields__[cut:], values[cut:], strict=True)))

    def values(self, raw: Raw | bytes) -> dict[str, Any]:
        """The decoded arguments by parameter name.

        :raises PayloadError: as `load`.
        """
        return msgspec.structs.asdict(self._codec.decode(raw))

    def same(self, a: Raw, b: Raw) -> bool:
        """Whether two argument objects are equal, as today's annotations read them; False if one can't be read."""
        return self._codec.same(a, b)

    def encode_result(self, value: Any) -> Raw:
        """The function's result as JSON.

        :raises PayloadError: if it can't be encoded or isn't what the annotation says; names the field.
        """
        if value is None and self.returns in (None, Any):
            return NULL
        return self._result.encode(value, "result")

    def decode_result(self, raw: Raw | bytes) -> Any:
        """The result that was encoded.

        :raises PayloadError: if it isn't what the annotation says (any more).
        """
        return self._result.decode(raw, "result")

    def _bind_slowly(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Binds as Python does, for its error, and for what the fast way can't."""
        try:
            bound = self.python.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.what}: {error}") from None
        bound.apply_defaults()
        return self._struct(**bound.arguments)


def _struct(parameters: list[Parameter]) -> Any:
    """A Struct whose constructor binds as the function does: keyword-only parameters stand in a base of their own."""
    named = [_field(each) for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    placed = [_field(each) for each in parameters if each.kind in _POSITIONAL]
    base = msgspec.defstruct("Named", named, kw_only=True) if named else msgspec.Struct
    return msgspec.defstruct("Arguments", placed, bases=(base,), forbid_unknown_fields=True)


def _field(parameter: Parameter) -> Any:
    kind = bounded(parameter.annotation)
    if parameter.default is None:
        return (parameter.name, kind)
    codec, default = codec_of(parameter.annotation), parameter.default
    return (parameter.name, kind, msgspec.field(default_factory=lambda: codec.decode(default)))


def _parameter(fn: Callable[..., Any], given: inspect.Parameter, what: str) -> Parameter:
    whose = f"{what}: parameter {given.name}"
    if given.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        stars = "*" if given.kind is inspect.Parameter.VAR_POSITIONAL else "**"
        raise DefinitionError(
            f"{what}: {stars}{given.name} can't travel, because its names aren't known. "
            f"Name each parameter, or take one {'list' if stars == '*' else 'dict'}."
        )
    annotation = annotation_of(fn, given.name, given.annotation, whose)
    codec = _codec(annotation, whose)
    if given.default is inspect.Parameter.empty:
        return Parameter(given.name, given.kind, annotation, None)
    if given.default is None and not codec.shape.nullable:
        annotation = annotation | None if isinstance(annotation, type) else typing.Optional[annotation]  # noqa: UP045
        codec = _codec(annotation, whose)
    try:
        return Parameter(given.name, given.kind, annotation, codec.encode(given.default, given.name))
    except PayloadError as error:
        raise DefinitionError(f"{whose}: its default can't be encoded: {error}. Give another default.") from error


def _codec(annotation: Any, whose: str) -> Codec:
    try:
        return codec_of(annotation)
    except Unencodable as error:
        raise DefinitionError(f"{whose}: {error.problem}. {error.cure}.") from error


def annotation_of(fn: Callable[..., Any], name: str, given: Any, whose: str) -> Any:
    """An annotation as a type; one written as text is looked up in the function's module, and where it was defined.

    :param name: the parameter's name, or ``return``.
    :param whose: how errors call it.
    :raises DefinitionError: if it can't be found.
    """
    if given is inspect.Signature.empty:
        return Any
    inner = inspect.unwrap(fn)
    shim = types.SimpleNamespace(__annotations__={name: given})
    try:
        scope = _defining_scope(inner) if "<locals>" in getattr(inner, "__qualname__", "") else None
        return typing.get_type_hints(shim, getattr(inner, "__globals__", {}), scope, include_extras=True)[name]
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise DefinitionError(
            f"{whose}: its annotation {given!r} can't be resolved ({error}). "
            "Import or define the type, at run time and above it."
        ) from error


def _defining_scope(inner: Any) -> dict[str, Any]:
    """The local names of the running function whose body defines the given one."""
    outer = inner.__qualname__.split(".")[:-2]
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and (frame.f_globals is not inner.__globals__ or frame.f_code.co_name not in outer):
        frame = frame.f_back
    return dict(frame.f_locals) if frame is not None else {}
