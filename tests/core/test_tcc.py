"""TCC: what is forced, what decides, what follows from each answer, crash and change of mind."""

from __future__ import annotations

import pytest

from tests.core.telling import TIMEOUT, Word
from tests.core.trying import Tcc, opened
from troth.core import limits
from troth.core.move import Aborted, Poisoned, Recovered, Resolve, Retry

DONE, REFUSED, ONGOING = Word.DONE, Word.REFUSED, Word.ONGOING
NOT_DONE, UNKNOWN, CONFLICT = Word.NOT_DONE, Word.UNKNOWN, Word.CONFLICT


# --- what is forced


def test_a_declared_one_forces_its_registration_and_its_decision() -> None:
    """Two forced writes; the outcome rides, for it can only become what was decided."""
    story = Tcc("a", "b")
    assert story.told == "trying (forced): a=calling b=calling; try a, try b"
    assert story.done("b") == "trying (rides): a=calling b=done; answer b"
    assert story.done("a") == "confirming (forced): a=done b=done; answer a, confirm a, confirm b"
    assert story.done("a") == "confirming (rides): a=confirmed b=done; -"
    assert story.done("b") == "confirmed (rides): a=confirmed b=confirmed; -"


def test_an_open_one_forces_each_registration() -> None:
    """Before its try is sent; then the decision."""
    story = opened()
    assert story.told == "trying (forced): -; -"
    assert story.calls("a") == "trying (forced): a=calling; try a"
    assert story.done("a") == "trying (rides): a=done; answer a"
    assert story.submits("a") == "confirming (forced): a=done; confirm a"
    assert story.done("a") == "confirmed (rides): a=confirmed; -"


def test_one_without_branches_is_confirmed() -> None:
    """An outcome is written even if nothing was called."""
    assert Tcc().told == "confirmed (forced): -; -"
    assert opened().submits() == "confirmed (forced): -; -"


def test_the_first_cancel_is_forced() -> None:
    """Else a restart would ask the tries again beside it (A3)."""
    story = Tcc("a", "b")
    story.done("a")
    assert story.answer("b", REFUSED) == "cancelling (forced): a=done b=refused; answer b, stop, cancel a"
    assert story.done("a") == "cancelled (rides): a=cancelled b=refused; -"


def test_tries_go_a_bounded_number_at_a_time() -> None:
    """In order of declaration, the next when one is done."""
    names = [f"p{n}" for n in range(limits.TRIES_AT_ONCE + 2)]
    story = Tcc(*names)
    assert story.told.count("try ") == limits.TRIES_AT_ONCE
    assert story.done("p3").endswith(f"; answer p3, try p{limits.TRIES_AT_ONCE}")


def test_a_bare_try_that_had_to_wait_is_forced() -> None:
    """Nothing tells afterwards whether it was called, but its record."""
    names = [f"p{n}" for n in range(limits.TRIES_AT_ONCE + 1)]
    assert Tcc(*names, guarded=False).done("p0").startswith("trying (forced)")


# --- reply × op


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "confirming (forced): a=done; answer a, confirm a"),
        (REFUSED, "cancelled (forced): a=refused; answer a, stop"),
        (ONGOING, "trying (rides): a=calling?@1; -"),
        (NOT_DONE, "trying: a=calling@1; -"),
        (UNKNOWN, "trying (rides): a=calling?@1; -"),
        (CONFLICT, "trying (rides): a=calling?@1; alert misconfigured"),
    ],
)
def test_a_try_is_answered(word: Word, told: str) -> None:
    """Only done lets it go on; a refusal owes nothing; all else is asked again."""
    assert Tcc("a").answer("a", word) == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "confirmed (rides): a=confirmed; -"),
        (REFUSED, "confirming: a=done@1; alert refused_not_allowed"),
        (ONGOING, "confirming: a=done@1; -"),
        (NOT_DONE, "confirming: a=done@1; -"),
        (UNKNOWN, "confirming: a=done@1; -"),
        (CONFLICT, "confirming: a=done@1; alert misconfigured"),
    ],
)
def test_a_confirm_is_answered(word: Word, told: str) -> None:
    """Done, or asked again: never the other direction."""
    assert Tcc("a").confirming().answer("a", word) == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "cancelled (rides): a=cancelled b=refused; -"),
        (REFUSED, "cancelling: a=done@1 b=refused; alert refused_not_allowed"),
        (ONGOING, "cancelling: a=done@1 b=refused; -"),
        (NOT_DONE, "cancelling: a=done@1 b=refused; -"),
        (UNKNOWN, "cancelling: a=done@1 b=refused; -"),
        (CONFLICT, "cancelling: a=done@1 b=refused; alert misconfigured"),
    ],
)
def test_a_cancel_is_answered(word: Word, told: str) -> None:
    """Done, or asked again."""
    story = Tcc("a", "b")
    story.done("a")
    story.answer("b", REFUSED)
    assert story.answer("a", word) == told


