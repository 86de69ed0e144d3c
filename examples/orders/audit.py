"""After the run: what must hold, checked in the log and the four databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from examples.orders.evidence import Evidence, Stored
from examples.orders.front import Front
from examples.orders.opening import TILL, Entry, Opening

TIMEOUTS = 0.02
"""Part of the orders that may be cancelled by a timeout instead of ending as expected."""

MANY = 20
"""Kills of a run that is long enough for all of them and all places."""


class Books(NamedTuple):
    """All that is audited."""

    entries: list[Entry]
    opening: Opening
    evidence: Evidence
    front: Front
    log: dict[str, Stored]

    @property
    def confirmed(self) -> list[Entry]:
        """The orders that went through, as the log says."""
        return [entry for entry in self.entries if entry.gid in self.log and self.log[entry.gid].state == "confirmed"]


Check = Callable[[Books], Iterator[str]]


def stock_conserved(books: Books) -> Iterator[str]:
    """What is missing on the shelves is what confirmed orders took, to the last piece."""
    sold: Counter[str] = Counter()
    for entry in books.confirmed:
        for line in entry.order["lines"]:
            sold[line["sku"]] += line["n"]
    left: dict[str, int] = dict(books.evidence.rows("stock", "SELECT sku, n FROM stock"))
    for sku, n in books.opening.stock.items():
        if left.get(sku) != n - sold[sku]:
            yield f"{sku}: {n} at first, {sold[sku]} sold, {left.get(sku)} left"


def money_conserved(books: Books) -> Iterator[str]:
    """Each customer paid for the confirmed orders and nothing else, and the till has it all, to the last cent."""
    paid: Counter[str] = Counter()
    for entry in books.confirmed:
        paid[entry.order["customer"]] += entry.amount
    left: dict[str, int] = dict(books.evidence.rows("payments", "SELECT name, balance FROM accounts"))
    for name, cents in books.opening.customers.items():
        if left.get(name) != cents - paid[name]:
            yield f"{name}: {cents} cents at first, {paid[name]} to be paid, {left.get(name)} left"
    if left.get(TILL) != paid.total():
        yield f"the till has {left.get(TILL)} cents, {paid.total()} were paid"


def effects_once(books: Books) -> Iterator[str]:
    """A confirmed order is written, paid and announced once; a cancelled one struck out, not paid, not announced."""
    rows = books.evidence.rows
    written = rows("orders", "SELECT id, count(*), sum(cancelled) FROM orders GROUP BY id")
    book = {row[0]: tuple(row[1:]) for row in written}
    receipts = Counter(row[0] for row in rows("payments", "SELECT order_id FROM receipts"))
    messages = Counter(row[0] for row in rows("mail", "SELECT order_id FROM messages"))
    for entry in books.entries:
        stored = books.log.get(entry.gid)
        found = (book.get(entry.id), receipts[entry.id], messages[entry.id])
        kept = stored is not None and stored.state == "confirmed"
        if found not in ([((1, 0), 1, 1)] if kept else [((1, 1), 0, 0), (None, 0, 0)]):
            state = stored.state if stored else "not in the log"
            yield f"order {entry.id}, {state}: (written, struck out), paid, announced: {found}"
    yield from (f"more than once: {what}" for what in books.front.tally.twice)


def orders_as_expected(books: Books) -> Iterator[str]:
    """Every order ended as the file says, but for at most 2 % that a timeout cancelled."""
    late = []
    for entry in books.entries:
        stored = books.log.get(entry.gid)
        if stored is None:
            yield f"order {entry.id} is not in the log"
        elif stored.state == "cancelled" and stored.reason.startswith("timeout"):
            late.append(entry.id)
        elif stored.state != entry.expected or (entry.reason and entry.reason not in stored.reason):
            yield f"order {entry.id} is {stored.state} ({stored.reason}), expected {entry.expected} ({entry.reason})"
    if len(late) > TIMEOUTS * len(books.entries):
        yield f"{len(late)} of {len(books.entries)} orders were cancelled by a timeout: {', '.join(late)}"


def told_is_kept(books: Books) -> Iterator[str]:
    """What was told about an order, also by a process that was killed afterwards, is what the log says."""
    yield from books.front.tally.changed
    for entry in books.entries:
        told, stored = books.front.tally.answers.get(entry.id), books.log.get(entry.gid)
        if told is None:
            yield f"order {entry.id} was never answered"
        elif stored is not None and told[0] != stored.state:
            yield f"order {entry.id} was told {told[0]}, the log says {stored.state}"


def first_answer_kept(books: Books) -> Iterator[str]:
    """A repeated call got the first one's answer."""
    yield from books.front.tally.differs


def nothing_open(books: Books) -> Iterator[str]:
    """Every transaction has ended."""
    yield from (f"{gid} is {stored.state}" for gid, stored in books.log.items() if not stored.finished)


def nothing_parked(books: Books) -> Iterator[str]:
    """No transaction needs a person."""
    yield from (f"{gid}: {stored.reason}" for gid, stored in books.log.items() if stored.state == "failed")


def workers_stood(books: Books) -> Iterator[str]:
    """No worker ended but by a kill or at the end."""
    yield from books.front.fallen


def everywhere_killed(books: Books) -> Iterator[str]:
    """As many workers as planned were killed at work, in every place; not asked of a short run."""
    kills = books.front.kills
    if kills is None or kills.wanted < MANY:
        return
    if not kills.over:
        yield f"{len(kills.done)} of {kills.wanted} kills found a worker at work"
    yield from (f"no kill counts for {place}" for place, count in kills.by_place.items() if not count)


CHECKS: tuple[Check, ...] = (
    stock_conserved, money_conserved, effects_once, orders_as_expected, told_is_kept, first_answer_kept, nothing_open,
    nothing_parked, workers_stood, everywhere_killed,
)  # fmt: skip


def audit(entries: list[Entry], opening: Opening, evidence: Evidence, front: Front) -> dict[str, list[str]]:
    """Every invariant by name, with what speaks against it: nothing, if it holds."""
    books = Books(entries, opening, evidence, front, {stored.gid: stored for stored in evidence.all()})
    return {check.__name__: list(check(books)) for check in CHECKS}
