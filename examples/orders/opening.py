"""Opening day: the four databases with their tables, full shelves and everybody's money; and the shipped orders."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

FILES = Path(__file__).parent

TILL = "(till)"
TABLES = {
    "orders": "CREATE TABLE orders (id TEXT, customer TEXT, amount INTEGER, cancelled INTEGER DEFAULT 0)",
    "stock": "CREATE TABLE stock (sku TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0))",
    "payments": "CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))",
    "mail": "CREATE TABLE messages (order_id TEXT, customer TEXT, text TEXT)",
}
"""Nothing in them makes a repeated effect harmless (no unique order ids): a repeat would be seen."""


class Opening(NamedTuple):
    """What there is before the first order.

    :param stock: pieces by item: ample, or none.
    :param customers: cents by customer: ample, or less than anything costs.
    """

    stock: dict[str, int]
    customers: dict[str, int]


class Entry(NamedTuple):
    """One line of the order file.

    :param order: the order as JSON has it: id, customer, lines.
    :param expected: the state that it must end in.
    :param reason: why, if it is to be cancelled.
    """

    order: dict[str, Any]
    expected: str
    reason: str

    @property
    def id(self) -> str:
        """The order's id."""
        return str(self.order["id"])

    @property
    def gid(self) -> str:
        """Its transaction's."""
        return f"order-{self.id}"

    @property
    def amount(self) -> int:
        """What it costs, in cents."""
        return sum(line["n"] * line["price"] for line in self.order["lines"])


def read_opening() -> Opening:
    """The shipped stock and balances."""
    return Opening(**json.loads((FILES / "opening.json").read_text(encoding="utf-8")))


def read_orders(count: int | None = None) -> list[Entry]:
    """The shipped orders; with a count so many of them, beginning anew under other ids where the file ends."""
    lines = (FILES / "orders.jsonl").read_text(encoding="utf-8").splitlines()
    shipped = [json.loads(line) for line in lines]
    return list(_take(shipped, len(shipped) if count is None else count))


def _take(shipped: list[dict[str, Any]], count: int) -> Iterator[Entry]:
    for number in range(count):
        round_, index = divmod(number, len(shipped))
        order = dict(shipped[index])
        expected, reason = order.pop("expected"), order.pop("reason", "")
        if round_:
            order["id"] = f"{order['id']}.{round_ + 1}"
        yield Entry(order, expected, reason)


def make_databases(home: Path, opening: Opening) -> None:
    """Make the four databases of a new shop below a folder."""
    accounts = {**opening.customers, TILL: 0}
    _make(home, "orders")
    _make(home, "stock", "INSERT INTO stock VALUES (?, ?)", opening.stock.items())
    _make(home, "payments", "INSERT INTO accounts VALUES (?, ?)", accounts.items(),
          "CREATE TABLE receipts (number INTEGER PRIMARY KEY, order_id TEXT, amount INTEGER)")
    _make(home, "mail")


def _make(home: Path, name: str, insert: str = "", rows: Iterable[tuple[str, int]] = (), also: str = "") -> None:
    with closing(sqlite3.connect(home / f"{name}.db")) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(TABLES[name])
        if also:
            db.execute(also)
        if insert:
            db.executemany(insert, rows)
