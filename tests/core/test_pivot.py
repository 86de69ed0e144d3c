"""The point of no return: in doubt, neither direction; past it, no way back."""

from __future__ import annotations

from tests.core.telling import Story, Word, chain, function, pivot, retriable, step
from troth.core.plan import StepSpec
from troth.core.words import Role

DONE, REFUSED, NOT_DONE, UNKNOWN, ONGOING = Word.DONE, Word.REFUSED, Word.NOT_DONE, Word.UNKNOWN, Word.ONGOING


def doubtful(**kind: bool) -> Story:
    """A pivot that is in doubt when the deadline passes."""
    story = Story(chain(step("book"), pivot(**kind)))
    story.done("book")
    story.answer("pay", UNKNOWN)
    return story


def test_a_deadline_does_not_cancel_a_pivot_in_doubt() -> None:
    """It is sealed first, and the cancel waits."""
    assert doubtful().wait(31) == "trying doomed (rides): book=done pay=calling?; seal pay"


def test_sealed_means_cancel() -> None:
    """It had not happened and never will."""
    story = doubtful()
    story.wait(31)
    told = story.answer("pay", Word.SEALED)
    assert told == "cancelling (forced): book=done pay=not_done; compensate book"


def test_a_seal_that_finds_it_done_goes_forward() -> None:
    """It happened: the saga is past its pivot, and confirmed."""
    story = doubtful()
    story.wait(31)
    assert story.done("pay") == "confirmed (forced): book=done pay=done; -"


def test_a_pivot_that_began_is_brought_to_its_end() -> None:
    """A seal can't stop what is ongoing: its action is asked again, for nobody else would end it."""
    story = doubtful()
    story.wait(31)
    assert story.answer("pay", ONGOING) == "trying doomed (rides): book=done pay=calling?@1; -"
    assert story.wait(1) == "trying doomed: book=done pay=calling?; action pay"
    assert story.done("pay") == "confirmed (forced): book=done pay=done; -"


def test_a_pivot_with_a_check_only_is_asked_about() -> None:
    """Without a barrier of ours its check decides."""
    story = doubtful(sealable=False, checkable=True)
    assert story.wait(31) == "trying doomed (rides): book=done pay=calling?; check pay"
    assert story.answer("pay", REFUSED) == "cancelling (forced): book=done pay=refused; compensate book"


def test_a_repeatable_pivot_without_seal_is_repeated() -> None:
    """Safe to repeat is all that is known of it."""
    assert doubtful(sealable=False).wait(31) == "trying doomed (rides): book=done pay=calling?; action pay"


def test_a_pivot_that_nobody_can_ask_about_needs_a_person() -> None:
    """A bare pivot without a check: a repeat could do it twice, so there are no slow retries."""
    told = doubtful(guarded=False).wait(31)
    assert told == "failed doomed (forced): book=done pay=calling?!; alert needs_attention"


def test_a_pivot_known_not_to_have_happened_lets_the_deadline_cancel() -> None:
    """Not done and no attempt unknown: no doubt."""
    story = Story(chain(step("book"), pivot()))
    story.done("book")
    story.answer("pay", NOT_DONE)
    story.wait(0.5)
    told = story.wait(40)
    assert told == "trying doomed (rides): book=done pay=calling; seal pay"
    assert story.answer("pay", Word.SEALED) == "cancelling (forced): book=done pay=not_done; compensate book"


def test_a_deadline_past_the_pivot_does_nothing() -> None:
    """The deadline bounds the undecided part."""
    story = Story(chain(pivot(), retriable()))
    story.done("pay")
    assert story.wait(300) == "confirming: pay=done ship=calling; -"


def test_a_functions_pivot_waits_for_all_before_it() -> None:
    """It is called alone: held until every other branch is settled."""
    story = Story(function(step("book"), pivot()))
    story.call("book")
    assert story.call("pay") == "trying: book=calling pay=held; -"
    assert story.done("book") == "trying (forced): book=done pay=calling; answer book, action pay"


def test_no_call_goes_out_beside_a_pivot_in_doubt() -> None:
    """A call made meanwhile is held, and goes out when the pivot is settled."""
    story = Story(function(pivot(), retriable()))
    story.call("pay")
    assert story.call("ship") == "trying: pay=calling ship=held; -"
    told = story.done("pay")
    assert told == "confirming (forced): pay=done ship=calling; answer pay, action ship"


def test_a_retriable_step_before_the_pivot_is_refused() -> None:
    """Nothing would undo it if the saga is cancelled later; one that needs no undoing, or has a compensation, may come early."""
    free = StepSpec("free", Role.RETRIABLE, guarded=True, undoable=False, waived=True)
    undone = StepSpec("undone", Role.RETRIABLE, guarded=True, undoable=True)
    story = Story(function(pivot(), retriable(), free, undone))
    for name in ("free", "undone"):
        story.call(name)
        story.done(name)
    story.call("ship")
    assert (story.saga.called, len(story.saga.doc.branches)) == (-1, 2)
    assert "ship is retriable and nothing undoes it, but no pivot stands before it" in story.saga.problem
    story.call("pay")
    story.answer("pay", Word.REFUSED)
    story.call("ship")
    assert "no pivot stands before it" in story.saga.problem


def test_a_second_pivot_is_refused() -> None:
    """A saga has one point of no return."""
    story = Story(function(pivot("pay"), pivot("charge")))
    story.call("pay")
    story.done("pay")
    story.call("charge")
    assert story.saga.called == -1
    assert "second pivot" in story.saga.problem


def test_a_refused_pivot_may_be_followed_by_another() -> None:
    """A pivot that never happened is none."""
    story = Story(function(pivot("pay"), pivot("charge")))
    story.call("pay")
    story.answer("pay", REFUSED)
    assert story.call("charge") == "trying (forced): pay=refused charge=calling; action charge"


def test_raising_past_the_pivot_runs_the_function_again() -> None:
    """Nothing cancels there (P2)."""
    story = Story(function(pivot()))
    story.call("pay")
    story.done("pay")
    assert story.raises() == "confirming (rides): pay=done; -"
    assert story.wait(1) == "confirming: pay=done; start"


def test_raising_past_the_pivot_ten_times_asks_for_a_person() -> None:
    """And the function is repeated slowly."""
    story = Story(function(pivot()))
    story.call("pay")
    story.done("pay")
    for _ in range(9):
        story.raises()
        story.wait(30)
    assert story.raises() == "failed (forced): pay=done; stop, alert needs_attention"
    assert story.wait(60) == "failed: pay=done; start"


def test_raising_with_the_pivot_in_doubt_seals_it() -> None:
    """Neither direction until that is known (P2)."""
    story = Story(function(pivot()))
    story.call("pay")
    story.answer("pay", UNKNOWN)
    assert story.raises() == "trying doomed (rides): pay=calling?; stop, seal pay"
