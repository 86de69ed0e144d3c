"""What needs a person: retry, resolve, and the ways out of failed."""

from __future__ import annotations

from tests.core.telling import Story, Word, chain, function, pivot, retriable
from troth.core.move import Doomed, Resolve, Retry

NOT_DONE = Word.NOT_DONE


def failed_graph() -> Story:
    """Past its pivot, with a step that nobody does."""
    story = Story(chain(pivot(), retriable()))
    story.done("pay")
    for _ in range(9):
        story.answer("ship", NOT_DONE)
        story.wait(30)
    story.answer("ship", NOT_DONE)
    return story


def failed_function() -> Story:
    """The same, as a function that waits for its call."""
    story = Story(function(pivot(), retriable()))
    story.call("pay")
    story.done("pay")
    story.call("ship")
    for _ in range(9):
        story.answer("ship", NOT_DONE)
        story.wait(30)
    story.answer("ship", NOT_DONE)
    return story


def test_retry_goes_back_to_the_direction_it_left() -> None:
    """And asks at once, attempts counted anew."""
    story = failed_graph()
    assert story.happens(Retry(story.now)) == "confirming (forced): pay=done ship=calling; action ship"


def test_retry_asks_for_a_functions_open_call() -> None:
    """The function waits for it and won't call again."""
    story = failed_function()
    assert story.happens(Retry(story.now)) == "confirming (forced): pay=done ship=calling; action ship"


def test_resolve_stops_retries_first() -> None:
    """Durably; with nothing in flight it closes at once."""
    story = failed_graph()
    assert story.happens(Resolve(story.now, "shipped by hand")) == "failed (forced): pay=done ship=calling!; stop"
    assert (story.saga.doc.closed, story.saga.finished) == ("shipped by hand", True)


def test_resolve_waits_for_an_attempt_in_flight() -> None:
    """A person and a late retry must not both do it."""
    story = failed_graph()
    story.wait(60)
    assert story.happens(Resolve(story.now, "by hand")) == "failed (forced): pay=done ship=calling!; -"
    assert not story.saga.finished
    story.answer("ship", NOT_DONE)
    assert story.saga.doc.closed == "by hand"


def test_only_what_failed_can_be_resolved() -> None:
    """A saga under way goes its own way."""
    story = Story(chain(pivot(), retriable()))
    before = story.saga
    story.happens(Resolve(story.now, "by hand"))
    assert story.saga == before


def test_nothing_happens_to_what_is_closed() -> None:
    """Closed is closed."""
    story = failed_graph()
    story.happens(Resolve(story.now, "by hand"))
    before = story.saga
    for event in (Retry(story.now), Resolve(story.now, "again"), Doomed(story.now, "why not")):
        story.happens(event)
    assert story.saga == before


def test_what_is_doomed_from_outside_is_cancelled() -> None:
    """While it is undecided."""
    story = Story(function())
    assert story.happens(Doomed(story.now, "its caller is gone")) == "cancelled (forced): -; stop, stop, stop"


def test_what_is_decided_is_not_doomed() -> None:
    """After the decision there is no way back."""
    story = Story(chain(pivot(), retriable()))
    story.done("pay")
    assert story.happens(Doomed(story.now, "why not")) == "confirming: pay=done ship=calling; -"
