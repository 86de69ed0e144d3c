"""After the run: what must hold, checked in the log and the five databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from examples.shop.demo.evidence import Evidence, Stored
from examples.shop.demo.kills import KINDS
from examples.shop.demo.orderfile import REJECTED, Entry
from examples.shop.demo.run import Run
from examples.shop.opening import TILL, Opening
from examples.shop.settings import SERVICES

TIMEOUTS = 0.02
"""Part of the orders that may be cancelled by a timeout instead of ending as expected."""
MANY = 20
"""Kills of a run that is long enough for all of them, all places and all processes."""
TOLD = {"confirmed": "accepted", "cancelled": "cancelled", REJECTED: "rejected"}
"""What a customer must have been told, by what became of the order."""


class Books(NamedTuple):
    """All that is audited."""

    entries: list[Entry]
    opening: Opening
    evidence: Evidence
    run: Run
    log: dict[str, Stored]

    @property
    def holds(self) -> set[str]:
        """The gids of orders whose transaction began one of holds; that one's gid continues theirs."""
        return {stored.gid.partition(".0:")[0] for stored in self.log.values() if stored.pattern == "tcc"}

    @property
    def confirmed(self) -> list[Entry]:
        """The orders that went through, as the log says."""
        return [entry for entry in self.entries if self.became(entry) == "confirmed"]

    def became(self, entry: Entry) -> str:
        """What became of an order, as the log says."""
        stored = self.log.get(entry.gid)
        return REJECTED if stored is None else stored.state

    def rows(self, database: str, query: str) -> list[tuple[object, ...]]:
        """What a database answers."""
        return self.evidence.rows(database, query)


Check = Callable[[Books], Iterator[str]]


def stock_conserved(books: Books) -> Iterator[str]:
    """What is missing on the shelves is what confirmed orders took, to the last piece."""
    sold: Counter[str] = Counter()
    for entry in books.confirmed:
        for line in entry.order["lines"]:
            sold[line["sku"]] += line["n"]
    left = dict(books.evidence.rows("stock", "SELECT sku, n FROM stock"))
    for sku, n in books.opening.stock.items():
        if left.get(sku) != n - sold[sku]:
            yield f"{sku}: {n} at first, {sold[sku]} sold, {left.get(sku)} left"


def money_conserved(books: Books) -> Iterator[str]:
    """Each customer paid for the confirmed orders and nothing else, and the till has it all, to the last cent."""
    paid: Counter[str] = Counter()
    for entry in books.confirmed:
        paid[entry.order["customer"]] += entry.amount(books.opening)
    left = dict(books.evidence.rows("payment", "SELECT name, balance FROM accounts"))
    for name, cents in books.opening.customers.items():
        if left.get(name) != cents - paid[name]:
            yield f"{name}: {cents} cents at first, {paid[name]} to be paid, {left.get(name)} left"
    if left.get(TILL) != paid.total():
        yield f"the till has {left.get(TILL)} cents, {paid.total()} were paid"


def room_conserved(books: Books) -> Iterator[str]:
    """What is loaded in the vans is what confirmed orders are brought, a parcel each."""
    loaded = Counter(str(entry.order["place"]) for entry in books.confirmed)
    left = dict(books.evidence.rows("logistics", "SELECT place, room FROM vans"))
    for place, room in books.opening.vans.items():
        if left.get(place) != room - loaded[place]:
            yield f"{place}: room for {room} at first, {loaded[place]} parcels, room for {left.get(place)} left"


def nothing_frozen(books: Books) -> Iterator[str]:
    """Every hold of a flash sale was confirmed or given back: no frozen stock, money or room, no order pending."""
    yield from (f"{n} of {sku} are frozen" for sku, n in books.rows("stock", "SELECT sku, frozen FROM stock WHERE frozen"))
    money = books.rows("payment", "SELECT name, frozen FROM accounts WHERE frozen")
    yield from (f"{cents} cents of {name} are frozen" for name, cents in money)
    room = books.rows("logistics", "SELECT place, kept FROM vans WHERE kept")
    yield from (f"{n} places to the {place} are kept" for place, n in room)
    yield from (f"order {row[0]} is pending" for row in books.rows("orders", "SELECT id FROM orders WHERE state = 'pending'"))


def effects_once(books: Books) -> Iterator[str]:
    """A confirmed order is written, paid, shipped and announced once; any other is struck out, refunded, and not announced."""
    orders = books.evidence.rows("orders", "SELECT id, count(*), max(state), sum(changes) FROM orders GROUP BY id")
    book = {row[0]: tuple(row[1:]) for row in orders}
    paid = "SELECT order_id, count(*), sum(refunded) FROM receipts GROUP BY order_id"
    receipts = {row[0]: tuple(row[1:]) for row in books.evidence.rows("payment", paid)}
    parcels = Counter(row[0] for row in books.rows("logistics", "SELECT order_id FROM parcels"))
    messages = Counter(row[0] for row in books.rows("notification", "SELECT order_id FROM messages"))
    for entry in books.entries:
        found = (book.get(entry.id), receipts.get(entry.id), parcels[entry.id], messages[entry.id])
        if books.became(entry) == "confirmed":
            right = found == ((1, "placed", int(entry.pattern == "tcc")), (1, 0), 1, 1)
        else:
            right = found[0] in (None, (1, "cancelled", 1)) and found[1] in (None, (1, 1)) and found[2:] == (0, 0)
        if not right:
            what = f"order {entry.id} ({entry.pattern}), {books.became(entry)}"
            yield f"{what}: (written, state, changes), (paid, refunded), shipped, announced: {found}"


