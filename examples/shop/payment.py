"""The payment service: everybody's account, and the shop's till."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from fastapi import FastAPI

from examples.shop.settings import SECRET, database
from troth import Refused, Troth

TILL = "(till)"

troth = Troth()
accounts = troth.database("payment", database("payment"))
app = FastAPI(title="payment")
app.mount("/troth", troth.routes(secret=SECRET))


# --- ordinary orders


@troth.step(on=accounts)
def charge(db: Connection, order_id: str, customer: str, amount: int) -> str:
    """Move the money into the till; returns the receipt's number."""
    paid = db.execute("UPDATE accounts SET balance = balance - ? WHERE name = ? AND balance >= ?", (amount, customer, amount))
    if paid.rowcount == 0:
        raise Refused(f"{customer}'s payment was declined")
    return receive(db, order_id, amount)


@charge.compensate
def refund(db: Connection, order_id: str, customer: str, amount: int) -> None:
    """Move it back."""
    db.execute("UPDATE accounts SET balance = balance + ? WHERE name = ?", (amount, customer))
    db.execute("UPDATE accounts SET balance = balance - ? WHERE name = ?", (amount, TILL))
    db.execute("UPDATE receipts SET refunded = refunded + 1 WHERE order_id = ?", (order_id,))


# --- flash sales


@dataclass(frozen=True)
class Frozen:
    """Money of a customer's that nobody can spend."""

    order_id: str
    customer: str
    amount: int


@troth.tcc(on=accounts)
class Wallet:
    """Money that is frozen until it is decided whose it is."""

    def try_(self, db: Connection, order_id: str, customer: str, amount: int) -> Frozen:
        """Freeze it."""
        put = "UPDATE accounts SET balance = balance - ?, frozen = frozen + ? WHERE name = ? AND balance >= ?"
        if db.execute(put, (amount, amount, customer, amount)).rowcount == 0:
            raise Refused(f"{customer}'s payment was declined")
        return Frozen(order_id, customer, amount)

    def confirm(self, db: Connection, hold: Frozen) -> None:
        """Deduct it."""
        db.execute("UPDATE accounts SET frozen = frozen - ? WHERE name = ?", (hold.amount, hold.customer))
        receive(db, hold.order_id, hold.amount)

    def cancel(self, db: Connection, hold: Frozen | None) -> None:
        """Unfreeze it."""
        if hold is not None:
            put = "UPDATE accounts SET balance = balance + ?, frozen = frozen - ? WHERE name = ?"
            db.execute(put, (hold.amount, hold.amount, hold.customer))


def receive(db: Connection, order_id: str, amount: int) -> str:
    """Put money into the till and write a receipt; returns its number."""
    db.execute("UPDATE accounts SET balance = balance + ? WHERE name = ?", (amount, TILL))
    receipt = db.execute("INSERT INTO receipts (order_id, amount) VALUES (?, ?)", (order_id, amount))
    return f"R{receipt.lastrowid:05d}"
