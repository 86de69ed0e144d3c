"""References see what is inside of every kind of type, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from troth.wire.codec import encode
from troth.wire.reach import Member, fields_of, member
from troth.wire.splice import pick


@dataclass
class Line:
    sku: str
    tags: list[str] = field(default_factory=lambda: ["new"])


class Struct(msgspec.Struct, rename="camel", omit_defaults=True):
    first_line: Line
    size_of: int = 3


class Pair(NamedTuple):
    left: Line
    right: int | None = None


class Typed(TypedDict):
    line: Line


class Model(pydantic.BaseModel):
    lines: list[int] = pydantic.Field(alias="Lines", default=[1])


@pytest.mark.parametrize(
    ("annotation", "key", "expected"),
    [
        (Any, "x", Member("x", Any)),
        (Line, "sku", Member("sku", str)),
        (Line, "tags", Member("tags", list[str], b'["new"]')),
        (Line, "nope", None),
        (Line, 0, None),
        (Line | None, "sku", Member("sku", str)),
        (Annotated[Line, "note"], "sku", Member("sku", str)),
        (Struct, "first_line", Member("firstLine", Line)),
        (Struct, "size_of", Member("sizeOf", int, b"3")),
        (Struct, "sizeOf", None),
        (Pair, "right", Member(1, int | None)),
        (Typed, "line", Member("line", Line)),
        (Model, "lines", Member("lines", list[int])),
        (dict[str, Line], "any", Member("any", Line)),
        (dict, "any", Member("any", Any)),
        (list[Line], -1, Member(-1, Line)),
        (list[Line], "x", None),
        (tuple[int, Line], 1, Member(1, Line)),
        (tuple[int, Line], 2, None),
        (tuple[Line, ...], 7, Member(7, Line)),
        (int, "x", None),
        (int | str, "x", None),
    ],
)
def test_members_by_type(annotation: Any, key: str | int, expected: Member | None) -> None:
    """A member is found by the name that the code uses and leads to the key that is written."""
    assert member(annotation, key) == expected


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Line("a"), "sku"),
        (Struct(Line("a")), "first_line"),
        (Pair(Line("a")), "left"),
        ({"line": Line("a")}, "line"),
        (Model(Lines=[2]), "lines"),
    ],
)
def test_the_key_is_where_the_codec_writes_it(value: Any, name: str) -> None:
    """What the codec wrote is found at the member's key."""
    annotation = Typed if isinstance(value, dict) else type(value)
    known = fields_of(annotation)
    assert known is not None
    found = pick(encode(value, annotation), [known[name].key])
    inside = value[name] if isinstance(value, dict) else getattr(value, name)
    assert bytes(found) == bytes(encode(inside, known[name].annotation))
