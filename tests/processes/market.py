"""A market in two SQLite databases: who buys pays, and gets the thing; every effect leaves a row. Shared by all processes."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from troth import Refused, Troth

HOME = Path(os.environ.get("MARKET_HOME", ".")).absolute()
PACE = float(os.environ.get("MARKET_PACE", "0.002"))
"""Seconds that an effect takes: what a kill can fall into."""
MONEY, THINGS = 1_000_000, 1_000_000

troth = Troth(f"sqlite:///{HOME}/log.db", drain=20)
bank = troth.database("bank", f"sqlite:///{HOME}/bank.db")
stock = troth.database("stock", f"sqlite:///{HOME}/stock.db")


def make_databases(home: Path) -> None:
    """Two sides of each book, and a row for each effect that stands."""
    for database, amount in (("bank", MONEY), ("stock", THINGS)):
        db = sqlite3.connect(home / f"{database}.db")
        db.executescript(
            f"""
            PRAGMA journal_mode = WAL;
            CREATE TABLE book (side TEXT PRIMARY KEY, amount INTEGER NOT NULL);
            CREATE TABLE effect (gid TEXT NOT NULL, step TEXT NOT NULL);
            INSERT INTO book VALUES ('ours', {amount}), ('theirs', 0);
            """
        )
        db.close()


def move(db: Any, n: int, step: str) -> None:
    """From our side to theirs, noted under the transaction."""
    db.execute("UPDATE book SET amount = amount - ? WHERE side = 'ours'", (n,))
    time.sleep(PACE)  # simulates a database that takes its time
    db.execute("UPDATE book SET amount = amount + ? WHERE side = 'theirs'", (n,))
    db.execute("INSERT INTO effect VALUES (?, ?)", (troth.current().gid, step))


def move_back(db: Any, n: int, step: str) -> None:
    """Undo it, and its note."""
    db.execute("UPDATE book SET amount = amount + ? WHERE side = 'ours'", (n,))
    time.sleep(PACE)  # simulates a database that takes its time
    db.execute("UPDATE book SET amount = amount - ? WHERE side = 'theirs'", (n,))
    gone = db.execute("DELETE FROM effect WHERE gid = ? AND step = ?", (troth.current().gid, step))
    assert gone.rowcount == 1


@troth.step(on=bank, name="pay", interval=0.05)
def pay(db: Any, n: int) -> int:
    move(db, n, "pay")
    return n


@pay.compensate
def repay(db: Any, n: int) -> None:
    move_back(db, n, "pay")


@troth.step(on=stock, name="ship", interval=0.05)
def ship(db: Any, n: int) -> int:
    if n % 5 == 0:
        raise Refused("no thing of that size")
    move(db, n, "ship")
    return n


@ship.compensate
def unship(db: Any, n: int) -> None:
    move_back(db, n, "ship")


@troth.step(on=bank, name="seal-it", role="pivot", interval=0.05)
def seal_it(db: Any, n: int) -> int:
    if n % 7 == 0:
        raise Refused("not on a seventh")
    move(db, n, "seal-it")
    return n


@troth.step(on=stock, name="thank", role="retriable", interval=0.05)
def thank(db: Any, n: int) -> int:
    move(db, n, "thank")
    return n


@troth.saga(name="buy", timeout=120)
def buy(n: int) -> int:
    """The sync form, past a pivot."""
    return pay(n) + ship(n) + seal_it(n) + thank(n)


@troth.saga(name="abuy", timeout=120)
async def abuy(n: int) -> int:
    """The async form, side by side."""
    paid, shipped = await troth.gather(pay.aio(n), ship.aio(n))
    return int(paid + shipped)


buy_graph = troth.graph("buy-graph", input=int, timeout=120)
_paid = buy_graph.step(pay, args={"n": buy_graph.input})
_shipped = buy_graph.step(ship, args={"n": buy_graph.input})
_sealed = buy_graph.step(seal_it, after=[_paid, _shipped], args={"n": buy_graph.input})
_thanked = buy_graph.step(thank, after=_sealed, args={"n": buy_graph.input})
buy_graph.returns(_thanked.result)

EFFECTS = {"buy": {"pay", "ship", "seal-it", "thank"}, "abuy": {"pay", "ship"}}
EFFECTS["buy-graph"] = EFFECTS["buy"]
VALUES = {"buy": 4, "abuy": 2, "buy-graph": 1}
"""What a confirmed purchase returns, in multiples of n."""
