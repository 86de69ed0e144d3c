"""A small shop on a log of its own, and looks at that log from outside."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections import Counter
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from troth import Troth
from troth.adapters.stores.sqlite import SqliteViewer
from troth.ports.store import Record


@dataclasses.dataclass
class Line:
    """A part of an order."""

    sku: str
    price: float | None = None
    weight: Decimal | None = None
    tags: Any = None


@dataclasses.dataclass
class Order:
    """What a customer wants."""

    id: int
    lines: list[Line]
    note: str = ""


class Shop:
    """A Troth object with two steps and a saga; its effects are counted in memory.

    :ivar path: the log's file.
    :ivar happened: how often each (op, order) was done.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log.db"
        self.app = Troth(f"sqlite:///{self.path}", drain=5.0)
        self.happened: Counter[tuple[str, int]] = Counter()

        @self.app.step(name="reserve", guarded=True)
        def reserve(order: int, lines: list[Line]) -> list[Line]:
            self.happened["reserve", order] += 1
            return lines

        @reserve.compensate
        def release(order: int, lines: list[Line]) -> None:
            self.happened["release", order] += 1

        @self.app.saga(name="place-order", gid=lambda order: f"order-{order.id}")
        def place_order(order: Order) -> int:
            reserve(order.id, order.lines)
            return order.id

        self.reserve = reserve
        self.place_order = place_order


def order(number: int = 1, *lines: Line, note: str = "") -> Order:
    """An order."""
    return Order(number, list(lines) or [Line("tea", 2.5)], note)


def log_of(path: Path) -> dict[str, Record]:
    """What the log holds, read from outside; the file itself is in order."""
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with SqliteViewer(str(path)) as log:
        return {record.gid: record for record in log.find(limit=10_000)}
