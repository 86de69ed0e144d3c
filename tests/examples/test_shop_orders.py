"""The shop's order file: what it says of itself must follow from the opening stock, balances, vans and coupons."""

from __future__ import annotations

from collections import Counter

from examples.shop.demo.orderfile import REJECTED, Entry, read_orders
from examples.shop.opening import FILES, Opening, read_opening


def obstacles(entry: Entry, opening: Opening) -> list[tuple[str, str]]:
    """Everything that stands in an order's way, whoever comes first: every item is ample or nil, everybody rich or broke."""
    order = entry.order
    coupon = order.get("coupon", "")
    found = []
    if coupon and order["kind"] == "flash":
        found.append((REJECTED, "coupons are not taken in a flash sale"))
    elif coupon and not opening.coupons[coupon]:
        found.append((REJECTED, f"coupon {coupon} has expired"))
    for line in order["lines"]:
        if opening.stock[line["sku"]] == 0:
            known = opening.shown.get(line["sku"], 0) < line["n"]
            found.append((REJECTED if known else "cancelled", f"{line['sku']} is sold out"))
    if opening.customers[order["customer"]] < entry.amount(opening):
        found.append(("cancelled", f"{order['customer']}'s payment was declined"))
    if opening.vans[order["place"]] == 0:
        found.append(("cancelled", f"no van drives to the {order['place']}"))
    return found


def test_every_expected_outcome_follows_from_what_there_is() -> None:
    """The file's outcomes are those of the shop's own rules; where services are asked side by side, one at most says no."""
    opening = read_opening()
    for entry in read_orders():
        found = obstacles(entry, opening)
        assert len(found) <= 1, entry.id
        assert (entry.expected, entry.reason) == (found[0] if found else ("confirmed", "")), entry.id


def test_no_outcome_depends_on_who_comes_first() -> None:
    """What isn't nil suffices for all orders ten times over, and who is broke can't pay for even the cheapest."""
    opening, entries = read_opening(), read_orders()
    pieces: Counter[str] = Counter()
    cents: Counter[str] = Counter()
    for entry in entries:
        cents[entry.order["customer"]] += entry.amount(opening)
        for line in entry.order["lines"]:
            pieces[line["sku"]] += line["n"]
    assert all(opening.stock[sku] == 0 or opening.stock[sku] > 10 * n for sku, n in pieces.items())
    cheapest = min(entry.amount(opening) for entry in entries)
    assert all(balance < cheapest or balance > 10 * cents[name] for name, balance in opening.customers.items())
    assert all(room == 0 or room > 10 * len(entries) for room in opening.vans.values())


def test_the_file_has_orders_of_every_kind_from_beginning_to_end() -> None:
    """Every sixty orders in a row hold both patterns with each outcome."""
    entries = read_orders()
    assert len(entries) >= 200
    for start in range(0, len(entries) - 60, 20):
        kinds = {(entry.pattern, entry.expected) for entry in entries[start : start + 60]}
        assert kinds == {(pattern, outcome) for pattern in ("saga", "tcc") for outcome in ("confirmed", "cancelled", REJECTED)}


def test_more_orders_than_the_file_has_get_other_ids() -> None:
    """A longer run goes round the file again, and no id comes twice."""
    shipped = len((FILES / "orders.jsonl").read_text(encoding="utf-8").splitlines())
    ids = [entry.id for entry in read_orders(2 * shipped + 5)]
    assert len(ids) == len(set(ids)) == 2 * shipped + 5