def barriers_consistent(books: Books) -> Iterator[str]:
    """Every row of a barrier belongs to a transaction of the log, and an undo or a confirm to what it is of."""
    states = {stored.uid: stored for stored in books.log.values()}
    origins = {"compensate": "action", "cancel": "try", "confirm": "try"}
    for name in SERVICES:
        rows = {(uid, branch, op): outcome for uid, branch, op, outcome in books.evidence.barrier(name)}
        for (uid, branch, op), outcome in rows.items():
            stored = states.get(uid)
            what = f"{name}: {op} of {branch} ({outcome}) in {stored.gid if stored else uid.hex()}"
            if stored is None:
                yield f"{what}: the log doesn't know it"
            elif outcome == "ongoing":
                yield f"{what}: it never ended"
            elif op in origins and (uid, branch, origins[op]) not in rows:
                yield f"{what}: there is no {origins[op]} of it"
            elif op in ("action", "try") and outcome == "done":
                ends = [end for end, origin in origins.items() if origin == op and (uid, branch, end) in rows]
                wanted = {"saga confirmed": [], "tcc confirmed": ["confirm"], "saga cancelled": ["compensate"]}
                if ends != wanted.get(f"{stored.pattern} {stored.state}", ["cancel"]):
                    yield f"{what}: the transaction is {stored.state}, its ends are {ends}"


def orders_as_expected(books: Books) -> Iterator[str]:
    """Every order ended as the file says, but for at most 2 % that a timeout cancelled."""
    late = []
    for entry in books.entries:
        stored = books.log.get(entry.gid)
        told = books.run.tally.answers.get(entry.id, ("", ""))
        became, reason = (stored.state, stored.reason) if stored is not None else (REJECTED, told[1])
        if became == "cancelled" and reason.startswith("timeout"):
            late.append(entry.id)
        elif became != entry.expected or entry.reason not in reason:
            yield f"order {entry.id} is {became} ({reason}), expected {entry.expected} ({entry.reason})"
        elif (entry.gid in books.holds) != (stored is not None and entry.pattern == "tcc"):
            yield f"order {entry.id} was not placed by {entry.pattern}"
    if len(late) > TIMEOUTS * len(books.entries):
        yield f"{len(late)} of {len(books.entries)} orders were cancelled by a timeout: {', '.join(late)}"


def told_is_kept(books: Books) -> Iterator[str]:
    """What was told about an order, also by a process that was killed afterwards, is what the log says."""
    yield from books.run.tally.changed
    for entry in books.entries:
        told, became = books.run.tally.answers.get(entry.id), books.became(entry)
        if told is None:
            yield f"order {entry.id} was never answered"
        elif told[0] != TOLD.get(became):
            yield f"order {entry.id} was told {told[0]}, the log says {became}"


def status_agrees(books: Books) -> Iterator[str]:
    """Whoever asks for an order's status when all is over is told what the log says."""
    for entry in books.entries:
        stored, said = books.log.get(entry.gid), books.run.asked.get(entry.id)
        if (said and said[1]) != (stored and stored.state):
            yield f"order {entry.id} has the status {said}, the log says {stored and stored.state}"


def first_answer_kept(books: Books) -> Iterator[str]:
    """A repeated call got the first one's answer."""
    yield from books.run.tally.differs


def nothing_open(books: Books) -> Iterator[str]:
    """Every transaction has ended."""
    yield from (f"{gid} is {stored.state}" for gid, stored in books.log.items() if not stored.finished)


def nothing_parked(books: Books) -> Iterator[str]:
    """No transaction needs a person."""
    yield from (f"{gid}: {stored.reason}" for gid, stored in books.log.items() if stored.state == "failed")


def processes_stood(books: Books) -> Iterator[str]:
    """No process ended but by a kill or at the end."""
    yield from books.run.shop.fallen


def everywhere_killed(books: Books) -> Iterator[str]:
    """As many kills as planned found their process at work, in every place and every service; not asked of a short run."""
    kills = books.run.kills
    if kills is None or kills.wanted < MANY:
        return
    if not kills.over:
        yield f"{len(kills.done)} of {kills.wanted} kills found a process at work"
    yield from (f"no kill counts for {place}" for place, count in kills.by_place.items() if not count)
    yield from (f"no kill hit {kind}" for kind in KINDS if not kills.by_kind[kind])


CHECKS: tuple[Check, ...] = (
    stock_conserved, money_conserved, room_conserved, nothing_frozen, effects_once, barriers_consistent, orders_as_expected,
    told_is_kept, status_agrees, first_answer_kept, nothing_open, nothing_parked, processes_stood, everywhere_killed,
)  # fmt: skip


def audit(run: Run) -> dict[str, list[str]]:
    """Every invariant by name, with what speaks against it: nothing, if it holds."""
    log = {stored.gid: stored for stored in run.evidence.all()}
    books = Books(run.entries, run.shop.opening, run.evidence, run, log)
    return {check.__name__: list(check(books)) for check in CHECKS}
