"""How an order is placed. Django finds this file by itself, in every process."""

import os
import time

from django.db.models import F

from shop.models import Item, Order, Payment
from troth import Refused
from troth.integrations.django import troth

CREDIT = 500
PACE = float(os.environ.get("SHOP_PACE", "0"))
"""Seconds that the bank takes."""


@troth.step(on="default")
def create(db, number: int, sku: str, quantity: int) -> int:
    """Write the order down; its price."""
    item = Item.objects.filter(sku=sku).first()
    if item is None:
        raise Refused(f"there is no {sku}")
    Order.objects.create(number=number, item=item, quantity=quantity)
    return item.price * quantity


@create.compensate
def drop(db, number: int, sku: str, quantity: int) -> None:
    """The order stays, as cancelled."""
    Order.objects.filter(number=number).update(state="cancelled")


@troth.step(on="default")
def reserve(db, sku: str, quantity: int) -> None:
    """Take it off the shelf, if there is enough."""
    if not Item.objects.filter(sku=sku, left__gte=quantity).update(left=F("left") - quantity):
        raise Refused(f"{sku} is sold out")


@reserve.compensate
def release(db, sku: str, quantity: int) -> None:
    """Put it back."""
    Item.objects.filter(sku=sku).update(left=F("left") + quantity)


@troth.step(on="default", role="pivot")
def charge(db, number: int, amount: int) -> int:
    """Take the money: from here the order is placed, whatever happens."""
    if amount > CREDIT:
        raise Refused(f"{amount} is more than your credit")
    payment = Payment.objects.create(order_id=number, amount=amount)
    if PACE:
        time.sleep(PACE)  # simulates a bank that takes its time
    return payment.pk


@troth.step(on="default", role="retriable")
def close(db, number: int) -> None:
    """The order is paid."""
    Order.objects.filter(number=number).update(state="paid")


@troth.saga(gid=lambda number, sku, quantity: f"order-{number}")
def place_order(number: int, sku: str, quantity: int) -> int:
    """All of it, or nothing; the same number twice is the same order. The payment's number."""
    amount = create(number, sku, quantity)
    reserve(sku, quantity)
    payment = charge(number, amount)
    close(number)
    return payment


@troth.tcc(on="default")
class Hold:
    """Things held for a basket: frozen by the try, gone by the confirm, free again by the cancel."""

    def try_(self, db, sku: str, quantity: int) -> list:
        """Freeze them."""
        if not Item.objects.filter(sku=sku, left__gte=quantity).update(left=F("left") - quantity, held=F("held") + quantity):
            raise Refused(f"{sku} is sold out")
        return [sku, quantity]

    def confirm(self, db, hold: list) -> None:
        """They are sold."""
        sku, quantity = hold
        Item.objects.filter(sku=sku).update(held=F("held") - quantity)

    def cancel(self, db, hold: list | None) -> None:
        """They are for others again."""
        if hold is not None:
            sku, quantity = hold
            Item.objects.filter(sku=sku).update(left=F("left") + quantity, held=F("held") - quantity)
