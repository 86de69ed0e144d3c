"""What passes the codec comes back as it was; what can't is refused, by its path and with a cure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from troth.core import limits
from troth.ports.errors import PayloadError
from troth.wire.codec import codec_of, content_hash, decode, encode
from troth.wire.shapes import Unencodable


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Line:
    sku: str
    price: float
    note: Any = None


@dataclasses.dataclass
class Order:
    id: str
    lines: list[Line]
    tags: dict[str, float | None] = dataclasses.field(default_factory=dict)


class Point(NamedTuple):
    x: int
    y: float | None = None


class Options(TypedDict, total=False):
    fast: bool
    extra: Any


class Customer(msgspec.Struct, rename="camel"):
    first_name: str
    visits: int = 0


class Address(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    street: str = pydantic.Field(alias="Street")
    lat: float | None = None

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def upper(self) -> str:
        return self.street.upper()


class Node(msgspec.Struct):
    value: Any
    below: list[Node] = []


LINES = [Line("a", 1.5), Line("b", 2.0)]


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (Decimal("1.10"), Decimal),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC), dt.datetime),
        (dt.date(2026, 1, 2), dt.date),
        (dt.timedelta(seconds=1.5), dt.timedelta),
        (UUID(int=7), UUID),
        (Colour.RED, Colour),
        (b"\x00\xff", bytes),
        (Point(1, 2.0), Point),
        ({"fast": True}, Options),
        (Customer("Ann", 2), Customer),
        (Address(Street="High", lat=1.0), Address),
        (None, Address | None),
        (Order("1", LINES, {"a": None}), Order),
        ((1, "x"), tuple[int, str]),
        ({1: "x"}, dict[int, str]),
        ({"b", "a"}, set[str]),
        (None, int | None),
        (-(2**63), int),
        ({"a": [1, None, True, "x", 1.5, {}]}, Any),
        (Node(1, [Node("x")]), Node),
        ("null NaN \\u0000", str | None),
    ],
)
def test_values_come_back_as_they_were(value: Any, annotation: Any) -> None:
    """decode(encode(value)) equals the value, for every kind of type that is promised."""
    assert decode(encode(value, annotation), annotation) == value


def test_a_decimal_travels_as_text() -> None:
    """Money is never a float on the wire."""
    assert bytes(encode(Decimal("1.10"), Decimal)) == b'"1.10"'


@pytest.mark.parametrize(
    ("value", "annotation", "field", "words"),
    [
        (math.nan, float, "x", "nan is no JSON number"),
        (math.inf, float | None, "x", "inf is no JSON number"),
        (math.nan, int | None, "x", "nan is no JSON number"),
        (Order("1", [*LINES, Line("c", math.nan)]), Order, "x.lines[2].price", "nan is no JSON number"),
        (Order("1", [], {"a b": -math.inf}), Order, "x.tags['a b']", "-inf is no JSON number"),
        ([1, [math.nan]], Any, "x[1][0]", "nan is no JSON number"),
        (Decimal("NaN"), Decimal, "x", "Decimal NaN is not finite"),
        (Decimal("-Infinity"), Decimal, "x", "Decimal -Infinity is not finite"),
        (Address(Street="High", lat=math.nan), Address, "x.lat", "nan is no JSON number"),
        ("a\0b", str, "x", "NUL"),
        ({"k": ["\0"]}, Any, "x.k[0]", "NUL"),
        ("\ud800", str, "x", "lone surrogate"),
        (Order("\udfff", []), Order, "x.id", "lone surrogate"),
        (2**63, Any, "x", "more than 64 bits"),
        (Point(-(2**63) - 1), Point, "x", "64"),
        (Customer("Ann", 2**70), Customer, "x.visits", "more than 64 bits"),
        ("7", int, "x", "expected int, got str"),
        (Order("1", [Line("a", "b")]), Order, "x.lines[0].price", "expected float, got str"),  # type: ignore[arg-type]
        ({"id": "1"}, Order, "x.lines", "is missing"),
        (Address.model_construct(street=5), Address, "x.street", "valid string"),
        ((1,), Any, "x", "a value of type tuple has no annotation"),
        ({"a": {1, 2}}, Any, "x.a", "a value of type set has no annotation"),
        ({1: 2}, Any, "x", "has the key 1, which is no str"),
        ({1: 2}, dict, "x", "has the key 1, which is no str"),
        ([dt.date(2026, 1, 1)], list, "x[0]", "a value of type date has no annotation"),
        (Colour.RED, Any, "x", "a value of type Colour has no annotation"),
        (Line("a", 1.0, Point(1)), Line, "x.note", "a value of type Point has no annotation"),
        ({"extra": b""}, Options, "x.extra", "a value of type bytes has no annotation"),
        (Node(1, [Node(2), Node(object())]), Node, "x.below[1].value", "a value of type object has no annotation"),
        (Line("a", object()), Line, "x.price", "a value of type builtins.object can't be encoded"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_come_back_is_refused_by_its_path(value: Any, annotation: Any, field: str, words: str) -> None:
    """NaN, NUL, lone surrogates, wide integers, foreign and wrong values are PayloadErrors that name field and cure."""
    with pytest.raises(PayloadError) as caught:
        encode(value, annotation, "x")
    text = str(caught.value)
    assert words in text
    assert caught.value.field.startswith(field.split("[")[0])
    assert caught.value.field == field or "64" in text
    assert text.count(". ") >= 1, "it says what to do"


def test_a_value_too_large_is_refused_by_its_largest_part() -> None:
    """An oversized value names the member that is large, its size and the limit."""
    big = Order("1", [Line("a", 1.0), Line("x" * limits.PAYLOAD_BYTES, 1.0)])
    with pytest.raises(
        PayloadError, match=r"^x\.lines\[1\]\.sku: \d+ bytes encoded, more than PAYLOAD_BYTES \(1048576\)"
    ):
        encode(big, Order, "x")


def test_a_value_that_contains_itself_is_refused() -> None:
    """A cycle is a PayloadError, not a RecursionError."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(PayloadError, match="nested too deeply, or contains itself"):
        encode(cycle)
    node = Node(1)
    node.below = [node]
    with pytest.raises(PayloadError, match="nested too deeply, or contains itself"):
        encode(node, Node)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (complex, "type builtins.complex can't be encoded. Use a dataclass"),
        (dict[str, object], "type builtins.object can't be encoded"),
        (Order | Line, "more than one dataclass"),
        (Raw, "type Raw of msgspec can't be used"),
    ],
)
def test_types_that_cannot_be_encoded_are_refused(annotation: Any, words: str) -> None:
    """An annotation that no value of could travel is refused before any value is seen."""
    with pytest.raises(Unencodable, match=words):
        codec_of(annotation)


