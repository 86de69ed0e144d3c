"""Logs for the command line to read: transactions written as a node writes them."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from msgspec import Raw, structs

from troth.adapters.stores.sqlite import SqliteStore
from troth.core.plan import Plan
from troth.core.state import Branch, Saga, Transaction
from troth.core.words import Fate, Op, State
from troth.engine.live import Live
from troth.ports.store import Batch, Write

SECOND = 1_000_000
PLAN = Plan("place-order", "function")


def raw(value: Any) -> Raw:
    """Encoded as the log has it."""
    return Raw(json.dumps(value, separators=(",", ":")).encode())


def now() -> int:
    """Microseconds."""
    return time.time_ns() // 1000


def branch(id: str, fate: Fate = Fate.DONE, **fields: Any) -> Branch:
    """A branch; the step's name is taken from its id."""
    name = id.rpartition("/")[2].partition("#")[0]
    return Branch(id, name, fate, **fields)


def called(at: int, *words: str, op: Op = Op.ACTION, took: int = 4_000, pause: int = SECOND) -> tuple[Any, ...]:
    """A trail: one call after the other, each with its word."""
    return tuple((str(op), at + n * (took + pause), took, word) for n, word in enumerate(words))


TEA = raw({"sku": "tea", "n": 2})
CUP = raw({"sku": "cup", "n": 1})
PAID = raw({"id": 1, "amount": "12.50"})


def saga(gid: str, *branches: Branch, begun: int, **fields: Any) -> Transaction:
    """A function saga as the log stores it."""
    defaults: dict[str, Any] = {
        "definition": "place-order", "form": "function", "input": raw({"order": {"id": 1, "sku": "tea", "n": 2}}),
        "deadline": begun + 30 * SECOND,
    }  # fmt: skip
    uid = hashlib.blake2b(gid.encode(), digest_size=16).digest()
    return Transaction(gid, uid, begun=begun, branches=branches, **{**defaults, **fields})


class Log:
    """A node of this process on a log, which writes what it is told.

    :param path: the log's file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self.store = SqliteStore(str(path))
        self.node = self.store.open(os.urandom(16).hex(), now()).node
        self.batch = 0
        self.revs: dict[str, int] = {}

    def put(self, doc: Transaction, waiting: str = "") -> Transaction:
        """Store a transaction's state."""
        live = Live(Saga(PLAN, doc), b"c" * 16, fresh=False)
        live.inserted = doc.gid in self.revs
        live.rev = self.revs[doc.gid] = self.revs.get(doc.gid, 0) + 1
        live.updated = now()
        self.commit(live.as_write()._replace(waiting=waiting))
        return doc

    def commit(self, *writes: Write) -> None:
        """Write a batch."""
        self.batch += 1
        self.store.commit(Batch(self.batch, 1, writes))

    def kill(self) -> None:
        """To everybody else it looks as though this process had been killed."""
        self.store.abandon()


def confirmed(gid: str, begun: int) -> Transaction:
    """An order that went through, with a gather and a remembered value."""
    at = begun + 2_000
    return saga(
        gid,
        branch("0/create_order#1", args=raw({"id": 1}), result=raw(1), trail=called(at, "done")),
        branch("0/troth.remember#1", result=raw("2026-11-24T08:00:00Z")),
        branch("0.1_0/reserve#1", args=TEA, result=raw(98), trail=called(at + 9_000, "unknown", "done")),
        branch("0.1_1/reserve#1", args=CUP, result=raw(7), trail=called(at + 9_500, "done", took=90_000)),
        branch("0/charge#1", args=PAID, result=raw("receipt-1"), trail=called(at + 1_200_000, "done")),
        begun=begun, state=State.CONFIRMED, phase=State.CONFIRMED, returned=True, result=raw({"receipt": "receipt-1"}),
        finished=begun + 1_300_000,
    )  # fmt: skip


def cancelled(gid: str, begun: int) -> Transaction:
    """An order that could not be paid."""
    done = called(begun + 1_000, "done") + called(begun + 20_000, "done", op=Op.COMPENSATE)
    return saga(
        gid,
        branch("0/reserve#1", Fate.COMPENSATED, args=TEA, result=raw(98), op=Op.COMPENSATE, trail=done),
        branch("0/charge#1", Fate.REFUSED, args=PAID, reason="card declined", trail=called(begun + 9_000, "refused")),
        begun=begun, state=State.CANCELLED, phase=State.CANCELLING, reason="card declined", step="0/charge#1",
        finished=begun + 30_000,
    )  # fmt: skip


def trying(gid: str, begun: int) -> Transaction:
    """An order in the middle of a call."""
    return saga(
        gid,
        branch("0/reserve#1", args=raw({"sku": "tea", "n": 2}), result=raw(98), trail=called(begun + 1_000, "done")),
        branch("0/charge#1", Fate.CALLING, args=raw({"id": 1}), calling=True, since=begun + 9_000, attempt=1),
        begun=begun,
    )


def failed(gid: str, begun: int) -> Transaction:
    """An order whose compensation does not succeed."""
    tries = called(begun + 40_000, *["unknown"] * 10, op=Op.COMPENSATE)
    return saga(
        gid,
        branch("0/reserve#1", args=raw({"sku": "tea", "n": 2}), result=raw(98), op=Op.COMPENSATE, stuck=True, spent=10,
               reason="ConnectionError: stock is down", due=now() + 40 * SECOND, trail=called(begun, "done") + tries),
        branch("0/charge#1", Fate.REFUSED, args=PAID, reason="card declined", trail=called(begun + 9_000, "refused")),
        begun=begun, state=State.FAILED, phase=State.CANCELLING, reason="card declined", step="0/charge#1",
    )  # fmt: skip


def closed(gid: str, begun: int) -> Transaction:
    """A failed order that a person closed."""
    doc = failed(gid, begun)
    left = tuple(structs.replace(b, due=0) for b in doc.branches)
    return structs.replace(doc, branches=left, resolving="put back by hand", closed="put back by hand", finished=now())
