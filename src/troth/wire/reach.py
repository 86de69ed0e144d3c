"""What lies inside of an annotated value: which members a reference can name, and how they are written."""

from __future__ import annotations

import typing
from typing import Any, NamedTuple, get_args, get_origin

import msgspec
from msgspec import inspect as ms

from troth.wire.codec import PLAIN_ENCODER
from troth.wire.shapes import is_model


class Member(NamedTuple):
    """One member of a value.

    :param key: how it is written: a name, or an index.
    :param annotation: its type, or ``Any``.
    :param default: what it is if it isn't written, encoded; None if it always is.
    """

    key: str | int
    annotation: Any
    default: bytes | None = None


def member(annotation: Any, key: str | int) -> Member | None:
    """A member of a value of this type; None if there is none."""
    if annotation is Any:
        return Member(key, Any)
    named = fields_of(annotation)
    if named is not None:
        return named.get(key) if isinstance(key, str) else None
    origin, args = get_origin(annotation) or annotation, get_args(annotation)
    if origin is dict and isinstance(key, str):
        return Member(key, args[1] if args else Any)
    if origin is list and isinstance(key, int):
        return Member(key, args[0] if args else Any)
    if origin is tuple and isinstance(key, int):
        return _of_tuple(args, key)
    return None


def fields_of(annotation: Any) -> dict[str, Member] | None:
    """The members of a type that has named ones, else None. Of an Optional, those of what it may be."""
    annotation = _unwrapped(annotation)
    if is_model(annotation):
        return {name: Member(name, field.annotation or Any) for name, field in annotation.model_fields.items()}
    try:
        info: Any = ms.type_info(annotation)
    except TypeError:
        return None
    if isinstance(info, ms.NamedTupleType):
        hints = _hints(info.cls)
        return {field.name: Member(n, hints.get(field.name, Any)) for n, field in enumerate(info.fields)}
    if not isinstance(info, (ms.StructType, ms.DataclassType, ms.TypedDictType)) or getattr(info, "array_like", False):
        return None
    hints = _hints(info.cls)
    return {field.name: Member(field.encode_name, hints.get(field.name, Any), _default(field)) for field in info.fields}


def _of_tuple(args: tuple[Any, ...], key: int) -> Member | None:
    if not args:
        return Member(key, Any)
    if len(args) == 2 and args[1] is Ellipsis:
        return Member(key, args[0])
    return Member(key, args[key]) if -len(args) <= key < len(args) else None


def _unwrapped(annotation: Any) -> Any:
    """Without Annotated, and without None if that leaves one type."""
    if get_origin(annotation) is typing.Annotated:
        return _unwrapped(get_args(annotation)[0])
    rest = [arg for arg in get_args(annotation) if arg is not type(None)]
    if type(None) in get_args(annotation) and len(rest) == 1:
        return _unwrapped(rest[0])
    return annotation


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError):
        return {}


def _default(field: ms.Field) -> bytes | None:
    if field.default is not msgspec.NODEFAULT:
        return PLAIN_ENCODER.encode(field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return PLAIN_ENCODER.encode(field.default_factory())
    return None
