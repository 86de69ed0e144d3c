"""Opening day: five databases with their tables, full shelves and everybody's money. ``python -m examples.shop.opening``"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from examples.shop.settings import HOME

FILES = Path(__file__).parent
TILL = "(till)"
TABLES = {
    "orders": (
        "CREATE TABLE orders (id TEXT, customer TEXT, amount INTEGER, state TEXT, changes INTEGER DEFAULT 0)",
        "CREATE TABLE coupons (code TEXT PRIMARY KEY, percent INTEGER)",
    ),
    "stock": (
        "CREATE TABLE stock (sku TEXT PRIMARY KEY, n INTEGER CHECK (n >= 0), frozen INTEGER CHECK (frozen >= 0), shown INTEGER)",
    ),
    "payment": (
        "CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER CHECK (balance >= 0), frozen INTEGER CHECK (frozen >= 0))",
        "CREATE TABLE receipts (number INTEGER PRIMARY KEY, order_id TEXT, amount INTEGER, refunded INTEGER DEFAULT 0)",
    ),
    "logistics": (
        "CREATE TABLE vans (place TEXT PRIMARY KEY, room INTEGER CHECK (room >= 0), kept INTEGER CHECK (kept >= 0))",
        "CREATE TABLE parcels (number INTEGER PRIMARY KEY, order_id TEXT, place TEXT)",
    ),
    "notification": (
        "CREATE TABLE messages (order_id TEXT, customer TEXT, text TEXT)",
    ),
}
"""Nothing in them makes a repeated effect harmless (no unique order ids): a repeat would be seen."""


class Opening(NamedTuple):
    """What there is before the first order.

    :param stock: pieces by item: ample, or none.
    :param shown: what the catalogue says of items about which it is wrong.
    :param customers: cents by customer: ample, or less than anything costs.
    :param vans: room by place: ample, or none.
    :param coupons: percent by code; 0: expired.
    """

    stock: dict[str, int]
    shown: dict[str, int]
    customers: dict[str, int]
    vans: dict[str, int]
    coupons: dict[str, int]


def read_opening() -> Opening:
    """The shipped stock, balances, vans and coupons."""
    return Opening(**json.loads((FILES / "opening.json").read_text(encoding="utf-8")))


def make_databases(home: Path, opening: Opening) -> None:
    """Make the five databases of a new shop below a folder."""
    stock = ((sku, n, 0, opening.shown.get(sku, n)) for sku, n in opening.stock.items())
    accounts = ((name, cents, 0) for name, cents in ({**opening.customers, TILL: 0}).items())
    _make(home, "orders", "INSERT INTO coupons VALUES (?, ?)", opening.coupons.items())
    _make(home, "stock", "INSERT INTO stock VALUES (?, ?, ?, ?)", stock)
    _make(home, "payment", "INSERT INTO accounts VALUES (?, ?, ?)", accounts)
    _make(home, "logistics", "INSERT INTO vans VALUES (?, ?, 0)", opening.vans.items())
    _make(home, "notification")


def _make(home: Path, name: str, insert: str = "", rows: Iterable[tuple[Any, ...]] = ()) -> None:
    with closing(sqlite3.connect(home / f"{name}.db")) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        for table in TABLES[name]:
            db.execute(table)
        if insert:
            db.executemany(insert, rows)


if __name__ == "__main__":
    make_databases(HOME, read_opening())
    print(f"the shop's databases are in {HOME}")
