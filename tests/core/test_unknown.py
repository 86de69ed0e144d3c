"""While any attempt of a branch is unknown, the branch is unknown; only an answer about all of them settles it (P1)."""

from __future__ import annotations

from tests.core.telling import Role, Story, Word, chain, function, pivot, retriable, step
from troth.core.move import Replied
from troth.core.reply import Reply

DONE, REFUSED, NOT_DONE, UNKNOWN, ONGOING = Word.DONE, Word.REFUSED, Word.NOT_DONE, Word.UNKNOWN, Word.ONGOING


def test_not_done_answers_for_one_attempt() -> None:
    """After an unknown attempt, not done leaves the branch unknown: it is compensated."""
    story = Story(chain(step("book", attempts=2)))
    story.answer("book", UNKNOWN)
    story.wait(1)
    assert story.answer("book", NOT_DONE) == "cancelling (forced): book=calling?; compensate book"


def test_a_barriers_refusal_answers_for_all() -> None:
    """A guarded branch's refusal settles it, also after unknown attempts."""
    story = Story(chain(step("book")))
    story.answer("book", UNKNOWN)
    story.wait(1)
    assert story.answer("book", REFUSED) == "cancelled (forced): book=refused; -"


def test_a_bare_refusal_answers_for_one_attempt() -> None:
    """A bare step may have been refused by its own first effect: it stays unknown."""
    story = Story(chain(step("mail", guarded=False)))
    story.answer("mail", UNKNOWN)
    story.wait(1)
    assert story.answer("mail", REFUSED) == "trying: mail=calling?@2; -"


def test_a_bare_step_with_a_check_is_asked_about() -> None:
    """Where nobody knows whether a bare step ran, its check is asked, not the step again."""
    story = Story(chain(step("mail", guarded=False, checkable=True)))
    story.answer("mail", UNKNOWN)
    assert story.wait(1) == "trying: mail=calling?; check mail"
    assert story.done("mail") == "confirmed (forced): mail=done; -"


def test_a_final_check_settles() -> None:
    """A check that says never is the last word."""
    story = Story(chain(step("mail", guarded=False, checkable=True)))
    story.answer("mail", UNKNOWN)
    story.wait(1)
    assert story.answer("mail", REFUSED) == "cancelled (forced): mail=refused; -"


def test_a_check_that_knows_nothing_yet_is_asked_again() -> None:
    """Not yet is not never."""
    story = Story(chain(step("mail", guarded=False, checkable=True)))
    story.answer("mail", UNKNOWN)
    story.wait(1)
    assert story.answer("mail", ONGOING, after=5.0) == "trying (rides): mail=calling?@5; -"


def test_a_late_answer_of_an_earlier_attempt_says_nothing_new() -> None:
    """Only the newest call of an op counts."""
    story = Story(chain(step("book")))
    old = story.saga
    story.answer("book", UNKNOWN)
    story.wait(1)
    before = story.saga
    branch = old.doc.branches[0]
    story.happens(Replied(story.now, 0, branch.op, branch.attempt, Reply(DONE)))
    assert story.saga == before


def test_a_programming_error_is_not_tried_again() -> None:
    """Where the same call again can't do better, the step gives up at once."""
    story = Story(function(step("book")))
    story.call("book")
    told = story.answer("book", UNKNOWN, retry=False)
    assert told == "trying (forced): book=gave_up?; answer book, compensate book"


def test_retries_back_off_and_are_capped() -> None:
    """1, 2, 4 … seconds, at most 30."""
    story = Story(chain(pivot(), retriable()))
    story.done("pay")
    pauses = []
    for _ in range(9):
        pauses.append(story.answer("ship", NOT_DONE).split("@")[1].split(";")[0])
        story.wait(30)
    assert pauses == ["1", "2", "4", "8", "16", "30", "30", "30", "30"]


def test_an_undo_whose_action_is_still_in_flight_waits_for_it() -> None:
    """Nothing is compensated while its own action is being called."""
    story = Story(chain(step("book")))
    assert story.wait(31) == "cancelling (forced): book=calling; -"
    assert story.done("book") == "cancelling (rides): book=done; compensate book"


def test_a_waived_compensation_is_not_owed() -> None:
    """compensate=None: cancelling leaves its effect, as its author said."""
    story = Story(chain(step("look", undoable=False), step("pack")))
    story.done("look")
    assert story.answer("pack", REFUSED) == "cancelled (forced): look=done pack=refused; -"


def test_a_retriable_without_a_pivot_waits_for_the_decision() -> None:
    """All compensable steps done is the decision: forced before the first retriable is sent."""
    story = Story(chain(step("book"), step("ship", Role.RETRIABLE)))
    assert story.done("book") == "confirming (forced): book=done ship=calling; action ship"
