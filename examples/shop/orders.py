"""The order service: the book of orders, and the coupons."""

from __future__ import annotations

from sqlite3 import Connection

from fastapi import FastAPI, HTTPException

from examples.shop.settings import SECRET, database
from troth import Refused, Troth

troth = Troth()  # it begins nothing of its own, so this opens no log: it serves what is defined below
book = troth.database("orders", database("orders"))
app = FastAPI(title="orders")
app.mount("/troth", troth.routes(secret=SECRET))


# --- ordinary orders: a saga's step, and what undoes it


@troth.step(on=book)
def create_order(db: Connection, order_id: str, customer: str, price: int, coupon: str) -> int:
    """Write the order into the book; returns what it costs with its coupon, in cents."""
    amount = price * (100 - percent(db, coupon)) // 100
    write(db, order_id, customer, amount, "placed")
    return amount


@create_order.compensate
def strike_out(db: Connection, order_id: str, customer: str, price: int, coupon: str) -> None:
    """The order is not to be."""
    become(db, order_id, "cancelled")


# --- flash sales: try, confirm, cancel


@troth.tcc(on=book)
class Entry:
    """An order that is pending until it is decided."""

    def try_(self, db: Connection, order_id: str, customer: str, price: int) -> str:
        """Pencil it in."""
        write(db, order_id, customer, price, "pending")
        return order_id

    def confirm(self, db: Connection, hold: str) -> None:
        """It is placed."""
        become(db, hold, "placed")

    def cancel(self, db: Connection, hold: str | None) -> None:
        """It is not to be."""
        if hold is not None:
            become(db, hold, "cancelled")


def write(db: Connection, order_id: str, customer: str, amount: int, state: str) -> None:
    """A new row in the book."""
    db.execute("INSERT INTO orders (id, customer, amount, state) VALUES (?, ?, ?, ?)", (order_id, customer, amount, state))


def become(db: Connection, order_id: str, state: str) -> None:
    """Change an order's state; how often that is done is counted."""
    db.execute("UPDATE orders SET state = ?, changes = changes + 1 WHERE id = ?", (state, order_id))


# --- the pre-check


@app.get("/coupons/{code}")
def coupon(code: str) -> dict[str, int]:
    """What a coupon takes off, in percent; 409 if it is none any more."""
    try:
        return {"percent": book.plain(lambda db: percent(db, code))}
    except Refused as no:
        raise HTTPException(409, str(no)) from no


def percent(db: Connection, code: str) -> int:
    """What a coupon takes off.

    :raises Refused: if it has expired, or never was.
    """
    if not code:
        return 0
    row = db.execute("SELECT percent FROM coupons WHERE code = ?", (code,)).fetchone()
    if row is None:
        raise Refused(f"there is no coupon {code}")
    if row[0] == 0:
        raise Refused(f"coupon {code} has expired")
    return int(row[0])
