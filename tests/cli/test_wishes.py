"""``troth retry`` and ``troth resolve``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from tests.cli.calls import answer, refused, said, troth
from tests.cli.logs import SECOND, Log, cancelled, closed, confirmed, failed, now, trying
from tests.cli.owner import at_work, stored
from troth.core.state import Transaction
from troth.core.words import State


def test_a_retry_is_carried_out_by_the_owner(log: Log) -> None:
    """The wish goes through the log's mailbox; the command says what became of the transaction."""
    log.put(failed("order-1", now() - 600 * SECOND))
    with at_work(log, ends=True) as granted:
        text = said(troth("retry", "order-1", store=log.url))
    assert "Retried: order-1 is cancelled now." in text
    assert [(wish.gid, wish.what) for wish in granted] == [("order-1", "retry")] and "@" in granted[0].by


def test_a_retry_that_goes_on_says_what_comes_next(log: Log) -> None:
    """It is followed for a bounded time only."""
    log.put(failed("order-1", now() - 600 * SECOND))
    with at_work(log):
        text = said(troth("retry", "order-1", "--timeout", "2", store=log.url))
    assert "Retried: order-1 is cancelling. Next: 0/reserve#1: compensate in flight" in text


def test_resolve_closes_a_failed_one_with_its_reason(log: Log) -> None:
    """It says beforehand what it does, and afterwards that it is done."""
    doc = failed("order-1", now() - 600 * SECOND)
    log.put(doc)
    with at_work(log):
        text = said(troth("resolve", "order-1", "--reason", "stock counted by hand", store=log.url))
    assert "nothing more is called or undone. It stays failed, closed" in text
    assert "order-1 is closed: stock counted by hand" in text
    assert stored(log, "order-1").closed == "stock counted by hand"


def test_programs_are_told_whether_it_was_carried_out(log: Log) -> None:
    """With --json: one document, and the transaction as it is now."""
    log.put(failed("order-1", now()))
    with at_work(log):
        told = answer("resolve", "order-1", "--reason", "done", store=log.url)
    assert told["carried_out"] is True and told["transaction"]["closed"] == "done"


def test_without_a_living_node_the_wish_waits_in_the_log(log: Log) -> None:
    """It says so at once, and the next node that starts gets it."""
    log.put(failed("order-1", now()))
    log.kill()
    assert "will be carried out by the next node that starts" in said(troth("retry", "order-1", store=log.url))
    told = answer("resolve", "order-1", "--reason", "done", store=log.url)
    assert told == {"gid": "order-1", "asked": "resolve", "carried_out": False, "nodes_alive": []}
    heir = Log(log.path)
    for number in heir.store.dead_nodes():
        heir.store.declare_dead(number)
    heir.store.adopt([record.uid for record in heir.store.unfinished(0, 10)], now())
    assert [wish.what for wish in heir.store.take()] == ["retry", "resolve"]
    heir.store.close()


def test_an_owner_that_does_not_answer_in_time_is_named(log: Log) -> None:
    """Exit code 1: the wish stays, and the text says why it may take longer."""
    log.put(failed("order-1", now()))
    text = refused(troth("retry", "order-1", "--timeout", "0", store=log.url))
    assert "not carried out within 0 s. Node 1 alive" in text and "The wish stays in the log" in text


def test_a_call_in_flight_is_waited_out_before_closing(log: Log) -> None:
    """And that is what is said when it takes longer than the command waits."""
    doc = failed("order-1", now())
    busy = structs.replace(doc.branches[0], calling=True, since=now())
    log.put(structs.replace(doc, branches=(busy, *doc.branches[1:])))
    with at_work(log):
        text = refused(troth("resolve", "order-1", "--reason", "x", "--timeout", "0.3", store=log.url))
    assert "0/reserve#1: compensate is in flight" in text and "waited out first" in text
    assert stored(log, "order-1").resolving == "x"
    assert "already being closed by hand" in refused(troth("resolve", "order-1", "--reason", "y", store=log.url))
    assert "not retried any more" in refused(troth("retry", "order-1", store=log.url))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (confirmed, "is confirmed: it is finished and nothing is owed for it"),
        (cancelled, "is cancelled: it is finished and nothing is owed for it"),
        (closed, "was closed by hand: put back by hand"),
    ],
)
@pytest.mark.parametrize("command", [("retry",), ("resolve", "--reason", "because")])
def test_a_finished_one_is_refused(
    log: Log, make: Callable[[str, int], Transaction], words: str, command: tuple[str, ...]
) -> None:
    """Exit code 1, with what it is; nothing is written into the mailbox."""
    log.put(make("order-1", now() - SECOND))
    assert words in refused(troth(command[0], "order-1", *command[1:], store=log.url))
    assert log.store.take() == []


def test_what_goes_on_by_itself_is_neither_retried_nor_closed(log: Log) -> None:
    """A transaction at work needs no person; one in a pause may be hurried."""
    doc = trying("order-1", now())
    log.put(doc)
    assert "its node is at work on it" in refused(troth("retry", "order-1", store=log.url))
    assert "only a failed transaction is closed by hand" in refused(
        troth("resolve", "order-1", "--reason", "x", store=log.url)
    )
    pause = structs.replace(doc.branches[1], calling=False, due=now() + 20 * SECOND)
    log.put(structs.replace(doc, branches=(doc.branches[0], pause)))
    with at_work(log):
        assert "Retried: order-1 is trying" in said(troth("retry", "order-1", "--timeout", "1", store=log.url))


def test_one_that_waits_for_code_may_be_retried(log: Log) -> None:
    """The wish waits with it, and the text says for what."""
    log.put(structs.replace(failed("order-1", now()), state=State.CANCELLING), waiting="shop.reserve")
    log.kill()
    assert "and has the code that is missing" in said(troth("retry", "order-1", store=log.url))


def test_resolve_wants_a_reason(log: Log) -> None:
    """Wrong usage, exit code 2: without one, with an empty one, with one too long to keep."""
    assert "--reason" in refused(troth("resolve", "order-1", store=log.url), 2)
    assert "must say what you did" in refused(troth("resolve", "order-1", "--reason", " ", store=log.url), 2)
    assert "at most 1000" in refused(troth("resolve", "order-1", "--reason", "x" * 1001, store=log.url), 2)
