"""Values without annotation: only those that JSON gives back as they were are taken.

A predicate is compiled per annotation, so that the usual answer (all is well) is cheap; where it says no, the value is
looked for again slowly, for its path.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from msgspec import inspect as ms

from troth.wire.faults import DEPTH, Fault, join
from troth.wire.shapes import below

Clean = Callable[[Any], bool]
"""Whether everything without annotation below a value can come back as it was."""

CURE: Final = "Without annotation only None, bool, int, float, str, list and dict with str keys can pass; annotate it"
SCALARS: Final = frozenset({str, int, bool, float, type(None)})


def clean_of(info: ms.Type, known: dict[type, Clean] | None = None) -> Clean | None:
    """The predicate of a type; None if everything below it is annotated."""
    known = {} if known is None else known
    if not _has_untyped(info, set()):
        return None
    if isinstance(info, ms.AnyType):
        return _plain
    if isinstance(info, ms.UnionType):
        return _union([part for kind in info.types if (part := clean_of(kind, known))])
    if isinstance(info, ms.DictType):
        return _dict(isinstance(info.key_type, ms.AnyType), clean_of(info.value_type, known) or _anything)
    if isinstance(info, ms.TupleType):
        return _tuple([clean_of(kind, known) or _anything for kind in info.item_types])
    if hasattr(info, "fields"):
        return _object(info, known)
    return _items(clean_of(below(info)[0], known) or _anything)


def _anything(value: Any) -> bool:
    return True


def _plain(value: Any) -> bool:
    kind = type(value)
    if kind in SCALARS:
        return True
    if kind is list:
        for member in value:  # noqa: SIM110 - a loop is faster than all()
            if type(member) not in SCALARS and not _plain(member):
                return False
        return True
    if kind is dict:
        for key, member in value.items():  # noqa: SIM110
            if type(key) is not str or not _plain(member):
                return False
        return True
    return False


def _union(parts: list[Clean]) -> Clean:
    return lambda value: all(part(value) for part in parts)


def _items(part: Clean) -> Clean:
    return lambda value: not isinstance(value, (list, tuple, set, frozenset)) or all(map(part, value))


def _tuple(parts: list[Clean]) -> Clean:
    def clean(value: Any) -> bool:
        if not isinstance(value, (list, tuple)):
            return True
        return all(part(member) for part, member in zip(parts, value, strict=False))

    return clean


def _dict(free: bool, part: Clean) -> Clean:
    def clean(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        return all((not free or type(key) is str) and part(member) for key, member in value.items())

    return clean


def _object(info: Any, known: dict[type, Clean]) -> Clean:
    kind: type = info.cls
    if kind in known:
        return lambda value: known[kind](value)  # noqa: PLW0108 - what is known by then
    known[kind] = _anything
    parts = [(field.name, part) for field in info.fields if (part := clean_of(field.type, known))]

    def clean(value: Any) -> bool:
        read = value.get if isinstance(value, dict) else partial(getattr, value)
        return all(part(read(name, None)) for name, part in parts)

    known[kind] = clean
    return clean


def _has_untyped(info: ms.Type, seen: set[type]) -> bool:
    kind = getattr(info, "cls", None)
    if kind is not None:
        if kind in seen:
            return False
        seen.add(kind)
    return isinstance(info, ms.AnyType) or any(_has_untyped(part, seen) for part in below(info))


def find_foreign(info: ms.Type, value: Any, path: str) -> Fault | None:
    """The first value without annotation that can't come back as it was, with its path."""
    for part, where in _unannotated(info, value, path):
        if found := _foreign(part, where):
            return found
    return None


def _foreign(value: Any, path: str, depth: int = 0) -> Fault | None:
    if type(value) in SCALARS:
        return None
    if depth > DEPTH:
        return Fault(path, "is nested too deeply, or contains itself", "Flatten it")
    if type(value) is list:
        inside: list[tuple[Any, Any]] = list(enumerate(value))
    elif type(value) is dict:
        inside = list(value.items())
        for key in value:
            if type(key) is not str:
                return Fault(path, f"has the key {key!r}, which is no str", CURE)
    else:
        return Fault(path, f"a value of type {type(value).__qualname__} has no annotation to come back by", CURE)
    for step, member in inside:
        if found := _foreign(member, join(path, step), depth + 1):
            return found
    return None


def _unannotated(info: ms.Type, value: Any, path: str) -> list[tuple[Any, str]]:
    """The values, each with its path, that stand where the type says nothing."""
    if isinstance(info, ms.AnyType):
        return [(value, path)]
    pairs: list[tuple[ms.Type, Any, str]] = []
    if isinstance(info, ms.UnionType):
        pairs = [(kind, value, path) for kind in info.types]
    elif isinstance(info, ms.DictType) and isinstance(value, dict):
        if isinstance(info.key_type, ms.AnyType) and any(type(key) is not str for key in value):
            return [(value, path)]
        pairs = [(info.value_type, member, join(path, key)) for key, member in value.items()]
    elif isinstance(info, ms.TupleType) and isinstance(value, (list, tuple)):
        placed = zip(info.item_types, value, range(len(value)), strict=False)
        pairs = [(kind, member, join(path, n)) for kind, member, n in placed]
    elif hasattr(info, "item_type") and isinstance(value, (list, tuple, set, frozenset)):
        pairs = [(info.item_type, member, join(path, n)) for n, member in enumerate(value)]
    elif hasattr(info, "fields"):
        named = value if isinstance(value, dict) else {f.name: getattr(value, f.name, None) for f in info.fields}
        pairs = [(field.type, named.get(field.name), join(path, field.name)) for field in info.fields]
    return [found for kind, member, where in pairs for found in _unannotated(kind, member, where)]
