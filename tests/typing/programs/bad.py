"""Each line marked with an error code must be refused with it, and no other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from troth import Troth as RealTroth
from tests.typing.programs.shop import Order, Receipt, aplace_order, areserve, charge, create, place_order, reserve
from tests.typing.programs.shop import AStock, Card, Hold, Stock, stock, troth

order = Order("1", "a", 2, Decimal("1.10"))

reserve(None, "a", 2)  # E: arg-type arg-type call-arg
reserve("a", "2")  # E: arg-type
reserve()  # E: call-arg
reserve("a", speed=1)  # E: call-arg
create("1")  # E: arg-type
text: str = reserve("a")  # E: assignment
place_order("1")  # E: arg-type
place_order(order, 1)  # E: call-arg
number: int = place_order(order)  # E: assignment
place_order.run("1")  # E: arg-type
place_order.start(order).result().nothing  # E: attr-defined
place_order.options(gid=7)  # E: arg-type
place_order.options(gid="x").run()  # E: call-arg
reserve.wait("a")  # E: attr-defined
charge.aio("1", Decimal(1))  # E: attr-defined
place_order.wait(order)  # E: attr-defined
aplace_order.aio(order)  # E: attr-defined
receipt: Receipt = aplace_order(order)  # E: assignment
areserve.wait("a", True)  # E: call-arg


async def main() -> None:
    await reserve("a")  # E: misc
    await place_order(order)  # E: misc
    charge("1", Decimal(1)) + 1  # E: operator
    await charge("1", "2")  # E: arg-type
    await aplace_order(order, rush="x")  # E: arg-type


@troth.step(on=stock)  # E: arg-type
def without_connection() -> None: ...


@troth.step(role="last")  # E: call-overload untyped-decorator
def bad_role() -> None: ...


@troth.step(on="stock")  # E: call-overload untyped-decorator
def bad_database(db: Any) -> None: ...


@troth.saga(recover="maybe")  # E: call-overload untyped-decorator
def bad_recover() -> None: ...


place = troth.graph("place-order", input=Order)
place.step(lambda order: order)  # E: arg-type
place("1")  # E: arg-type
place.returns("x")  # E: arg-type
place.step(create, role="local")  # E: arg-type


with troth.transaction(7) as tx:  # E: arg-type
    tx(Stock).try_(None, "a", 2)  # E: arg-type arg-type call-arg
    tx(Stock).try_("a", "2")  # E: arg-type
    tx(Stock).try_()  # E: call-arg
    text = tx(Stock).try_("a").nothing  # E: attr-defined
    tx(Stock).try_.wait("a")  # E: attr-defined
    tx(AStock).try_.wait("a", 2)  # E: call-arg
    tx(AStock).try_.aio("a")  # E: attr-defined
    tx(Card).try_("1", 1.5)  # E: arg-type
    tx(int)  # E: arg-type
troth.transaction(until="later")  # E: arg-type
Stock.branch("a", "2")  # E: arg-type
Stock.branch()  # E: call-arg
troth.run_tcc("t", [Stock])  # E: list-item
troth.run_tcc("t")  # E: call-arg


@troth.tcc(guarded=False)  # E: call-overload
class Unguarded: ...


@troth.tcc(on=stock)  # E: arg-type
class NoConfirm:
    def try_(self, db: Any, sku: str) -> Hold:
        return Hold(sku, 1)

    def cancel(self, db: Any, hold: Hold | None) -> None: ...


@troth.tcc(on=stock)  # E: arg-type
class OtherHold:
    def try_(self, db: Any, sku: str) -> Hold:
        return Hold(sku, 1)

    def confirm(self, db: Any, hold: str) -> None: ...
    def cancel(self, db: Any, hold: Hold | None) -> None: ...


@troth.tcc(on=stock)  # E: arg-type
class SureCancel:
    def try_(self, db: Any, sku: str) -> Hold:
        return Hold(sku, 1)

    def confirm(self, db: Any, hold: Hold) -> None: ...
    def cancel(self, db: Any, hold: Hold) -> None: ...


@troth.tcc(on=stock)  # E: arg-type
class TwoColours:
    async def try_(self, db: Any, sku: str) -> Hold:
        return Hold(sku, 1)

    def confirm(self, db: Any, hold: Hold) -> None: ...
    def cancel(self, db: Any, hold: Hold | None) -> None: ...

real = RealTroth("memory://")
shelf = real.database("shelf", "sqlite:///shelf.db")


@real.once(on=shelf, key="number")
def order_once(db: Any, number: str) -> int:
    return 1


order_once(7)  # E: arg-type
order_once("a").upper()  # E: attr-defined
real.once(on=shelf)(order_once.fn)  # E: call-arg
