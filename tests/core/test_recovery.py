"""After a crash: what may have run is unknown, what is owed is done, and a restart is no business event."""

from __future__ import annotations

from msgspec import structs

from tests.core.telling import (
    NOW,
    SECOND,
    Story,
    Word,
    beside,
    chain,
    forget,
    function,
    graph,
    pivot,
    retriable,
    step,
)
from troth.core.move import Poisoned, Recovered
from troth.core.rules import decide, pending
from troth.core.state import Saga
from troth.core.words import State

UNKNOWN, REFUSED, NOT_DONE = Word.UNKNOWN, Word.REFUSED, Word.NOT_DONE


def test_what_was_in_flight_is_unknown_and_asked_again() -> None:
    """Nobody knows whether the call that died with its node happened."""
    assert Story(chain(step("book"))).crashes() == "trying: book=calling?; action book"


def test_every_step_that_could_be_reached_may_have_run() -> None:
    """Results and intents of guarded steps only ride: their absence says nothing (A1)."""
    story = Story(chain(step("book"), step("pack"), step("wrap")))
    assert story.crashes() == "trying: book=calling? pack=idle? wrap=idle?; action book"


def test_what_may_have_run_is_compensated() -> None:
    """The cancel after a crash undoes steps that perhaps never ran: an empty compensation (A1)."""
    story = Story(chain(step("book"), step("pack")))
    story.crashes()
    told = story.answer("book", REFUSED)
    assert told == "cancelling (forced): book=refused pack=calling?; compensate pack"


def test_a_bare_step_was_not_reached_without_its_intent() -> None:
    """Its intent is forced: where the log has none, it did not run, nor did what comes after it."""
    story = Story(chain(step("book"), step("mail", guarded=False), step("pack")))
    assert story.crashes() == "trying: book=calling? mail=idle pack=idle; action book"


def test_a_pivot_was_not_reached_without_its_intent() -> None:
    """So the cancel may go on without asking it (A2)."""
    story = Story(chain(step("book"), pivot()))
    story.crashes()
    assert story.answer("book", REFUSED) == "cancelled (forced): book=refused pay=idle; -"


def test_what_uses_a_bare_result_was_not_reached_without_it() -> None:
    """The result is forced before it is used (P19)."""
    story = Story(graph((step("mail", guarded=False), ()), (step("book"), (0,)), uses=True))
    assert story.crashes() == "trying: mail=calling? book=idle; action mail"


def test_a_retriable_was_not_reached_before_the_decision() -> None:
    """The decision is forced before the first retriable goes out."""
    story = Story(graph((step("book"), ()), (retriable(), (0,))))
    assert story.crashes() == "trying: book=calling? ship=idle; action book"


def test_a_lost_result_is_asked_for_again() -> None:
    """The barrier gives it again."""
    story = Story(chain(step("book"), step("pack")))
    story.done("book")
    story.loses(forget(0))
    story.loses(forget(1))
    assert story.crashes() == "trying: book=calling? pack=idle?; action book"


def test_a_cancel_goes_on_backwards() -> None:
    """The forced cancel says all that was reached."""
    story = Story(beside(step("book"), step("pack")))
    story.done("book")
    story.answer("pack", REFUSED)
    assert story.crashes() == "cancelling: book=done pack=refused; compensate book"


def test_time_when_nobody_drove_does_not_count() -> None:
    """The deadline moves by the gap (A6)."""
    story = Story(chain(step("book")))
    story.crashes(gap=100)
    assert story.saga.doc.deadline == NOW + 130 * SECOND


def test_a_recovered_saga_gets_one_round_before_its_deadline() -> None:
    """Also where hardly any time was left (A6)."""
    story = Story(chain(step("book")))
    story.now += 29 * SECOND
    story.crashes()
    assert story.saga.doc.deadline == story.now + 10 * SECOND


def test_attempts_are_counted_anew() -> None:
    """A crash loop is seen by its claims, not by attempts."""
    story = Story(chain(step("book", attempts=2)))
    story.answer("book", NOT_DONE)
    story.crashes()
    assert story.answer("book", NOT_DONE) == "trying: book=calling?@1; -"


def test_a_function_is_run_again() -> None:
    """Its calls are matched with the record: a settled one gets its result, an open one is asked again."""
    story = Story(function(step("book"), step("pack")))
    story.call("book")
    story.done("book")
    story.call("pack")
    assert story.crashes() == "trying: book=done pack=calling?; start"
    assert story.call("book") == "trying: book=done pack=calling?; answer book"
    assert story.call("pack") == "trying: book=done pack=calling?; action pack"


def test_a_function_that_had_returned_is_not_run_again() -> None:
    """What it left open is waited for."""
    story = Story(function(step("book")))
    story.call("book")
    story.returns()
    assert story.crashes() == "trying: book=calling?; action book"
    assert story.done("book").startswith("confirmed (forced): book=done")


def test_recover_cancel_cancels_instead() -> None:
    """recover='cancel' turns running again off."""
    story = Story(function(step("book"), recover="cancel"))
    story.call("book")
    assert story.crashes() == "cancelling (forced): book=calling?; stop, compensate book"


def test_a_function_past_its_pivot_is_run_again_whatever_recover_says() -> None:
    """There is no way back."""
    story = Story(function(pivot(), recover="cancel"))
    story.call("pay")
    story.done("pay")
    assert story.crashes() == "confirming: pay=done; start"


def test_a_doomed_pivot_is_asked_again() -> None:
    """The doubt outlives the node."""
    story = Story(chain(step("book"), pivot()))
    story.done("book")
    story.answer("pay", UNKNOWN)
    story.wait(31)
    assert story.crashes() == "trying doomed: book=done pay=calling?; seal pay"


def test_a_failed_saga_goes_on_with_its_slow_retries() -> None:
    """A restart silences nothing."""
    story = Story(chain(pivot(), retriable()))
    story.done("pay")
    for _ in range(10):
        story.answer("ship", NOT_DONE)
        story.wait(60)
    assert story.saga.doc.state is State.FAILED
    story.crashes()
    assert story.wait(0) == "failed: pay=done ship=calling?!; action ship"


def test_what_a_retry_could_harm_is_left_alone() -> None:
    """A bare pivot in doubt without a check is not repeated by a restart."""
    story = Story(chain(step("book"), pivot(guarded=False)))
    story.done("book")
    story.answer("pay", UNKNOWN)
    story.wait(31)
    assert story.crashes() == "failed doomed: book=done pay=calling?!; -"


def test_a_saga_that_takes_its_nodes_down_is_parked() -> None:
    """Nothing of it is called until a person asks for it."""
    story = Story(chain(step("book")))
    assert story.happens(Poisoned(story.now, 11)) == "failed (forced): book=calling?; alert needs_attention"
    assert story.wait(100) == "failed: book=calling?; -"


def test_recovery_is_the_same_each_time() -> None:
    """Recovering what was recovered changes nothing but what is in flight."""
    story = Story(chain(step("book"), step("pack")))
    story.crashes()
    once = story.saga

    def shape(saga: Saga) -> object:
        return [(b.id, b.fate, b.unknown, b.calling) for b in saga.doc.branches]

    again = decide(once, Recovered(story.now, 0)).state
    assert shape(again) == shape(once)
    assert [c.branch for c in pending(again)] == [c.branch for c in pending(once)]


def test_recovery_does_not_change_the_state_it_is_given() -> None:
    """`decide` is pure."""
    story = Story(chain(step("book")))
    before = structs.replace(story.saga)
    decide(story.saga, Recovered(story.now, 0))
    assert story.saga == before
