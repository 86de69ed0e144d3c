"""One transaction in a node's memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import msgspec

from troth.core import limits
from troth.core.move import Command
from troth.core.plan import Plan
from troth.core.quick import State, made
from troth.core.state import Branch, Saga, Transaction
from troth.ports.store import Record, Write

Told = Callable[["Live"], None]
ACCEPTED = "accepted"
"""Until the accept is durable: sooner than ``decided`` and ``finished``."""
NO_CAUSES: Final[Mapping[int, BaseException]] = MappingProxyType({})

encode = msgspec.json.Encoder().encode
decode_doc = msgspec.json.Decoder(Transaction).decode
decode_chunk = msgspec.json.Decoder(tuple[Branch, ...]).decode


class Live(msgspec.Struct, eq=False, weakref=True):
    """A transaction that this node drives.

    :ivar saga: its newest state, which may be ahead of the log.
    :ivar durable: its newest state that the log is known to hold; None before the accept is durable.
    :ivar rev: counts stored states; ``durable_rev`` is the newest durable one, ``forced_rev`` the newest that is waited for.
    :ivar held: commands that wait for a revision to be durable.
    :ivar waiters: (until, callback): told once when the durable state is decided or finished, or needs a person.
    :ivar eager: someone waits for the accept only.
    :ivar gone: it is no longer driven here.
    :ivar host: what runs the function, if it is one and it is running here.
    :ivar lost: why those who wait can't be told here: (conflict | rejected | lost, error).
    :ivar error: the exception that left the function; never stored.
    :ivar causes: the exceptions behind the last failures, by branch index; never stored.
    """

    saga: Saga
    content: bytes
    fresh: bool
    durable: Saga | None = None
    rev: int = 0
    durable_rev: int = 0
    forced_rev: int = 0
    inserted: bool = False
    held: list[tuple[int, tuple[Command, ...]]] = []
    waiters: list[tuple[str, Told]] = []
    due: int = 0
    updated: int = 0
    host: Any = None
    causes: Mapping[int, BaseException] = NO_CAUSES
    written: tuple[Branch, ...] = ()
    unlogged: bool = True
    eager: bool = False
    gone: bool = False
    lost: tuple[str, Any] | None = None
    error: BaseException | None = None

    @property
    def gid(self) -> str:
        """Its public id."""
        return self.saga.doc.gid

    def as_write(self) -> Write:
        """Its row as it is now; of a large one only the chunks of branches that changed."""
        doc = self.saga.doc
        chunks: tuple[tuple[int, bytes], ...] = ()
        branches = doc.branches
        if len(branches) > limits.CHUNK_BRANCHES:
            chunks = self._changed_chunks(branches)
            doc = msgspec.structs.replace(doc, branches=branches[: limits.CHUNK_BRANCHES])
        self.written = branches
        write: Write = made(Write, (
            doc.uid, doc.gid, not self.inserted, self.fresh, self.rev, self.saga.plan.pattern, doc.definition,
            doc.state._value_, doc.begun, self.updated, doc.finished, self.content, encode(doc), chunks, "",
        ))  # fmt: skip
        self.inserted = True
        return write

    def _changed_chunks(self, branches: tuple[Branch, ...]) -> tuple[tuple[int, bytes], ...]:
        size = limits.CHUNK_BRANCHES
        changed = []
        for number in range(1, (len(branches) + size - 1) // size):
            part = branches[number * size : (number + 1) * size]
            if part != self.written[number * size : (number + 1) * size]:
                changed.append((number, encode(part)))
        return tuple(changed)


@lru_cache(maxsize=2 * limits.ADOPT_PAGE)
def doc_of(record: Record) -> Transaction:
    """The transaction that a record holds; a take-over looks at each twice."""
    doc = decode_doc(record.body)
    if not record.chunks:
        return doc
    branches = doc.branches
    for _, body in sorted(record.chunks):
        branches += decode_chunk(body)
    return msgspec.structs.replace(doc, branches=branches)


def live_of(record: Record, plan: Plan) -> Live:
    """A stored transaction brought into memory, to be driven on."""
    doc = doc_of(record)
    live = Live(Saga(plan, doc), record.content, True)
    live.durable = live.saga
    live.rev = live.durable_rev = live.forced_rev = record.rev
    live.inserted = True
    live.unlogged = False
    live.written = doc.branches
    live.updated = record.updated
    return live


def satisfied(saga: Saga, until: str) -> bool:
    """Is there something to tell to one who waits until then? A person's case is always told."""
    return satisfied_doc(saga.doc, until)


def satisfied_doc(doc: Transaction, until: str) -> bool:
    """As `satisfied`, for a stored state."""
    state = doc.state
    if state is State.CONFIRMED or state is State.CANCELLED or state is State.FAILED:
        return True
    return until == ACCEPTED or (until == "decided" and state is not State.TRYING)