def test_models_of_an_old_pydantic_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """pydantic before 2.11 can't validate by field name; the error says to upgrade."""
    monkeypatch.setattr(pydantic, "VERSION", "2.10.6")
    with pytest.raises(Unencodable, match=r"Address is a model of pydantic 2\.10\.6.*Upgrade to pydantic 2\.11"):
        codec_of(list[Address])


def test_decoding_names_the_field() -> None:
    """Stored JSON that isn't what the annotation says (any more) is a PayloadError by path."""
    with pytest.raises(PayloadError, match=r"^lines\[0\]\.price: expected float, got str"):
        decode(Raw(b'{"id":"1","lines":[{"sku":"a","price":"b"}]}'), Order)
    with pytest.raises(PayloadError, match=r"^value: "):
        decode(Raw(b"{"), Order)


def test_same_compares_what_is_meant() -> None:
    """Two encodings are the same if today's annotation reads the same value from them."""
    codec = codec_of(Line)
    assert codec.same(Raw(b'{"sku":"a","price":1}'), Raw(b'{"price":1.0,"sku":"a","note":null}'))
    assert not codec.same(Raw(b'{"sku":"a","price":1}'), Raw(b'{"sku":"a","price":2}'))
    assert not codec.same(Raw(b'{"sku":"a","price":1}'), Raw(b'{"sku":"a"}'))


def test_the_content_hash_ignores_the_order_of_keys_and_nothing_else() -> None:
    """Equal content has one hash of 16 bytes; pattern, definition and every value count."""
    first = content_hash("saga", "place", Raw(b'{"a":1,"b":{"c":2,"d":3}}'))
    assert len(first) == 16
    assert first == content_hash("saga", "place", Raw(b'{"b": {"d":3, "c":2}, "a":1}'))
    assert first != content_hash("saga", "place", Raw(b'{"a":1,"b":{"c":2,"d":4}}'))
    assert first != content_hash("saga", "plac", Raw(b'{"a":1,"b":{"c":2,"d":3}}'))
    assert first != content_hash("tcc", "place", Raw(b'{"a":1,"b":{"c":2,"d":3}}'))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(JSON)
def test_plain_values_come_back_or_are_refused(value: Any) -> None:
    """Any plain value is either refused with a PayloadError or comes back equal: nothing is changed in silence."""
    try:
        raw = encode(value)
    except PayloadError:
        return
    assert decode(raw) == value
