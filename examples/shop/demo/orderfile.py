"""The shipped orders, each with the outcome that it must have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from examples.shop.opening import FILES, Opening

REJECTED = "rejected"
"""Said no to at the pre-check: no transaction was begun."""


class Entry(NamedTuple):
    """One line of the order file.

    :param order: the order as JSON has it: what the gateway is sent.
    :param expected: the state that its transaction must end in, or `REJECTED`.
    :param reason: why, if it doesn't go through.
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
    def pattern(self) -> str:
        """What it is placed by."""
        return "tcc" if self.order["kind"] == "flash" else "saga"

    def amount(self, opening: Opening) -> int:
        """What it costs, in cents."""
        price = sum(line["n"] * line["price"] for line in self.order["lines"])
        return int(price * (100 - opening.coupons.get(self.order.get("coupon", ""), 0)) // 100)


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
