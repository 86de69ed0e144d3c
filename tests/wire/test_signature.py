"""A function's call travels as one JSON object by parameter name and arrives as a call of the function."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

import pytest
from msgspec import Raw

from troth.core import limits
from troth.ports.errors import DefinitionError, PayloadError
from troth.wire.signature import Signature


@dataclasses.dataclass
class Order:
    id: str
    amount: Decimal


def reserve(db: Any, sku: str, n: int = 1) -> int:
    return n


def place(order: Order, *, rush: bool = False, note: str | None = None) -> Order:
    return order


def untyped(a, b=2):  # type: ignore[no-untyped-def]
    return a


def only_positional(a: int, b: int = 5, /, c: int = 6) -> None: ...


def give(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    signature = Signature.of(fn, False, "step x")
    loaded = signature.load(signature.bind(args, kwargs))
    return fn(*loaded.args, **loaded.kwargs)


def test_arguments_travel_by_name_with_defaults() -> None:
    """bind makes one object by parameter name, defaults applied; the connection doesn't travel."""
    signature = Signature.of(reserve, True, "step x")
    assert bytes(signature.bind(("a",), {})) == b'{"sku":"a","n":1}'
    assert bytes(signature.bind((), {"n": 3, "sku": "a"})) == b'{"sku":"a","n":3}'
    assert list(signature.parameters) == ["sku", "n"]
    assert signature.parameters["sku"].default is None
    assert signature.load(Raw(b'{"sku":"a","n":3}')) == (("a", 3), {})
    assert signature.values(Raw(b'{"sku":"a"}')) == {"sku": "a", "n": 1}


def test_what_a_function_gets_is_decoded() -> None:
    """The function gets an equal value of the annotated type, not the caller's object."""
    order = Order("1", Decimal("1.10"))
    got = give(place, order, rush=True)
    assert got == order
    assert got is not order
    assert give(place, {"id": "1", "amount": "1.10"}) == order
    assert give(untyped, [1, None]) == [1, None]


def test_keyword_only_and_positional_only_parameters_work() -> None:
    """Every kind of named parameter is bound and called as Python does."""
    signature = Signature.of(only_positional, False, "step x")
    assert signature.load(signature.bind((1,), {"c": 3})) == ((1, 5, 3), {})
    signature = Signature.of(place, False, "step x")
    assert signature.load(signature.bind((Order("1", Decimal(1)),), {"note": "n"})).kwargs == {
        "rush": False,
        "note": "n",
    }


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "words"),
    [
        (place, (), {}, "missing a required argument: 'order'"),
        (place, (1, 2), {}, "too many positional arguments"),
        (place, (1,), {"x": 1}, "got an unexpected keyword argument 'x'"),
        (place, (1,), {"order": 1}, "multiple values for argument 'order'"),
        (only_positional, (), {"a": 1}, "'a'"),
    ],
)
def test_a_wrong_call_is_a_type_error(fn: Any, args: Any, kwargs: Any, words: str) -> None:
    """Misuse is the TypeError that Python would raise, naming the step."""
    with pytest.raises(TypeError, match=f"^step x: .*{words}"):
        Signature.of(fn, False, "step x").bind(args, kwargs)


def test_a_bad_value_is_refused_at_the_door() -> None:
    """bind refuses what load could not read, naming the parameter and field."""
    signature = Signature.of(place, False, "step x")
    with pytest.raises(PayloadError, match=r"^order\.amount: Decimal NaN is not finite"):
        signature.bind((Order("1", Decimal("NaN")),), {})
    with pytest.raises(PayloadError, match=r"^rush: expected bool, got int"):
        signature.bind((Order("1", Decimal(1)),), {"rush": 1})
    with pytest.raises(PayloadError, match=r"^b\[0\]: a value of type date has no annotation"):
        Signature.of(untyped, False, "step x").bind((1, [dt.date(2026, 1, 1)]), {})
    with pytest.raises(PayloadError, match=r"^a: nan is no JSON number"):
        Signature.of(untyped, False, "step x").bind((math.nan,), {})
    with pytest.raises(PayloadError, match=r"^sku: \d+ bytes encoded, more than PAYLOAD_BYTES"):
        Signature.of(reserve, True, "step x").bind(("x" * limits.PAYLOAD_BYTES,), {})