def test_a_try_that_gives_up_is_cancelled_too() -> None:
    """Nobody knows whether it happened: its cancel says, at its barrier."""
    story = Tcc("a")
    assert story.answer("a", UNKNOWN, retry=False) == "cancelling (forced): a=calling?; answer a, stop, cancel a"


def test_a_try_that_surely_did_not_happen_owes_nothing() -> None:
    """Attempts used up and none of them unknown."""
    assert Tcc("a").answer("a", NOT_DONE, retry=False) == "cancelled (forced): a=not_done; answer a, stop"


def test_not_done_answers_for_one_attempt() -> None:
    """An earlier unknown one stays unknown (P1)."""
    story = Tcc("a")
    story.answer("a", UNKNOWN)
    story.wait(1)
    assert story.answer("a", NOT_DONE, retry=False) == "cancelling (forced): a=calling?; answer a, stop, cancel a"


def test_a_cancel_waits_for_its_own_try() -> None:
    """One still under way here is waited for; the others are cancelled beside it."""
    story = Tcc("a", "b", "c")
    story.done("a")
    assert story.answer("b", REFUSED) == "cancelling (forced): a=done b=refused c=calling; answer b, stop, cancel a"
    assert story.done("c") == "cancelling (rides): a=done b=refused c=done; cancel c"
    story.done("a")
    assert story.done("c") == "cancelled (rides): a=cancelled b=refused c=cancelled; -"


def test_a_bare_try_that_is_unknown_is_asked_by_its_check() -> None:
    """Before it is made again (B16)."""
    story = Tcc("a", guarded=False, checkable=True)
    story.answer("a", UNKNOWN)
    assert story.wait(1) == "trying: a=calling?; check a"
    assert story.done("a") == "confirming (forced): a=done; answer a, confirm a"


def test_a_confirm_is_repeated_until_a_person_is_asked_and_then_slowly() -> None:
    """Each branch by itself; it may still end by itself."""
    story = Tcc("a", "b").confirming()
    story.done("b")
    for _ in range(limits.RETRIES_AFTER_DECISION - 1):
        story.answer("a", UNKNOWN)
        story.wait(limits.RETRY_CAP)
    assert story.answer("a", UNKNOWN) == "failed (forced): a=done@60! b=confirmed; alert needs_attention"
    assert story.wait(60) == "failed: a=done! b=confirmed; confirm a"
    assert story.done("a") == "confirmed (rides): a=confirmed b=confirmed; -"


# --- A8, P15, P18: what may be confirmed


def test_what_user_code_swallowed_stays_cancelled() -> None:
    """A submit after a failed try confirms nothing (A8)."""
    story = opened()
    story.calls("a")
    story.done("a")
    story.calls("b")
    assert story.answer("b", REFUSED) == "cancelling (forced): a=done b=refused; answer b, stop, cancel a"
    assert story.submits("a", "b") == "cancelling: a=done b=refused; -"


def test_a_try_still_under_way_at_the_submit_is_waited_for() -> None:
    """Not known to have failed is not enough (A8)."""
    story = opened()
    story.calls("a")
    assert story.submits("a") == "trying (rides): a=calling; -"
    assert story.done("a") == "confirming (forced): a=done; answer a, confirm a"


def test_a_registration_without_an_answer_cancels() -> None:
    """The initiator called what the log knows nothing of (P18)."""
    story = opened()
    story.calls("a")
    story.done("a")
    assert story.submits("a", "b") == "cancelling (forced): a=done; stop, cancel a"


def test_a_registration_that_its_initiator_knows_nothing_of_cancels() -> None:
    """Its try was reported to nobody."""
    story = opened()
    story.calls("a")
    story.done("a")
    assert story.submits() == "cancelling (forced): a=done; stop, cancel a"


def test_a_call_after_the_submit_is_refused() -> None:
    """Nothing is recorded, and nothing changes."""
    story = opened()
    story.calls("a")
    story.submits("a")
    assert story.calls("b") == "trying: a=calling; -"
    assert "after the transaction was submitted" in story.saga.problem


def test_a_call_after_the_cancel_records_nothing() -> None:
    """It raises (P10)."""
    story = opened()
    story.happens(Aborted(story.now, "KeyError: 'x'"))
    assert story.calls("a") == "cancelled: -; -"
    assert story.saga.called == -1


def test_the_same_call_again_attaches() -> None:
    """A retried registration finds its branch, and its answer (B11)."""
    story = opened()
    story.calls("a")
    assert story.calls("a") == "trying: a=calling; -"
    story.done("a")
    assert story.calls("a") == "trying: a=done; answer a"


def test_the_same_call_with_other_arguments_cancels() -> None:
    """It is another way, and the first one may have been tried."""
    story = opened()
    story.calls("a")
    assert story.calls("a", b'{"n":2}').startswith("cancelling (forced): a=calling; stop")


