"""The function saga: recorded first, matched on a re-run, taking another way, and never confirmed with something open."""

from __future__ import annotations

from msgspec import Raw

from tests.core.telling import Story, Word, function, pivot, step
from troth.core import limits
from troth.core.move import Recalled, Remembered

UNKNOWN, REFUSED, NOT_DONE, DONE = Word.UNKNOWN, Word.REFUSED, Word.NOT_DONE, Word.DONE
STEPS = (step("book"), step("pack"), step("wrap"))


def ran(*names: str) -> Story:
    """A saga whose function called these, one after the other, and then lost its node."""
    story = Story(function(*STEPS))
    for name in names:
        story.call(name)
        story.done(name)
    story.crashes()
    return story


# --- matching


def test_a_call_with_other_arguments_does_not_match() -> None:
    """Then we are a saga: what is recorded is compensated (P4)."""
    story = ran("book")
    told = story.call("book", b'{"n":2}')
    assert told == "cancelling (forced): book=done; stop, stop, compensate book"
    assert story.saga.doc.reason == 'code changed: step 1 was book({}), the code now calls book({"n":2})'


def test_a_call_of_another_step_does_not_match() -> None:
    """Also where the old one was never called yet (P4)."""
    story = ran("book")
    assert story.call("pack").startswith("cancelling (forced): book=done")


def test_a_function_that_ends_with_a_recorded_call_uncalled_does_not_match() -> None:
    """Old and new code are never mixed (P4)."""
    story = ran("book", "pack")
    story.call("book")
    told = story.returns()
    assert told == "cancelling (forced): book=done pack=done; stop, stop, compensate pack"
    assert story.saga.doc.reason == "code changed: step 2 was pack({}), the code now ends without calling it"


def test_new_calls_after_all_recorded_ones_match() -> None:
    """The record is only what was done before."""
    story = ran("book")
    story.call("book")
    assert story.call("pack") == "trying (forced): book=done pack=calling; action pack"


def test_past_the_pivot_a_person_is_asked() -> None:
    """Nothing is undone there."""
    story = Story(function(step("book"), pivot()))
    story.call("book")
    story.done("book")
    story.call("pay")
    story.done("pay")
    story.crashes()
    told = story.call("pay")
    assert told == "failed (forced): book=done pay=done; stop, alert needs_attention"


def test_a_slow_repetition_that_comes_to_its_end_confirms() -> None:
    """What failed again and again past its pivot is still tried, slowly, and ends without a person once its own code works."""
    story = Story(function(pivot()))
    story.call("pay")
    story.done("pay")
    for _ in range(limits.RETRIES_AFTER_DECISION):
        story.raises()
        story.wait(limits.SLOW_RETRY)
        story.call("pay")
    assert story.saga.state == "failed"
    story.returns()
    assert (story.saga.state, story.saga.doc.stuck) == ("confirmed", "")


def test_tasks_are_matched_each_for_itself() -> None:
    """Ids are counted within a task's place, so that timing never changes them (P16)."""
    story = Story(function(*STEPS))
    story.call("book", b'{"n":1}', "0.1_0")
    story.call("book", b'{"n":2}', "0.1_1")
    assert [branch.id for branch in story.saga.doc.branches] == ["0.1_0/book#1", "0.1_1/book#1"]
    story.crashes()
    story.call("book", b'{"n":2}', "0.1_1")
    assert story.saga.called == 1
    story.call("book", b'{"n":1}', "0.1_0")
    assert story.saga.called == 0


def test_occurrences_are_counted_in_call_order() -> None:
    """The same step again is another branch."""
    story = Story(function(*STEPS))
    story.call("book")
    story.call("book")
    assert [branch.id for branch in story.saga.doc.branches] == ["0/book#1", "0/book#2"]


def test_a_remembered_value_is_given_again() -> None:
    """A later run gets the value that an earlier one drew."""
    story = Story(function(*STEPS))
    story.happens(Recalled(story.now, "0"))
    assert story.saga.called == -1
    story.happens(Remembered(story.now, "0", Raw(b"42")))
    story.crashes()
    story.happens(Recalled(story.now, "0"))
    assert bytes(story.saga.doc.branches[story.saga.called].result) == b"42"


# --- ending


