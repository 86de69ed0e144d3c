"""``troth show``."""

from __future__ import annotations

from msgspec import structs

from tests.cli.calls import answer, refused, said, troth
from tests.cli.logs import (
    SECOND,
    Log,
    branch,
    called,
    cancelled,
    closed,
    confirmed,
    failed,
    now,
    raw,
    saga,
    trying,
)  # fmt: skip
from troth.core.words import Fate, State


def test_branches_stand_as_a_tree_place_by_place(log: Log) -> None:
    """A gather's tasks are twigs; each branch shows fate, arguments and result; a remembered value shows the value."""
    log.put(confirmed("order-1", now() - 60 * SECOND))
    text = troth("show", "order-1", store=log.url).output
    assert '├── gather 1, task 0\n│   └── reserve#1  done  {"sku":"tea","n":2} → 98\n' in text
    assert "└── charge#1  done" in text and '"receipt-1"' in text
    assert 'remembered "2026-11-24T08:00:00Z"' in text and "4 branches\n" in text


def test_the_timeline_shows_every_attempt_in_order(log: Log) -> None:
    """One line a call: when, which, how long, and what was answered."""
    log.put(confirmed("order-1", now() - 60 * SECOND))
    lines = [line.split() for line in troth("show", "order-1", store=log.url).output.splitlines() if " action " in line]
    assert [line[-1] for line in lines] == ["done", "unknown", "done", "done", "done"]
    assert lines[2][-3:] == ["90", "ms", "done"]
    attempts = answer("show", "order-1", store=log.url)["branch_list"][2]["attempts"]
    assert [attempt["word"] for attempt in attempts] == ["unknown", "done"]


def test_what_comes_next_is_told(log: Log) -> None:
    """A call in flight, the next attempt, and the deadline, as long as it is undecided."""
    begun = now()
    doc = trying("order-1", begun)
    waits = branch("0/notify#1", Fate.CALLING, due=begun + 900 * SECOND, trail=called(begun, "unknown"))
    log.put(structs.replace(doc, branches=(*doc.branches, waits), deadline=begun + 1800 * SECOND))
    text = said(troth("show", "order-1", store=log.url))
    assert "0/charge#1: action in flight since" in text
    assert "0/notify#1: action again in 14m" in text
    assert "still undecided, it is cancelled in 29m" in text


def test_a_failed_one_says_what_a_person_can_do(log: Log) -> None:
    """Why, what is open, and the two ways out with their exact commands."""
    log.put(failed("order-1", now() - 600 * SECOND))
    text = said(troth("show", "order-1", store=log.url))
    assert "failed while cancelling" in text
    assert "needs a person: compensate does not succeed" in text
    assert "`troth retry order-1`: it goes back to cancelling" in text
    assert "`troth resolve order-1 --reason" in text
    assert 'see that 0/reserve#1 {"sku":"tea","n":2} is undone (ConnectionError: stock is down)' in text


def test_a_pivot_in_doubt_is_to_be_found_out(log: Log) -> None:
    """Before the decision nobody may assume either way."""
    doubt = branch("0/pay#1", Fate.CALLING, unknown=True, stuck=True, reason="timeout")
    log.put(saga("order-1", doubt, begun=now(), state=State.FAILED, reason="the pivot is in doubt: timeout"))
    text = said(troth("show", "order-1", store=log.url))
    assert "may or may not have happened" in text and "find out whether 0/pay#1" in text
    assert "next nothing: it waits for a person." in text and "still undecided" not in text


def test_finished_ones_owe_nothing(log: Log) -> None:
    """Neither a next step nor advice is shown for what has ended or was closed."""
    log.put(cancelled("order-1", now() - SECOND))
    log.put(closed("order-2", now() - SECOND))
    one, two = (troth("show", gid, store=log.url).output for gid in ("order-1", "order-2"))
    assert "\nnext" not in one + two and "what you can do" not in one + two
    assert "failed (closed)" in two and "closed by hand: put back by hand" in two


def test_one_without_its_code_says_how_it_goes_on(log: Log) -> None:
    """The missing names, that nothing is lost, and the cure."""
    log.put(trying("order-1", now()), waiting="shop.reserve")
    log.kill()
    text = said(troth("show", "order-1", store=log.url))
    assert "waiting for code: shop.reserve" in text and 'aliases=("old_name",)' in text and "no answer" in text


def test_a_long_one_is_cut_unless_all_is_wanted(log: Log) -> None:
    """Open branches are always shown; --full cuts nothing."""
    many = tuple(
        branch(f"0/step#{n}", args=raw({"n": n, "text": "x" * 300}), trail=called(now(), "done")) for n in range(1, 99)
    )
    log.put(saga("order-1", *many, branch("0/last#1", Fate.CALLING, calling=True, since=now()), begun=now()))
    text, full = (
        troth("show", "order-1", store=log.url).output,
        troth("show", "order-1", "--full", store=log.url).output,
    )
    assert "… 38 branches more (--full)" in text and "last#1" in text and "x" * 90 not in text
    assert "(--full)" not in full and "step#98" in full and full.count("x") > 98 * 300


def test_an_unknown_gid_is_refused_in_words(log: Log) -> None:
    """Exit code 1, on standard error; for programs a word."""
    result = troth("show", "order-9", store=log.url)
    assert "no transaction order-9 in this log" in refused(result) and result.stdout == ""
    assert answer("show", "order-9", store=log.url, code=1)["error"] == "unknown_transaction"


def test_what_was_purged_is_shown_from_the_ledger(log: Log) -> None:
    """Its outcome and its end are known for the idempotency window."""
    log.put(confirmed("order-1", now() - 3600 * SECOND))
    log.store.purge(now(), 0, 3600 * SECOND, 10)
    text = said(troth("show", "order-1", store=log.url))
    assert text.startswith("order-1 confirmed") and "Only this ledger entry is left" in text
    assert answer("show", "order-1", store=log.url)["ledger"] is True
