"""The notification service: tells customers, once, that their order goes through."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from fastapi import FastAPI

from examples.shop.settings import SECRET, database
from troth import Troth

troth = Troth()
mail = troth.database("notification", database("notification"))
app = FastAPI(title="notification")
app.mount("/troth", troth.routes(secret=SECRET))


# --- ordinary orders


@troth.step(on=mail, role="retriable")  # may be late, may be tried often, will be done
def notify(db: Connection, order_id: str, customer: str, text: str) -> None:
    """Tell the customer."""
    send(db, Letter(order_id, customer, text))


# --- flash sales


@dataclass(frozen=True)
class Letter:
    """What a customer is to be told."""

    order_id: str
    customer: str
    text: str


@troth.tcc(on=mail)
class Notice:
    """A letter that is sent if it comes to that. Confirms come after the decision: nobody waits for them."""

    def try_(self, db: Connection, order_id: str, customer: str, text: str) -> Letter:
        """Draft it."""
        db.execute("INSERT INTO drafts (order_id) VALUES (?)", (order_id,))
        return Letter(order_id, customer, text)

    def confirm(self, db: Connection, hold: Letter) -> None:
        """Send it."""
        tear_up(db, hold)
        send(db, hold)

    def cancel(self, db: Connection, hold: Letter | None) -> None:
        """Tear it up."""
        if hold is not None:
            tear_up(db, hold)


def send(db: Connection, letter: Letter) -> None:
    """A message that is out."""
    row = (letter.order_id, letter.customer, letter.text)
    db.execute("INSERT INTO messages (order_id, customer, text) VALUES (?, ?, ?)", row)


def tear_up(db: Connection, letter: Letter) -> None:
    """The draft isn't needed any more."""
    db.execute("DELETE FROM drafts WHERE order_id = ?", (letter.order_id,))


@app.get("/messages/{order_id}")
def messages(order_id: str) -> list[str]:
    """What was sent about an order."""
    query = "SELECT text FROM messages WHERE order_id = ?"
    return [str(row[0]) for row in mail.plain(lambda db: db.execute(query, (order_id,)).fetchall())]
