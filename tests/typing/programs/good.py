"""Everything here must type-check."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, assert_type

from troth import Troth as RealTroth
from tests.typing.programs.shop import Order, Receipt, aplace_order, areserve, charge, create, place_order, release
from tests.typing.programs.shop import ACard, AStock, Card, Hold, Stock, remote, reserve, troth
from troth.app.graph import Graph, GraphStep
from troth.app.outcome import Handle, Outcome
from troth.app.tcc_form import Branch
from troth.core.words import State

order = Order("1", "a", 2, Decimal("1.10"))

assert_type(reserve("a", 2), int)
assert_type(reserve(sku="a"), int)
assert_type(create(order), str)
assert_type(place_order(order), Receipt)
assert_type(place_order.run(order), Outcome[Receipt])
assert_type(place_order.start(order), Handle[Receipt])
assert_type(place_order.options(gid="x", timeout=60).run(order), Outcome[Receipt])
assert_type(place_order.options(gid="x")(order), Receipt)
assert_type(place_order.start(order).result(timeout=5), Receipt)
assert_type(place_order.run(order).result, Receipt | None)
assert_type(place_order.run(order).state, State)
assert_type(charge.wait("1", Decimal(1)), Receipt)
assert_type(areserve.wait("a", rush=True), int)
assert_type(aplace_order.wait(order), Receipt)
assert_type(aplace_order.wait.run(order, rush=True), Outcome[Receipt])
release(None, "a", 1)


async def main() -> None:
    assert_type(await charge("1", Decimal(1)), Receipt)
    assert_type(await areserve("a"), int)
    assert_type(await reserve.aio("a", 2), int)
    assert_type(await aplace_order(order, rush=True), Receipt)
    assert_type(await aplace_order.run(order), Outcome[Receipt])
    assert_type(await (await aplace_order.start(order)).aio.result(), Receipt)
    assert_type(await aplace_order.options(gid="x").run(order), Outcome[Receipt])
    assert_type(await place_order.aio(order), Receipt)
    assert_type(await place_order.aio.start(order), Handle[Receipt])
    assert_type(await place_order.options(timeout=1).aio.run(order), Outcome[Receipt])
    both = await asyncio.gather(charge("1", Decimal(1)), areserve("a"))
    assert_type(both, tuple[Receipt, int])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(charge("1", Decimal(1)))
        assert_type(await task, Receipt)


place = troth.graph("place-order", input=Order)
a = place.step(create)
b = place.step(reserve, after=a)
c = place.step(charge, after=[b, "create"], role="pivot", order_id=a.result, amount=place.input.amount)
assert_type(place, Graph[Order, dict[str, Any]])
assert_type(a, GraphStep[str])
assert_type(c, GraphStep[Receipt])
assert_type(place(order), dict[str, Any])
typed = place.returns(c.result)
assert_type(typed(order), Receipt)
assert_type(typed.options(gid="x").run(order), Outcome[Receipt])
assert_type(typed.start(order), Handle[Receipt])


# TCC: a try has the parameters of its try_ without the connection, and returns its hold

with troth.transaction("t", timeout=30, until="decided") as tx:
    assert_type(tx(Stock).try_("a", 2), Hold)
    assert_type(tx(Stock).try_(sku="a"), Hold)
    assert_type(tx(AStock).try_.wait("a", n=2), Hold)
    assert_type(tx(Card).try_("1", Decimal(1)), str)
    assert_type(tx(ACard).try_.wait("1", Decimal(1)), str)
    assert_type(tx(remote()).try_(anything=1), Any)
    assert_type(tx.rollback_only, bool)
    assert_type(troth.nested(Stock).try_("a"), Hold)
assert_type(tx.outcome, Outcome[Any] | None)
assert_type(Stock.branch("a", 2), Branch)
assert_type(AStock.branch("a", n=2), Branch)
assert_type(Card.branch("1", amount=Decimal(1)), Branch)
assert_type(troth.run_tcc("t", [Stock.branch("a"), Card.branch("1", Decimal(1))]), Outcome[list[Any]])
assert_type(troth.start_tcc(None, [Stock.branch("a")], timeout=5), Handle[list[Any]])
assert_type(Stock().try_(None, "a"), Hold)


async def tcc() -> None:
    async with troth.transaction() as tx:
        assert_type(await tx(Stock).try_.aio("a", 2), Hold)
        assert_type(await tx(AStock).try_("a", n=2), Hold)
        assert_type(await tx(ACard).try_("1", Decimal(1)), str)
        both = await asyncio.gather(tx(AStock).try_("a"), tx(ACard).try_("1", Decimal(1)))
        assert_type(both, tuple[Hold, str])

real = RealTroth("memory://")
shelf = real.database("shelf", "sqlite:///shelf.db")


@real.once(on=shelf, key="number")
def order_once(db: Any, number: str, n: int = 1) -> Receipt:
    return Receipt(number)


@real.once(on=shelf, key=lambda number: number, numbers=real.numbers("ORD"))
async def aorder_once(db: Any, number: str) -> int:
    return 1


assert_type(order_once("a", n=2), Receipt)
assert_type(aorder_once.wait("a"), int)


async def once() -> None:
    assert_type(await order_once.aio("a"), Receipt)
    assert_type(await aorder_once("a"), int)
    async with real.locks("memory://").hold("k") as held:
        assert_type(await held.check(), float)
    with real.locks("memory://").hold("k") as other:
        assert_type(other.check(), float)
        assert_type(other.token, int)
