"""A stock service for the tests of serving: guarded steps of both colours, a bare one, some that hang until they are let go."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from troth import Ongoing, Refused, Troth


@dataclass
class Stock:
    """The service: its Troth object, and what a test holds it by.

    :ivar gate: `slow` and `aslow` wait for it.
    :ivar entered: released once for each call that has come to the gate.
    :ivar runs: names of what was run, in order.
    """

    troth: Troth
    gate: threading.Event = field(default_factory=threading.Event)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    runs: list[str] = field(default_factory=list)


def open_stock(home: Path) -> Stock:
    """Ten of sku a, none of b."""
    troth = Troth(f"sqlite:///{home}/log.db")
    database = troth.database("stock", f"sqlite:///{home}/stock.db")
    stock = Stock(troth)
    database.plain(fill)
    define_stock(troth, database, stock)
    define_tcc(troth, database, stock)
    define_odd(troth, stock)
    return stock


def fill(db: Any) -> None:
    """The tables."""
    db.execute("CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, n INTEGER)")
    db.execute("INSERT OR IGNORE INTO stock VALUES ('a', 10), ('b', 0)")


def left(stock: Stock, sku: str = "a") -> int:
    """How many there are."""
    row = stock.troth.databases["stock"].plain(lambda db: db.execute("SELECT n FROM stock WHERE sku = ?", (sku,)).fetchone())
    found: int = row[0]
    return found


def define_stock(troth: Troth, database: Any, stock: Stock) -> None:
    """The steps whose effect is in the database."""

    @troth.step(on=database, name="stock.reserve", aliases=("stock.take",))
    def reserve(db: Any, sku: str, n: int) -> int:
        stock.runs.append("reserve")
        row = db.execute("UPDATE stock SET n = n - ? WHERE sku = ? AND n >= ? RETURNING n", (n, sku, n)).fetchone()
        if row is None:
            raise Refused(f"{sku} is sold out")
        found: int = row[0]
        return found

    @reserve.compensate
    def release(db: Any, sku: str, n: int) -> None:
        stock.runs.append("release")
        db.execute("UPDATE stock SET n = n + ? WHERE sku = ?", (n, sku))

    @troth.step(on=database, name="stock.slow", compensate=None)
    def slow(db: Any, sku: str) -> str:
        stock.runs.append("slow")
        stock.entered.release()
        assert stock.gate.wait(30)
        db.execute("UPDATE stock SET n = n - 1 WHERE sku = ?", (sku,))
        return "slow"

    @troth.step(on=database, name="stock.broken", compensate=None)
    def broken(db: Any, sku: str) -> None:
        db.execute("UPDATE stock SET n = 0 WHERE sku = ?", (sku,))
        raise RuntimeError("the shelf fell over")

    @troth.step(on=database, name="stock.huge", compensate=None)
    def huge(db: Any, sku: str) -> str:
        db.execute("UPDATE stock SET n = n - 1 WHERE sku = ?", (sku,))
        return "x" * 70_000


def define_tcc(troth: Troth, database: Any, stock: Stock) -> None:
    """A TCC class: what is on hold has left the shelf."""

    @troth.tcc(on=database, name="stock.Hold")
    class Hold:
        def try_(self, db: Any, sku: str, n: int) -> int:
            stock.runs.append("try")
            if not db.execute("UPDATE stock SET n = n - ? WHERE sku = ? AND n >= ?", (n, sku, n)).rowcount:
                raise Refused(f"{sku} is sold out")
            return n

        def confirm(self, db: Any, hold: int) -> None:
            stock.runs.append(f"confirm {hold}")

        def cancel(self, db: Any, hold: int | None) -> None:
            stock.runs.append(f"cancel {hold}")
            db.execute("UPDATE stock SET n = n + ? WHERE sku = 'a'", (hold,))


def define_odd(troth: Troth, stock: Stock) -> None:
    """The steps that guard themselves, and one that doesn't."""

    @troth.step(guarded=True, name="stock.weigh", compensate=None)
    async def weigh(sku: str) -> str:
        stock.runs.append("weigh")
        await asyncio.sleep(0)
        return f"{sku} on loop {id(asyncio.get_running_loop())}"

    @troth.step(guarded=True, name="stock.aslow", compensate=None)
    async def aslow(sku: str) -> str:
        stock.runs.append("aslow")
        stock.entered.release()
        await asyncio.to_thread(stock.gate.wait, 30)
        return "aslow"

    @troth.step(guarded=True, name="stock.stuck", compensate=None)
    def stuck(sku: str) -> str:
        stock.runs.append("stuck")
        stock.entered.release()
        assert stock.gate.wait(30)
        return "stuck"

    @troth.step(guarded=True, name="stock.count", compensate=None)
    async def count(sku: str) -> str:
        raise Ongoing(7)

    @troth.step(guarded=True, name="stock.endless", timeout=0.05, compensate=None)
    async def endless(sku: str) -> None:
        await asyncio.Event().wait()

    @troth.step(guarded=True, name="stock.cancels", compensate=None)
    async def cancels(sku: str) -> None:
        raise asyncio.CancelledError

    @troth.step(guarded=True, name="stock.where", compensate=None)
    def where(sku: str) -> list[str]:
        return [threading.current_thread().name, troth.current().idempotency_key]

    @troth.step(name="stock.mail", compensate=None)
    def mail(to: str) -> None:
        stock.runs.append("mail")
