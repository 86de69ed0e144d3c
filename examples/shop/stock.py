"""The stock service: a catalogue to look at, and shelves to take things from."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from fastapi import FastAPI

from examples.shop.settings import SECRET, database
from troth import Refused, Troth

troth = Troth()
shelves = troth.database("stock", database("stock"))
app = FastAPI(title="stock")
app.mount("/troth", troth.routes(secret=SECRET))


# --- ordinary orders


@troth.step(on=shelves)
def reduce_stock(db: Connection, sku: str, n: int) -> int:
    """Take n of an item off the shelf; returns how many are left."""
    row = db.execute("UPDATE stock SET n = n - ? WHERE sku = ? AND n >= ? RETURNING n", (n, sku, n)).fetchone()
    if row is None:
        raise Refused(f"{sku} is sold out")
    return int(row[0])


@reduce_stock.compensate
def put_back(db: Connection, sku: str, n: int) -> None:
    """Put them on the shelf again."""
    db.execute("UPDATE stock SET n = n + ? WHERE sku = ?", (n, sku))


# --- flash sales


@dataclass(frozen=True)
class Frozen:
    """So many of an item, that nobody else can have."""

    sku: str
    n: int


@troth.tcc(on=shelves)
class Shelf:
    """Pieces that are frozen until it is decided who gets them."""

    def try_(self, db: Connection, sku: str, n: int) -> Frozen:
        """Freeze them."""
        taken = db.execute("UPDATE stock SET n = n - ?, frozen = frozen + ? WHERE sku = ? AND n >= ?", (n, n, sku, n))
        if taken.rowcount == 0:
            raise Refused(f"{sku} is sold out")
        return Frozen(sku, n)

    def confirm(self, db: Connection, hold: Frozen) -> None:
        """They leave the house."""
        db.execute("UPDATE stock SET frozen = frozen - ? WHERE sku = ?", (hold.n, hold.sku))

    def cancel(self, db: Connection, hold: Frozen | None) -> None:
        """Release them."""
        if hold is not None:
            db.execute("UPDATE stock SET n = n + ?, frozen = frozen - ? WHERE sku = ?", (hold.n, hold.n, hold.sku))


# --- the pre-check


@app.get("/catalogue/{sku}")
def look(sku: str) -> dict[str, int]:
    """How many the catalogue says there are. It is printed now and then, so the shelf may know better."""
    row = shelves.plain(lambda db: db.execute("SELECT shown FROM stock WHERE sku = ?", (sku,)).fetchone())
    return {"shown": int(row[0]) if row else 0}
