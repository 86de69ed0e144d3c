"""A shop: four steps, each in a database of its own, and one saga. Copy this file to begin."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

from troth import Refused, Troth

HOME = Path(os.environ.get("SHOP_HOME", ".")).absolute()

troth = Troth(f"sqlite:///{HOME}/log.db")  # what has been promised; all processes of the shop share it
orders = troth.database("orders", f"sqlite:///{HOME}/orders.db")  # where effects live: four databases,
stock = troth.database("stock", f"sqlite:///{HOME}/stock.db")  # which know nothing of each other
payments = troth.database("payments", f"sqlite:///{HOME}/payments.db")
mail = troth.database("mail", f"sqlite:///{HOME}/mail.db")


@dataclass(frozen=True)
class Line:
    """So many of an item, at so many cents each."""

    sku: str
    n: int
    price: int


@dataclass(frozen=True)
class Order:
    """What a customer wants."""

    id: str
    customer: str
    lines: list[Line]

    @property
    def amount(self) -> int:
        """What it costs, in cents."""
        return sum(line.n * line.price for line in self.lines)


@troth.step(on=orders)
def create_order(db: Connection, order_id: str, customer: str, amount: int) -> None:
    """Write the order into the book."""
    db.execute("INSERT INTO orders (id, customer, amount) VALUES (?, ?, ?)", (order_id, customer, amount))


@create_order.compensate
def cancel_order(db: Connection, order_id: str, customer: str, amount: int) -> None:
    """Strike it out again."""
    db.execute("UPDATE orders SET cancelled = cancelled + 1 WHERE id = ?", (order_id,))


@troth.step(on=stock)
def reserve(db: Connection, sku: str, n: int) -> int:
    """Take n of an item off the shelf; returns how many are left."""
    row = db.execute("UPDATE stock SET n = n - ? WHERE sku = ? AND n >= ? RETURNING n", (n, sku, n)).fetchone()
    if row is None:
        raise Refused(f"{sku} is sold out")
    return int(row[0])


@reserve.compensate
def release(db: Connection, sku: str, n: int) -> None:
    """Put them back."""
    db.execute("UPDATE stock SET n = n + ? WHERE sku = ?", (n, sku))


@troth.step(on=payments, role="pivot")  # the point of no return: from here on the order goes through
def charge(db: Connection, order_id: str, customer: str, amount: int) -> str:
    """Move the money into the till; returns the receipt's number."""
    paid = db.execute(
        "UPDATE accounts SET balance = balance - ? WHERE name = ? AND balance >= ?", (amount, customer, amount)
    )
    if paid.rowcount == 0:
        raise Refused(f"{customer}'s payment was declined")
    db.execute("UPDATE accounts SET balance = balance + ? WHERE name = '(till)'", (amount,))
    receipt = db.execute("INSERT INTO receipts (order_id, amount) VALUES (?, ?)", (order_id, amount))
    return f"R{receipt.lastrowid:05d}"


@troth.step(on=mail, role="retriable")  # may be late, may be tried often, will be done
def notify(db: Connection, order_id: str, customer: str, text: str) -> None:
    """Tell the customer."""
    db.execute("INSERT INTO messages (order_id, customer, text) VALUES (?, ?, ?)", (order_id, customer, text))


@troth.saga(gid=lambda order: f"order-{order.id}")  # the same order twice is the same transaction
def place_order(order: Order) -> str:
    """Place an order, whole or not at all; returns the receipt's number."""
    create_order(order.id, order.customer, order.amount)
    for line in order.lines:
        reserve(line.sku, line.n)
    receipt = charge(order.id, order.customer, order.amount)
    notify(order.id, order.customer, f"Thank you, {order.customer}. Your receipt is {receipt}.")
    return receipt