def test_children_join_their_parents_transaction() -> None:
    """Forced like any registration; the parent's answer names them."""
    story = Tcc("p")
    assert story.calls("c", parent="0/p#1") == "trying (forced): p=calling c=calling; try c"
    assert story.done("c") == "trying (rides): p=calling c=done; answer c"
    told = story.answer("p", DONE, children=("0/p#1/c#1",))
    assert told == "confirming (forced): p=done c=done; answer p, confirm p, confirm c"


def test_a_child_of_a_run_that_was_not_kept_cancels() -> None:
    """The parent's second run took another way (P15)."""
    story = Tcc("p")
    story.calls("c", parent="0/p#1")
    story.done("c")
    story.answer("p", NOT_DONE)
    story.wait(1)
    story.calls("d", parent="0/p#1")
    story.done("d")
    told = story.answer("p", DONE, children=("0/p#1/d#1",))
    assert told == "cancelling (forced): p=done c=done d=done; answer p, stop, cancel p, cancel c, cancel d"


def test_a_child_that_was_never_registered_cancels() -> None:
    """The parent's kept run counts on a hold that nobody has."""
    told = Tcc("p").answer("p", DONE, children=("0/p#1/c#1",))
    assert told == "cancelling (forced): p=done; answer p, stop, cancel p"


def test_a_run_that_comes_too_late_registers_nothing() -> None:
    """Its try was answered already, by another run."""
    story = Tcc("p", "q")
    story.done("p")
    assert story.calls("c", parent="0/p#1") == "trying: p=done q=calling; -"
    assert "answered before" in story.saga.problem


# --- time, crashes, people


def test_the_deadline_cancels_what_is_undecided() -> None:
    """And nothing else."""
    story = Tcc("a", "b")
    story.done("a")
    assert story.wait(TIMEOUT) == "cancelling (forced): a=done b=calling; stop, cancel a"


def test_a_decided_one_has_no_deadline() -> None:
    """It is confirmed, however long that takes."""
    story = Tcc("a").confirming()
    assert story.wait(TIMEOUT) == "confirming: a=done; -"


def test_a_declared_one_goes_on_after_a_crash() -> None:
    """What was under way is unknown and asked again."""
    story = Tcc("a", "b")
    story.done("a")
    assert story.crashes() == "trying: a=done b=calling?; try b"


def test_an_undecided_open_one_is_cancelled_after_a_crash() -> None:
    """Its initiator is dead: at once, not at its deadline."""
    story = opened()
    story.calls("a")
    story.done("a")
    story.calls("b")
    assert story.crashes() == "cancelling (forced): a=done b=calling?; stop, cancel a, cancel b"
    assert "its initiator is gone" in story.saga.doc.reason


def test_a_decided_open_one_goes_on_after_a_crash() -> None:
    """Its decision is in the log."""
    story = opened()
    story.calls("a")
    story.done("a")
    story.submits("a")
    assert story.crashes() == "confirming: a=done; confirm a"


def test_a_try_that_could_have_been_called_is_unknown_after_a_crash() -> None:
    """Its call only rode (A1)."""
    names = [f"p{n}" for n in range(limits.TRIES_AT_ONCE + 1)]
    story = Tcc(*names)
    story.happens(Recovered(story.now, 0))
    assert story.answer("p0", REFUSED).endswith(f"p{limits.TRIES_AT_ONCE}=calling?; answer p0, stop") is False
    assert story.saga.doc.branches[-1].unknown


def test_what_the_forced_cancel_says_was_not_called_was_not() -> None:
    """So nothing is cancelled for it, after a crash neither."""
    names = [f"p{n}" for n in range(limits.TRIES_AT_ONCE + 1)]
    story = Tcc(*names)
    story.answer("p0", REFUSED)
    assert f"cancel p{limits.TRIES_AT_ONCE}" not in story.crashes()


def test_a_person_can_have_a_failed_confirm_tried_again() -> None:
    """Attempts are counted anew."""
    story = Tcc("a").confirming()
    story.answer("a", UNKNOWN, retry=False)
    assert story.happens(Retry(story.now)) == "confirming (forced): a=done; confirm a"


def test_a_retry_leaves_an_undecided_one_alone() -> None:
    """It goes its way within its deadline."""
    story = opened()
    story.calls("a")
    assert story.happens(Retry(story.now)) == "trying: a=calling; -"


def test_a_person_can_close_a_failed_one() -> None:
    """Once no call is in flight."""
    story = Tcc("a").confirming()
    story.answer("a", UNKNOWN, retry=False)
    assert story.happens(Resolve(story.now, "by hand")).startswith("failed (forced)")
    assert story.saga.doc.closed == "by hand"


def test_a_poison_one_is_parked() -> None:
    """Nothing is called until a person asks; then it goes on."""
    story = Tcc("a")
    assert story.happens(Poisoned(story.now, 11)) == "failed (forced): a=calling?; alert needs_attention"
    assert story.happens(Retry(story.now)) == "trying (forced): a=calling?; try a"