def test_an_exception_cancels_backwards() -> None:
    """Forced, then in reverse every recorded branch."""
    story = Story(function(*STEPS))
    for name in ("book", "pack"):
        story.call(name)
        story.done(name)
    assert story.raises() == "cancelling (forced): book=done pack=done; stop, stop, compensate pack"
    assert story.done("pack") == "cancelling (rides): book=done pack=compensated; compensate book"
    assert story.done("book") == "cancelled (forced): book=compensated pack=compensated; stop"


def test_a_call_after_the_cancel_records_nothing() -> None:
    """It raises `Cancelled` (P10)."""
    story = Story(function(*STEPS))
    story.call("book")
    story.wait(300)
    assert story.saga.doc.phase == "cancelling"
    before = story.saga.doc
    assert story.call("pack") == "cancelling: book=calling; -"
    assert (story.saga.doc, story.saga.called) == (before, -1)


def test_an_open_call_is_waited_for() -> None:
    """A call that the function never awaited is made, and waited for (P4)."""
    story = Story(function(*STEPS))
    story.call("book")
    assert story.returns() == "trying (rides): book=calling; -"
    assert story.done("book").startswith("confirmed (forced): book=done")


def test_each_recorded_call_moves_the_deadline() -> None:
    """By its budget, where that is later: 3 × 10 s and pauses of 1 and 2 s."""
    story = Story(function(*STEPS))
    story.now += 20_000_000
    story.call("book")
    assert (story.saga.doc.deadline - story.now) / 1e6 == 33.0


# --- another way


def test_a_refusal_may_be_caught() -> None:
    """The branch owes nothing; a later run is refused again."""
    story = Story(function(*STEPS))
    story.call("book")
    story.answer("book", REFUSED)
    story.call("pack")
    story.done("pack")
    story.crashes()
    assert story.call("book") == "trying: book=refused pack=done; answer book"
    story.call("pack")
    assert story.returns() == "confirmed (forced): book=refused pack=done; stop"


def test_a_given_up_step_is_compensated_before_the_saga_confirms() -> None:
    """Nobody knows whether it ran (P8)."""
    story = Story(function(step("book", attempts=1)))
    story.call("book")
    assert story.answer("book", UNKNOWN) == "trying (forced): book=gave_up?; answer book, compensate book"
    assert story.returns() == "trying (rides): book=gave_up?; -"
    assert story.done("book") == "confirmed (forced): book=compensated; stop"


def test_a_given_up_step_stays_given_up() -> None:
    """A later run gets `StepFailed` again, and its compensation goes on."""
    story = Story(function(step("book", attempts=1)))
    story.call("book")
    story.answer("book", UNKNOWN)
    assert story.crashes() == "trying: book=gave_up?; compensate book, start"
    assert story.call("book") == "trying: book=gave_up?; answer book"


def test_an_abandoned_inner_saga_is_given_up() -> None:
    """Durably, before its exception goes on; its branches are compensated before the outer confirms."""
    story = Story(function(*STEPS))
    story.call("book")
    story.done("book")
    assert story.abandons("book") == "trying (forced): book=gave_up; compensate book, resume"
    assert story.returns() == "trying (rides): book=gave_up; -"
    assert story.done("book") == "confirmed (forced): book=compensated; stop"


def test_a_call_of_an_abandoned_inner_saga_is_answered_as_before() -> None:
    """A later run takes the same way as the first: the call was done, and only then given up (S8)."""
    story = Story(function(*STEPS))
    story.call("book")
    story.done("book")
    story.abandons("book")
    story.crashes()
    story.call("book")
    branch = story.saga.doc.branches[0]
    assert (branch.fate, branch.abandoned, bytes(branch.result)) == ("gave_up", True, b"null")


def test_what_an_abandoned_inner_saga_left_open_is_answered() -> None:
    """Whoever still waits for it gets `StepFailed`."""
    story = Story(function(*STEPS))
    story.call("book")
    assert story.abandons("book") == "trying (forced): book=gave_up; answer book, resume"
    assert story.done("book") == "trying (rides): book=gave_up; compensate book"


def test_an_inner_saga_left_with_its_pivot_in_doubt_cancels_the_whole() -> None:
    """Neither direction before that is known."""
    story = Story(function(pivot()))
    story.call("pay")
    assert story.abandons("pay") == "trying doomed (rides): pay=calling; stop"
