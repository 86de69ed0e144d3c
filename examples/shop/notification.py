"""The notification service: tells customers, once, that their order goes through."""

from __future__ import annotations

from sqlite3 import Connection

from fastapi import FastAPI

from examples.shop.settings import SECRET, database
from troth import Troth

troth = Troth()
mail = troth.database("notification", database("notification"))
app = FastAPI(title="notification")
app.mount("/troth", troth.routes(secret=SECRET))


@troth.step(on=mail, role="retriable")  # may be late, may be tried often, will be done
def notify(db: Connection, order_id: str, customer: str, text: str) -> None:
    """Tell the customer."""
    db.execute("INSERT INTO messages (order_id, customer, text) VALUES (?, ?, ?)", (order_id, customer, text))


@app.get("/messages/{order_id}")
def messages(order_id: str) -> list[str]:
    """What was sent about an order."""
    query = "SELECT text FROM messages WHERE order_id = ?"
    return [str(row[0]) for row in mail.plain(lambda db: db.execute(query, (order_id,)).fetchall())]
