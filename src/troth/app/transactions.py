"""Beginning, finding and waiting for transactions: what runs on a node's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Raw

from troth.app.host import Definition
from troth.app.telling import cause_of
from troth.core.plan import Plan
from troth.core.state import Transaction
from troth.core.words import FINAL
from troth.engine.live import Live, doc_of, satisfied, satisfied_doc
from troth.engine.node import Node
from troth.engine.participants import Host
from troth.ports.errors import AlreadyBegun, GidConflict, InDoubt, NotAccepted, UnknownTransaction
from troth.ports.store import LedgerEntry, Record
from troth.wire.codec import content_hash

UNHASHED = bytes(16)
"""The content of a transaction whose gid we drew: it is hashed from the stored input should anyone use that gid again."""
FIRST_LOOK = 0.01
LAST_LOOK = 0.25
"""Seconds between two looks at a transaction that another process drives: grows from the first to the last."""

HostOf = Callable[[Live], Host]
Taken = Callable[[Transaction], AlreadyBegun | GidConflict]
"""What is told about a transaction that has the gid already."""


class Seen(NamedTuple):
    """A transaction's durable state, and the exception behind it where it happened here."""

    doc: Transaction
    cause: BaseException | None = None


class Beginning(NamedTuple):
    """What a transaction shall begin with.

    :param definition: the saga or graph; None for a TCC.
    :param gid: given by the caller; None: generated.
    :param host: makes the host of a function; None for all that has none.
    :param branches: of a declared TCC: (branch id, name, encoded arguments) of each try.
    :param content: its content, where it is not its input's.
    """

    definition: Definition | None
    plan: Plan
    input: Raw
    gid: str | None
    timeout: float | None
    host: HostOf | None
    branches: tuple[tuple[str, str, Raw], ...] = ()
    content: Content | None = None


class Content(NamedTuple):
    """The content that a repeat of the same gid must have.

    :param same: is it this content, perhaps begun under names that its parts had before?
    :param stored: the content of a stored transaction of the same form.
    """

    hash: bytes
    same: Callable[[bytes], bool]
    stored: Callable[[Transaction], bytes]


def content_of(beginning: Beginning) -> bytes:
    """The content that a repeat of the same gid must have."""
    if beginning.content is not None:
        return beginning.content.hash
    return content_hash("saga", beginning.plan.name, beginning.input)


def same_content(content: bytes, beginning: Beginning) -> bool:
    """Is it this content, perhaps begun under a name that the definition had before?"""
    if content == content_of(beginning):
        return True
    if beginning.content is not None:
        return beginning.content.same(content)
    assert beginning.definition is not None
    return any(content == content_hash("saga", alias, beginning.input) for alias in beginning.definition.aliases)


def begin(node: Node, beginning: Beginning, *, force: bool, told: Callable[[Live], None], until: str) -> Live:
    """Begin it, or attach to the one of that gid which this node drives.

    :param force: the accept shall be durable by itself (``start``).
    :raises NotAccepted: nothing was written.
    :raises GidConflict: the gid has other content.
    """
    gid = beginning.gid
    content = UNHASHED
    if gid is not None:
        content = content_of(beginning)
        live = node.driver.by_gid.get(gid)
        if live is not None:
            check_content(live.content, live.saga.doc, beginning)
            node.driver.watch(live, until, told)
            return live
    node.driver.admit()
    uid = node.new_uid()
    node.counters["transactions"] += 1
    return node.driver.begin(
        beginning.plan, gid=gid or f"tx-{uid.hex()}", uid=uid, content=content, input=beginning.input, fresh=gid is None,
        timeout=beginning.timeout, force=force, host=beginning.host, waiter=(until, told), branches=beginning.branches,
    )  # fmt: skip


def check_content(content: bytes, doc: Transaction, beginning: Beginning) -> None:
    """Raise unless the transaction of that gid has the same content.

    :raises GidConflict: naming what differs.
    """
    if content == UNHASHED:
        stored = beginning.content.stored if beginning.content is not None else stored_content
        content = stored(doc)
    if doc.pattern != beginning.plan.pattern or not same_content(content, beginning):
        raise GidConflict(doc.gid, difference(doc, beginning))


def difference(doc: Transaction, beginning: Beginning) -> str:
    """What differs, in words."""
    if doc.definition != beginning.plan.name or doc.pattern != beginning.plan.pattern:
        return f"it runs {doc.definition}"
    if doc.form == "open":
        return "a block opened it"
    return "its branches differ" if doc.form == "declared" else "its input differs"


def stored_content(doc: Transaction) -> bytes:
    """The content of a stored saga."""
    return content_hash(doc.pattern, doc.definition, doc.input)


def refuse_driven(node: Node, gid: str, taken: Taken) -> None:
    """For what must begin only once: raise if this node drives the gid.

    :param taken: what is told about the transaction that is there.
    """
    live = node.driver.by_gid.get(gid)
    if live is not None:
        raise taken(live.saga.doc)


def refuse_known(found: Record | LedgerEntry | None, gid: str, content: bytes, taken: Taken) -> None:
    """For what must begin only once: raise if the log knows the gid.

    :param content: what was to begin.
    """
    if isinstance(found, LedgerEntry):
        if found.content not in (content, UNHASHED):
            raise GidConflict(gid, "it ended long ago")
        raise AlreadyBegun(gid, found.outcome)
    if isinstance(found, Record):
        raise taken(doc_of(found))


async def refuse_begun(node: Node, gid: str, content: bytes, taken: Taken) -> None:
    """For what must begin only once: raise if the gid is there, here or in the log."""
    refuse_driven(node, gid, taken)
    refuse_known(await node.io(node.store.get, gid), gid, content, taken)
    refuse_driven(node, gid, taken)


