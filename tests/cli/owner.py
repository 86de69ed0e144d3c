"""A node that reads its mailbox, as the engine's sweeper does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import structs

from tests.cli.logs import PLAN, Log, now
from troth.core.move import Event, Resolve, Retry
from troth.core.rules import decide
from troth.core.state import Saga, Transaction
from troth.core.words import State
from troth.engine.live import doc_of
from troth.ports.store import Record, Request


@contextmanager
def at_work(log: Log, *, ends: bool = False) -> Iterator[list[Request]]:
    """The log's node grants wishes in a thread; gives the list of those it got.

    :param ends: what it retries is cancelled at once, as if its compensation succeeded now.
    """
    granted: list[Request] = []
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.005):
            for wish in log.store.take():
                granted.append(wish)
                grant(log, wish, ends=ends)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield granted
    finally:
        over.set()
        thread.join()


def grant(log: Log, wish: Request, *, ends: bool) -> None:
    """Decide and store, as the driver does."""
    event: Event = Retry(now()) if wish.what == "retry" else Resolve(now(), wish.reason)
    doc = decide(Saga(PLAN, stored(log, wish.gid)), event).state.doc
    if ends:
        doc = structs.replace(doc, state=State.CANCELLED, finished=now())
    log.put(doc)


def stored(log: Log, gid: str) -> Transaction:
    """What the log holds."""
    record = log.store.get(gid)
    assert isinstance(record, Record)
    return doc_of(record)
