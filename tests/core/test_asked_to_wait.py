"""Participants that say when to come back, and destinations that are known to be down."""

from __future__ import annotations

import pytest

from tests.core.telling import Story, Word, chain, function, pivot, retriable, step
from troth.core.retry import pause_until

DONE, NOT_DONE, REFUSED, UNKNOWN = Word.DONE, Word.NOT_DONE, Word.REFUSED, Word.UNKNOWN


@pytest.mark.parametrize(
    ("after", "jitter", "seconds"), [(None, 0.5, 2), (1.0, 0.0, 2), (8.0, 0.0, 8), (8.0, 1.0, 10), (9e9, 0.0, 300), (-1.0, 0.0, 2)]
)
def test_a_wish_makes_the_pause_longer_never_shorter(after: float | None, jitter: float, seconds: int) -> None:
    """What was asked for counts within the bound; jitter comes on top, so that nobody comes back too early."""
    assert pause_until(after, 2_000_000, jitter) == seconds * 1_000_000


def test_an_unknown_is_asked_again_when_it_said() -> None:
    """Before the decision, at the pivot, after it and backward: `Retry-After` is honoured."""
    story = Story(chain(step("book"), pivot(), retriable()))
    assert "book=calling?@7 " in story.answer("book", UNKNOWN, after=7.0)
    story.wait(7)
    story.done("book")
    assert "pay=calling?@7 " in story.answer("pay", UNKNOWN, after=7.0)
    story.wait(7)
    story.done("pay")
    assert "ship=calling?@7;" in story.answer("ship", UNKNOWN, after=7.0)
    back = Story(chain(step("book"), step("pack")))
    back.done("book")
    back.answer("pack", REFUSED)
    assert "book=done@7 " in back.answer("book", UNKNOWN, after=7.0)


def test_a_call_that_was_not_made_uses_up_no_attempt() -> None:
    """A destination known to be down is waited for: the step still has all its attempts when it is back."""
    story = Story(chain(step("book", attempts=1), step("pack")))
    for _ in range(5):
        assert story.answer("book", NOT_DONE, free=True, after=3.0) == "trying: book=calling@3 pack=idle; -"
        story.wait(3)
    assert story.answer("book", NOT_DONE) == "cancelled (forced): book=not_done pack=idle; -"


def test_a_call_that_was_not_made_says_nothing_about_one_that_was() -> None:
    """A branch that may have happened stays so."""
    story = Story(function(step("book")))
    story.call("book")
    story.answer("book", UNKNOWN)
    story.wait(1)
    assert "book=calling?@3;" in story.answer("book", NOT_DONE, free=True, after=3.0)


def test_the_deadline_still_applies() -> None:
    """However long a destination is down, the undecided part ends in time."""
    story = Story(chain(step("book"), step("pack")))
    story.answer("book", NOT_DONE, free=True, after=60.0)
    assert story.wait(30) == "cancelled (forced): book=not_done pack=idle; -"


@pytest.mark.parametrize("guarded", [True, False])
def test_what_surely_did_not_happen_is_not_undone(guarded: bool) -> None:
    """A step that waits for its retry, none of its calls having happened, owes nothing when the deadline comes: no refund is
    sent for a charge that was never made.
    """
    story = Story(chain(step("book", guarded=guarded), step("pack")))
    story.answer("book", NOT_DONE, after=60.0)
    assert story.wait(30) == "cancelled (forced): book=not_done pack=idle; -"
    other = Story(chain(step("book", guarded=guarded), step("pack")))
    other.answer("book", UNKNOWN)
    other.wait(1)
    other.answer("book", NOT_DONE, after=60.0)
    assert other.wait(29) == "cancelling (forced): book=calling? pack=idle; compensate book"


def test_neither_direction_gives_up_while_nothing_is_called() -> None:
    """After the decision, and backward, waiting for a destination makes no transaction need a person."""
    story = Story(chain(pivot(), retriable()))
    story.done("pay")
    back = Story(chain(step("book"), step("pack")))
    back.done("book")
    back.answer("pack", REFUSED)
    for _ in range(20):
        assert "ship=calling@3;" in story.answer("ship", NOT_DONE, free=True, after=3.0)
        assert "book=done@3 " in back.answer("book", NOT_DONE, free=True, after=3.0)
        story.wait(3)
        back.wait(3)
    assert story.done("ship").startswith("confirmed")
    assert back.done("book").startswith("cancelled")