async def explain(node: Node, live: Live, content: bytes, taken: Taken) -> None:
    """Raise why what must begin only once could not begin."""
    check_lost(node, live, "accepted")
    refuse_known(await node.io(node.store.get, live.gid), live.gid, content, taken)
    await told_of(node, live, None, "accepted")
    raise AlreadyBegun(live.gid)


def check_ledger(entry: LedgerEntry, gid: str, beginning: Beginning | None) -> None:
    """A transaction that only the ledger remembers can't be told about: raise what can be said.

    :raises GidConflict: if its content differs.
    :raises AlreadyBegun: with its outcome.
    """
    if beginning is not None and entry.content != UNHASHED and not same_content(entry.content, beginning):
        raise GidConflict(gid, "it ended long ago")
    raise AlreadyBegun(gid, entry.outcome)


async def run(node: Node, beginning: Beginning, until: str = "finished") -> Seen:
    """Begin (or attach) and wait."""
    if beginning.gid is not None:
        seen = await stored(node, beginning)
        if seen is not None:
            return await follow(node, seen.gid, seen, until)
    future: asyncio.Future[Live] = node.loop.create_future()

    def told(live: Live) -> None:
        if not future.done():
            future.set_result(live)

    begin(node, beginning, force=False, told=told, until=until)
    live = await future
    if live.lost is None and live.durable is not None:
        return Seen(live.durable.doc, cause_of(live))
    return await told_of(node, live, beginning, until)


async def start(node: Node, beginning: Beginning) -> str:
    """Begin (or attach) durably; the gid."""
    seen = await stored(node, beginning)
    if seen is not None:
        return seen.gid
    future: asyncio.Future[Live] = node.loop.create_future()

    def told(live: Live) -> None:
        if not future.done():
            future.set_result(live)

    live = begin(node, beginning, force=True, told=told, until="accepted")
    await future
    if live.lost is not None:
        await told_of(node, live, beginning, "accepted")
    return live.gid


async def stored(node: Node, beginning: Beginning) -> Record | None:
    """The transaction of a given gid, if the log has it: a function must not run a second time."""
    gid = beginning.gid
    if gid is None or gid in node.driver.by_gid or beginning.host is None:
        return None
    return known(await node.io(node.store.get, gid), gid, beginning)


def known(found: Record | LedgerEntry | None, gid: str, beginning: Beginning) -> Record | None:
    """What the log has under a gid, if its content is the same.

    :raises GidConflict: if it isn't.
    :raises AlreadyBegun: if only the ledger has it.
    """
    if isinstance(found, LedgerEntry):
        check_ledger(found, gid, beginning)
    if isinstance(found, Record):
        check_content(found.content, doc_of(found), beginning)
        return found
    return None


async def told_of(node: Node, live: Live, beginning: Beginning | None, until: str) -> Seen:
    """What a node's word about a transaction means; where it can't tell, the log does."""
    if live.lost is None:
        durable = live.durable or live.saga
        return Seen(durable.doc, cause_of(live))
    check_lost(node, live, until)
    if live.lost[0] == "in_doubt":  # it came through after all
        return Seen((live.durable or live.saga).doc, cause_of(live))
    found = await node.io(node.store.get, live.gid)
    if found is None:
        raise NotAccepted("this node stopped before it was written", 1.0)
    if beginning is not None:
        found = known(found, live.gid, beginning) or found
    return await follow(node, live.gid, found, until)


def check_lost(node: Node, live: Live, until: str) -> None:
    """Raise what can be said of a transaction that this node can't tell about, unless the log will know.

    :raises InDoubt: whether it was accepted is unknown.
    :raises NotAccepted: it wasn't, and nothing of it was or will be written.
    :raises TimeoutError: it was, and this node stopped before it ended.
    """
    how, error = live.lost or ("", None)
    if how == "in_doubt" and (live.durable is None or not satisfied(live.durable, until)):
        raise InDoubt(live.gid)
    if how == "refused" or (how == "rejected" and live.durable is None):
        raise NotAccepted(str(error), 1.0 if how == "refused" else 0.0) from error
    if how == "lost" and node.stopping:
        if live.durable is None:
            raise NotAccepted("this node stopped before it was written", 1.0)
        raise TimeoutError(f"this node stopped before {live.gid} ended; it goes on in another process, or at the next start")


async def watch(node: Node, gid: str, until: str) -> Seen:
    """Wait for a transaction, wherever it is driven.

    :raises UnknownTransaction: if the log doesn't have it.
    """
    live = node.driver.by_gid.get(gid)
    if live is not None:
        future: asyncio.Future[Live] = node.loop.create_future()

        def told(live: Live) -> None:
            if not future.done():
                future.set_result(live)

        node.driver.watch(live, until, told)
        return await told_of(node, await future, None, until)
    found = await node.io(node.store.get, gid)
    if found is None:
        raise UnknownTransaction(gid)
    return await follow(node, gid, found, until)


async def follow(node: Node, gid: str, found: Record | LedgerEntry, until: str) -> Seen:
    """Look at the log until there is something to tell. A transaction that comes to this node is waited for here."""
    pause = FIRST_LOOK
    while True:
        if isinstance(found, LedgerEntry):
            raise AlreadyBegun(gid, found.outcome)
        doc = doc_of(found)
        if until == "accepted" or doc.state in FINAL or satisfied_doc(doc, until):
            return Seen(doc)
        if gid in node.driver.by_gid:
            return await watch(node, gid, until)
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LAST_LOOK)
        again = await node.io(node.store.get, gid)
        if again is None:
            raise UnknownTransaction(gid)
        found = again