def test_stored_arguments_that_do_not_fit_are_worded() -> None:
    """An unknown or missing parameter in a stored object is a PayloadError that names it."""
    signature = Signature.of(place, False, "step x")
    with pytest.raises(PayloadError, match=r"^speed: is not a field of it"):
        signature.load(Raw(b'{"order":{"id":"1","amount":"1"},"speed":1}'))
    with pytest.raises(PayloadError, match=r"^order: is missing"):
        signature.load(Raw(b"{}"))


def test_results_travel() -> None:
    """A result is encoded and decoded by the return annotation, and refused if it isn't what that says."""
    signature = Signature.of(place, False, "step x")
    order = Order("1", Decimal("1.10"))
    assert signature.decode_result(signature.encode_result(order)) == order
    with pytest.raises(PayloadError, match=r"^result\.amount: Decimal NaN"):
        signature.encode_result(Order("1", Decimal("NaN")))
    with pytest.raises(PayloadError, match=r"^result: expected int, got str"):
        Signature.of(reserve, True, "step x").encode_result("1")
    assert bytes(Signature.of(untyped, False, "step x").encode_result(None)) == b"null"
    with pytest.raises(PayloadError, match=r"^result: a value of type Order has no annotation"):
        Signature.of(untyped, False, "step x").encode_result(order)


def test_a_function_that_never_returns_results_in_none() -> None:
    """NoReturn is a result of None."""

    def refuse() -> NoReturn:
        raise ValueError

    assert Signature.of(refuse, False, "step x").returns is None


def test_same_reads_both_by_todays_annotations() -> None:
    """A parameter added with a default doesn't make recorded arguments differ; another value does."""
    signature = Signature.of(reserve, True, "step x")
    assert signature.same(Raw(b'{"sku":"a"}'), Raw(b'{"n":1,"sku":"a"}'))
    assert not signature.same(Raw(b'{"sku":"a"}'), Raw(b'{"n":2,"sku":"a"}'))
    assert not signature.same(Raw(b'{"sku":"a","old":1}'), Raw(b'{"sku":"a"}'))


def star(*skus: str) -> None: ...
def stars(**skus: str) -> None: ...
def bad_type(order: complex) -> None: ...
def bad_result() -> complex:
    return 1j


def bad_name(order: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def bad_default(n: float = math.nan) -> None: ...
def none_default(n: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013
def no_connection() -> None: ...


@pytest.mark.parametrize(
    ("fn", "skip", "words"),
    [
        (star, False, r"step x: \*skus can't travel.* take one list"),
        (stars, False, r"step x: \*\*skus can't travel.* take one dict"),
        (bad_type, False, "step x: parameter order: type builtins.complex can't be encoded. Use a dataclass"),
        (bad_result, False, "step x: its result: type builtins.complex can't be encoded. Use a dataclass"),
        (bad_name, False, "step x: parameter order: its annotation 'Nowhere' can't be resolved .* Import or define"),
        (bad_default, False, "step x: parameter n: its default can't be encoded: n: nan is no JSON number"),
        (no_connection, True, "step x: with on= its first parameter is the connection. Add one"),
    ],
)
def test_what_cannot_travel_is_refused_at_registration(fn: Any, skip: bool, words: str) -> None:
    """A DefinitionError names the step, the parameter and the cure."""
    with pytest.raises(DefinitionError, match=words):
        Signature.of(fn, skip, "step x")


def test_types_of_the_enclosing_function_are_found() -> None:
    """Annotations written as text may name types of the function that defines the step."""

    @dataclasses.dataclass
    class Local:
        n: int

    def step(value: Local) -> Local:
        return value

    assert give(step, Local(3)) == Local(3)


def test_a_default_of_none_makes_the_parameter_optional() -> None:
    """`n: int = None` is read as what it means."""
    signature = Signature.of(none_default, False, "step x")
    assert signature.load(signature.bind((), {})).args == (None,)


def test_mutable_defaults_are_not_shared() -> None:
    """Each call gets its own default."""

    def step(tags: list[str] = ["a"]) -> list[str]:  # noqa: B006
        return tags

    first = give(step)
    first.append("b")
    assert give(step) == ["a"]
