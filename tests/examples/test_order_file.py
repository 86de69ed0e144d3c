"""The demo's order file: what it says of itself must follow from the opening stock and balances."""

from __future__ import annotations

import re
from collections import Counter

from examples.orders.opening import FILES, Entry, Opening, read_opening, read_orders


def outcome(entry: Entry, opening: Opening) -> tuple[str, str]:
    """What must become of an order, whoever comes first: every item is ample or nil, everybody rich or broke."""
    for line in entry.order["lines"]:
        if opening.stock[line["sku"]] == 0:
            return "cancelled", f"{line['sku']} is sold out"
    if opening.customers[entry.order["customer"]] < entry.amount:
        return "cancelled", f"{entry.order['customer']}'s payment was declined"
    return "confirmed", ""


def test_every_expected_outcome_follows_from_what_there_is() -> None:
    """The file's outcomes are those of the shop's own rules."""
    opening = read_opening()
    wrong = [entry.id for entry in read_orders() if (entry.expected, entry.reason) != outcome(entry, opening)]
    assert not wrong


def test_no_outcome_depends_on_who_comes_first() -> None:
    """What isn't nil suffices for all orders ten times over, and who is broke can't pay for even the cheapest."""
    opening, entries = read_opening(), read_orders()
    pieces = Counter({line["sku"]: 0 for entry in entries for line in entry.order["lines"]})
    cents: Counter[str] = Counter()
    for entry in entries:
        cents[entry.order["customer"]] += entry.amount
        for line in entry.order["lines"]:
            pieces[line["sku"]] += line["n"]
    assert all(opening.stock[sku] == 0 or opening.stock[sku] > 10 * n for sku, n in pieces.items())
    cheapest = min(entry.amount for entry in entries)
    assert all(balance < cheapest or balance > 10 * cents[name] for name, balance in opening.customers.items())


def test_the_file_has_orders_of_every_kind_from_beginning_to_end() -> None:
    """Every thirty orders in a row hold some that go through, some that can't be paid and some that are sold out."""
    entries = read_orders()
    assert len(entries) >= 200
    for start in range(0, len(entries) - 30, 10):
        kinds = {re.sub(r"^\S+ ", "", entry.reason) for entry in entries[start : start + 30]}
        assert kinds == {"", "is sold out", "payment was declined"}


def test_more_orders_than_the_file_has_get_other_ids() -> None:
    """A longer run goes round the file again, and no id comes twice."""
    shipped = len((FILES / "orders.jsonl").read_text(encoding="utf-8").splitlines())
    ids = [entry.id for entry in read_orders(2 * shipped + 5)]
    assert len(ids) == len(set(ids)) == 2 * shipped + 5
