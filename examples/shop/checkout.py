"""How an order is placed: an ordinary one by a saga, one of a flash sale by TCC. The services are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from examples.shop.settings import HOME, SECRET, url
from troth import Handle, Refused, Troth

troth = Troth(f"sqlite:///{HOME}/log.db")  # what has been promised; all gateway processes share it


class Calls(TypedDict):
    """How services are called."""

    secret: str | None
    timeout: float
    attempts: int
    interval: float


CALLS: Calls = {"secret": SECRET, "timeout": 5.0, "attempts": 8, "interval": 0.2}
"""Services may be restarted at any time: patience costs nothing, an order that is given up does."""


@dataclass(frozen=True)
class Line:
    """So many of an item, at so many cents each."""

    sku: str
    n: int
    price: int


@dataclass(frozen=True)
class Order:
    """What a customer wants.

    :param place: where it is to be brought.
    :param kind: ``flash``: an order of a flash sale, many customers at the same few items.
    """

    id: str
    customer: str
    place: str
    lines: list[Line]
    kind: Literal["ordinary", "flash"] = "ordinary"
    coupon: str = ""

    @property
    def price(self) -> int:
        """Without the coupon, in cents."""
        return sum(line.n * line.price for line in self.lines)

    @property
    def gid(self) -> str:
        """Its transaction: the same order twice is the same transaction."""
        return f"order-{self.id}"

    @property
    def thanks(self) -> str:
        """What the customer is told."""
        return f"Thank you, {self.customer}. Order {self.id} is on its way to the {self.place}."


# --- ordinary orders: one step after the other; what fails half-way is undone in reverse

create_order = troth.remote(f"{url('orders')}/troth", "create_order", result=int, **CALLS)
reduce_stock = troth.remote(f"{url('stock')}/troth", "reduce_stock", result=int, **CALLS)
charge = troth.remote(f"{url('payment')}/troth", "charge", result=str, **CALLS)
ship = troth.remote(f"{url('logistics')}/troth", "ship", result=str, role="pivot", **CALLS)
notify = troth.remote(f"{url('notification')}/troth", "notify", role="retriable", **CALLS)


@troth.saga(name="buy", gid=lambda order: order.gid)
async def buy(order: Order) -> str:
    """Place an order, whole or not at all; returns the receipt's number.

    The parcel is the point of no return. The customer has an answer then; the letter goes out when it does.
    """
    amount = await create_order.aio(order_id=order.id, customer=order.customer, price=order.price, coupon=order.coupon)
    for line in order.lines:
        await reduce_stock.aio(sku=line.sku, n=line.n)
    receipt: str = await charge.aio(order_id=order.id, customer=order.customer, amount=amount)
    parcel = await ship.aio(order_id=order.id, place=order.place)
    await notify.aio(order_id=order.id, customer=order.customer, text=f"{order.thanks} Receipt {receipt}, parcel {parcel}.")
    return receipt


# --- flash sales: everything is frozen at once, then all of it is had, or none

Entry = troth.remote_tcc(f"{url('orders')}/troth", "Entry", **CALLS)
Shelf = troth.remote_tcc(f"{url('stock')}/troth", "Shelf", **CALLS)
Wallet = troth.remote_tcc(f"{url('payment')}/troth", "Wallet", **CALLS)
Room = troth.remote_tcc(f"{url('logistics')}/troth", "Room", **CALLS)


def holds(order: Order) -> list[Any]:
    """What must be had for an order of a flash sale: asked for side by side."""
    return [
        Entry.branch(order_id=order.id, customer=order.customer, price=order.price),
        *(Shelf.branch(sku=line.sku, n=line.n) for line in order.lines),
        Wallet.branch(order_id=order.id, customer=order.customer, amount=order.price),
        Room.branch(order_id=order.id, place=order.place),
    ]


@troth.step(name="have_it_all", guarded=True, role="pivot", timeout=60)  # repeated, it finds the transaction that it began
async def have_it_all(order: Order) -> None:
    """Have all of it, or nothing: a transaction of its own, which is this saga's point of no return."""
    outcome = await troth.aio.run_tcc(None, holds(order), until="decided", name="holds")
    if outcome.state not in ("confirming", "confirmed"):
        raise Refused(outcome.reason)


@troth.saga(name="flash-sale", gid=lambda order: order.gid)
async def buy_in_flash_sale(order: Order) -> None:
    """Place an order of a flash sale. The customer has an answer when the holds are decided; the letter is in nobody's way."""
    await have_it_all(order)
    await notify.aio(order_id=order.id, customer=order.customer, text=order.thanks)


# --- which is for whom


async def begin(order: Order) -> Handle[Any]:
    """Begin an order, durably; it goes on from here whatever becomes of this process."""
    return await troth.aio.start(buy_in_flash_sale if order.kind == "flash" else buy, order)
