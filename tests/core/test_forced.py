"""What is durable before anything of it may be seen: the table of forced writes."""

from __future__ import annotations

from tests.core.telling import Story, Word, beside, chain, function, graph, pivot, retriable, step


def test_a_graph_forces_its_accept_and_its_outcome() -> None:
    """Guarded steps: two forced writes, whatever their number."""
    story = Story(chain(step("book"), step("pack")))
    assert story.told == "trying (forced): book=calling pack=idle; action book"
    assert story.done("book") == "trying (rides): book=done pack=calling; action pack"
    assert story.done("pack") == "confirmed (forced): book=done pack=done; -"


def test_a_bare_steps_intent_is_forced() -> None:
    """One more for each bare step: what may have run is known exactly."""
    story = Story(chain(step("book"), step("mail", guarded=False)))
    assert story.done("book") == "trying (forced): book=done mail=calling; action mail"


def test_a_pivots_intent_is_forced() -> None:
    """One more for the pivot: a restart must know of the doubt (A2)."""
    story = Story(chain(step("book"), pivot()))
    assert story.done("book") == "trying (forced): book=done pay=calling; action pay"


def test_a_bare_result_is_forced_before_it_is_used() -> None:
    """A repeat might result in something else (P19)."""
    story = Story(graph((step("mail", guarded=False), ()), (step("book"), (0,)), uses=True))
    assert story.done("mail") == "trying (forced): mail=done book=calling; action book"


def test_a_bare_result_that_is_not_used_rides() -> None:
    """Only what uses it makes it matter."""
    story = Story(graph((step("mail", guarded=False), ()), (step("book"), (0,))))
    assert story.done("mail") == "trying (rides): mail=done book=calling; action book"


def test_each_call_of_a_function_is_recorded_first() -> None:
    """n + 1: the accept rides with the first intent, each result with the next, the last with the outcome."""
    story = Story(function(step("book"), step("pack")), force=False)
    assert story.told == "trying: -; start"
    assert story.call("book") == "trying (forced): book=calling; action book"
    assert story.done("book") == "trying (rides): book=done; answer book"
    assert story.call("pack") == "trying (forced): book=done pack=calling; action pack"
    assert story.done("pack") == "trying (rides): book=done pack=done; answer pack"
    assert story.returns() == "confirmed (forced): book=done pack=done; stop"


def test_start_forces_the_accept_of_a_function() -> None:
    """A handle is given for something that is in the log."""
    assert Story(function(), force=True).told == "trying (forced): -; start"


def test_the_first_cancel_is_forced() -> None:
    """Of a graph too: a lost one would go forward after an undo (P9)."""
    story = Story(beside(step("book"), step("pack")))
    story.done("book")
    assert story.answer("pack", Word.REFUSED) == "cancelling (forced): book=done pack=refused; compensate book"


def test_a_function_that_called_nothing_writes_its_outcome() -> None:
    """An outcome is written even if nothing was called."""
    assert Story(function()).returns() == "confirmed (forced): -; stop"


def test_the_decision_of_a_saga_without_pivot_is_forced() -> None:
    """Before the first retriable goes out."""
    story = Story(graph((step("book"), ()), (step("pack"), ()), (retriable(), (0, 1))))
    story.done("book")
    assert story.done("pack") == "confirming (forced): book=done pack=done ship=calling; action ship"
