"""Finding the one value, in a tree of them, that can't be encoded as it is; only used once something looks wrong."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from troth.core import limits
from troth.wire.shapes import is_model

UNSET = type(msgspec.UNSET)
ATOMS = (bytes, bytearray, memoryview, dt.datetime, dt.date, dt.time, dt.timedelta, UUID, msgspec.Raw, UNSET)
QUIET = frozenset({str, int, bool, type(None), Decimal, *ATOMS})
DEPTH = 200
"""Levels of nesting that are looked through; the encoder gives up soon after."""


class Fault(NamedTuple):
    """What is wrong, where, and what to do."""

    path: str
    problem: str
    cure: str


def find_fault(value: Any, path: str, depth: int = 0) -> Fault | None:
    """The first value at or below this one that can't be encoded, or would come back as another; None if all can."""
    if depth > DEPTH:
        return Fault(path, "is nested too deeply, or contains itself", "Flatten it")
    leaf = _leaf(value)
    if leaf is not None:
        return Fault(path, *leaf) if leaf else None
    inside = members(value)
    if inside is None:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        return Fault(path, f"a value of type {kind} can't be encoded", "Pass a dataclass, or its plain parts")
    for step, member in inside:
        if found := find_fault(member, join(path, step), depth + 1):
            return found
    return None


def hides_nan(value: Any, depth: int = 0) -> bool:
    """Whether a float that JSON has no number for is at or below the value: the encoder wrote null for it."""
    kind = type(value)
    if kind is float:
        return not math.isfinite(value)
    if kind in QUIET or depth > DEPTH:
        return False
    if isinstance(value, msgspec.Struct):
        inside: Iterable[Any] = msgspec.structs.astuple(value)
    elif kind in (list, tuple):
        inside = value
    elif isinstance(value, float):
        return not math.isfinite(value)
    else:
        inside = [member for _, member in members(value) or ()]
    for member in inside:  # noqa: SIM110 - a loop is faster than any()
        if type(member) not in QUIET and hides_nan(member, depth + 1):
            return True
    return False


def _leaf(value: Any) -> tuple[str, str] | tuple[()] | None:
    """(problem, cure), or () for a good leaf, or None for what has members."""
    if value is None or isinstance(value, (bool, *ATOMS)):
        return ()
    if isinstance(value, Enum):
        return _leaf(value.value)
    if isinstance(value, float):
        return () if math.isfinite(value) else (f"{value} is no JSON number", "Pass None, or a finite number")
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return ()
        return ("the integer needs more than 64 bits", "Pass it as str or Decimal")
    if isinstance(value, Decimal):
        return () if value.is_finite() else (f"Decimal {value} is not finite", "Pass None, or a finite number")
    if isinstance(value, str):
        return _text(value)
    return None


def _text(value: str) -> tuple[str, str] | tuple[()]:
    if "\0" in value:
        return ("the text contains a NUL character", "Strip it; databases can't store it")
    try:
        value.encode()
    except UnicodeEncodeError:
        return ("the text contains a lone surrogate, which is no character", "Decode the input with errors='replace'")
    return ()


def members(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """The (name, index or key; value) pairs inside a value, or None if its type is not one that can be encoded."""
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, msgspec.Struct):
        return [(name, getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (list, tuple, set, frozenset)):
        return enumerate(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value)]
    if is_model(type(value)):
        return {**vars(value), **(value.model_extra or {})}.items()
    attrs = getattr(type(value), "__attrs_attrs__", None)
    return None if attrs is None else [(field.name, getattr(value, field.name)) for field in attrs]


def join(path: str, step: Any) -> str:
    """The path of a member: ``order`` and ``lines`` make ``order.lines``, and 2 makes ``order.lines[2]``."""
    if isinstance(step, str) and step.isidentifier():
        return f"{path}.{step}" if path else step
    return f"{path}[{step!r}]"


def largest(value: Any, path: str, size: Any) -> str:
    """The path of the largest member, down to the one whose own members each fit."""
    inside = list(members(value) or ()) if _leaf(value) is None else []
    best = max(inside, key=lambda pair: size(pair[1]), default=None)
    if best is None or size(best[1]) <= limits.PAYLOAD_BYTES // 2:
        return path
    return largest(best[1], join(path, best[0]), size)
