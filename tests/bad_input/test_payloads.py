"""Values that can't be stored: refused at the door they come to, naming the field and the cure."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.shop import Line, Order, Shop, log_of, order
from troth import Cancelled, PayloadError, Troth
from troth.core import limits

LARGE = "x" * (limits.PAYLOAD_BYTES + 1)


class Opaque:
    """A value of a type that can't be encoded."""


WRONG: list[tuple[str, Order, str, str]] = [
    ("NaN", order(1, Line("tea"), Line("cup", math.nan)), "order.lines[1].price", "nan is no JSON number"),
    ("infinity", order(1, Line("tea", math.inf)), "order.lines[0].price", "inf is no JSON number"),
    ("a NaN in a dict", order(1, Line("tea", tags={"weight": [1.0, math.nan]})), "order.lines[0].tags.weight[1]", "nan"),
    ("an object", order(1, Line("tea", tags={"x": Opaque()})), "order.lines[0].tags.x", "type Opaque has no annotation"),
    ("a list of objects", order(1, Line("tea", tags=[Opaque()])), "order.lines[0].tags[0]", "annotate it"),
    ("too large", order(1, note=LARGE), "order.note", "more than PAYLOAD_BYTES (1048576). Store it elsewhere"),
    ("a NUL", order(1, Line("t\0a")), "order.lines[0].sku", "NUL character. Strip it"),
    ("a lone surrogate", order(1, Line("t\ud800a")), "order.lines[0].sku", "lone surrogate"),
    ("an integer of 65 bits", order(2**64), "order.id", "64 bits"),
    ("a Decimal that is none", order(1, Line("tea", weight=Decimal("NaN"))), "order.lines[0].weight", "not finite"),
    ("another type", order(1, Line(5)), "order.lines[0].sku", ""),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("what", "value", "field", "words"), WRONG, ids=[each[0] for each in WRONG])
@pytest.mark.parametrize("verb", ["call", "run", "start"])
def test_a_sagas_input(shop: Shop, what: str, value: Order, field: str, words: str, verb: str) -> None:
    """Nothing is begun and nothing written, and the next order goes through."""
    act: Any = {"call": shop.place_order, "run": lambda v: shop.app.run(shop.place_order, v),
           "start": lambda v: shop.app.start(shop.place_order, v)}[verb]  # fmt: skip
    with pytest.raises(PayloadError) as caught:
        act(value)
    assert caught.value.field == field, what
    assert str(caught.value).startswith(f"{field}: ") and words in str(caught.value)
    assert log_of(shop.path) == {} and not shop.happened
    assert shop.place_order(order()) == 1


def test_an_input_that_contains_itself(shop: Shop) -> None:
    """It is no tree, so it has no encoding."""
    tags: list[Any] = []
    tags.append(tags)
    with pytest.raises(PayloadError, match="nested too deeply, or contains itself"):
        shop.place_order(order(1, Line("tea", tags=tags)))
    assert log_of(shop.path) == {}


def test_a_saga_called_with_other_arguments(shop: Shop) -> None:
    """Python's own error, as for any function."""
    with pytest.raises(TypeError):
        shop.app.run(shop.place_order)
    assert log_of(shop.path) == {}


def test_a_steps_argument_inside_a_saga(shop: Shop) -> None:
    """The call is not recorded; the exception leaves the function, which is compensated, and its cause is kept."""

    @shop.app.saga(name="wrong")
    def wrong(n: int) -> None:
        shop.reserve(n, [Line("tea")])
        shop.reserve(n + 1, [Line("tea"), Line("cup", math.nan)])

    with pytest.raises(Cancelled) as caught:
        wrong.options(gid="wrong-1")(1)
    assert "lines[1].price: nan is no JSON number" in caught.value.reason
    assert isinstance(caught.value.__cause__, PayloadError)
    assert shop.happened == {("reserve", 1): 1, ("release", 1): 1}
    assert len(shop.app.get("wrong-1").branches) == 1


def test_a_steps_argument_that_is_too_large(shop: Shop) -> None:
    """The same, by size."""

    @shop.app.saga(name="wrong")
    def wrong(n: int) -> None:
        shop.reserve(n, [Line(LARGE)])

    with pytest.raises(Cancelled, match=r"lines\[0\]\.sku: .*PAYLOAD_BYTES"):
        wrong(1)
    assert not shop.happened


def test_a_steps_argument_that_is_caught(shop: Shop) -> None:
    """It is an exception of the function's own: another way may be taken."""

    @shop.app.saga(name="right")
    def right(n: int) -> int:
        try:
            shop.reserve(n, [Line("tea", math.nan)])
        except PayloadError:
            shop.reserve(n, [Line("tea", 1.0)])
        return n

    assert right(1) == 1
    assert shop.happened == {("reserve", 1): 1}


@pytest.mark.parametrize("value", [math.nan, LARGE, Opaque()], ids=["nan", "large", "object"])
def test_a_steps_result(tmp_path: Path, value: Any) -> None:
    """It can't be told, so its local transaction is rolled back; no second try, and nothing is owed."""
    app = Troth(f"sqlite:///{tmp_path}/log.db")
    stock = app.database("stock", f"sqlite:///{tmp_path}/stock.db")
    tries: list[int] = []

    @app.step(on=stock, name="count", compensate=None)
    def count(db: Any, n: int) -> Any:
        tries.append(n)
        db.execute("CREATE TABLE counted (n INTEGER)")
        db.execute("INSERT INTO counted VALUES (?)", (n,))
        return {"found": [value]}

    @app.saga(name="inventory")
    def inventory(n: int) -> None:
        count(n)

    with app:
        with pytest.raises(Cancelled, match=r"result.*found"):
            inventory.options(gid="inventory-1")(1)
        assert tries == [1]
        assert app.get("inventory-1").branches[0].fate == "not_done"
        tables = stock.plain(lambda db: db.execute("SELECT name FROM sqlite_schema WHERE name = 'counted'").fetchall())
        assert tables == []
    assert log_of(tmp_path / "log.db")["inventory-1"].state == "cancelled"


def test_a_sagas_result(shop: Shop) -> None:
    """What can't be told isn't confirmed: all is compensated."""

    @shop.app.saga(name="wrong")
    def wrong(n: int) -> Any:
        shop.reserve(n, [])
        return {"total": math.nan}

    with pytest.raises(Cancelled, match=r"result\.total: nan is no JSON number"):
        wrong(1)
    assert shop.happened == {("reserve", 1): 1, ("release", 1): 1}


def test_a_remembered_value(shop: Shop) -> None:
    """It is stored like any other."""

    @shop.app.saga(name="wrong")
    def wrong(n: int) -> None:
        shop.app.remember(lambda: math.nan)

    with pytest.raises(Cancelled, match=r"remembered value.*nan"):
        wrong(1)
