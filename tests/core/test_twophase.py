"""Two-phase commit: what is written, what decides, what follows from each answer, crash and change of mind."""

from __future__ import annotations

import pytest

from tests.core.telling import TIMEOUT, Word
from tests.core.voting import Votes
from troth.core import limits
from troth.core.move import Doomed, Enlisted, Poisoned, Recovered, Resolve, Retry, Submitted

DONE, REFUSED, ONGOING, SEALED = Word.DONE, Word.REFUSED, Word.ONGOING, Word.SEALED
NOT_DONE, UNKNOWN, CONFLICT = Word.NOT_DONE, Word.UNKNOWN, Word.CONFLICT
NAMED = "trying doomed"
"""As a named last resource is told: no deadline counts any more."""


# --- what is written


def test_only_the_decision_is_forced() -> None:
    """One forced write; begin, enlistment and votes write nothing, the outcome rides."""
    story = Votes()
    assert story.told == "trying: -; -"
    assert story.enlists("a") == "trying: a=idle; -"
    assert story.enlists("b") == "trying: a=idle b=idle; -"
    assert story.submits() == "trying: a=calling b=calling; prepare a, prepare b"
    assert story.done("b") == "trying: a=calling b=done; -"
    assert story.done("a") == "confirming (forced): a=done b=done; commit a, commit b"
    assert story.done("a") == "confirming (rides): a=confirmed b=done; -"
    assert story.done("b") == "confirmed (rides): a=confirmed b=confirmed; -"


def test_rolling_back_our_own_writes_nothing() -> None:
    """The absence of a decision means abort."""
    story = Votes("a", "b")
    story.submits()
    story.done("a")
    assert story.answer("b", REFUSED) == "cancelling: a=done b=refused; stop, rollback a"
    assert story.done("a") == "cancelled: a=cancelled b=refused; -"


def test_an_exception_before_the_end_asks_nobody() -> None:
    """What was never asked to prepare is rolled back by giving its connection back."""
    assert Votes("a", "-b").aborts() == "cancelled: a=idle b=idle; stop"


def test_read_only_branches_drop_out() -> None:
    """They get no second phase; where all are, nothing is written."""
    story = Votes("a", "b")
    story.submits()
    story.read_only("a")
    assert story.done("b") == "confirming (forced): a=read_only b=done; commit b"
    assert story.done("b") == "confirmed (rides): a=read_only b=confirmed; -"
    story = Votes("a", "b")
    story.submits()
    story.read_only("a")
    assert story.read_only("b") == "confirmed: a=read_only b=read_only; -"
    assert Votes().submits() == "confirmed: -; -"


def test_a_branch_alone_is_named_and_commits_in_one_phase() -> None:
    """Named, so that a gid that comes twice commits once."""
    story = Votes("a")
    assert story.submits() == f"{NAMED} (forced): a=calling; commit a"
    assert story.done("a") == "confirmed (rides): a=confirmed; -"


# --- votes


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "confirming (forced): a=done b=done; commit a, commit b"),
        (REFUSED, "cancelling: a=done b=refused; stop, rollback a"),
        (ONGOING, "cancelling: a=done b=calling?; stop, rollback a, rollback b"),
        (NOT_DONE, "cancelling: a=done b=calling?; stop, rollback a, rollback b"),
        (UNKNOWN, "cancelling: a=done b=calling?; stop, rollback a, rollback b"),
        (CONFLICT, "cancelling: a=done b=calling?; stop, rollback a, rollback b"),
    ],
)
def test_a_prepare_is_answered(word: Word, told: str) -> None:
    """Only a yes lets it go on; what may have prepared is rolled back by name."""
    story = Votes("a", "b")
    story.submits()
    story.done("a")
    assert story.answer("b", word) == told


def test_a_prepare_under_way_is_waited_for() -> None:
    """Its rollback must not overtake it on its own connection; a yes that comes then counts no more."""
    story = Votes("a", "b")
    story.submits()
    assert story.answer("a", REFUSED) == "cancelling: a=refused b=calling; stop"
    assert story.done("b") == "cancelling: a=refused b=done; rollback b"
    assert story.done("b") == "cancelled: a=refused b=cancelled; -"


def test_a_no_that_comes_after_the_abort_owes_nothing() -> None:
    """It has rolled itself back."""
    story = Votes("a", "b")
    story.submits()
    story.answer("a", REFUSED)
    assert story.answer("b", REFUSED) == "cancelled: a=refused b=refused; -"


def test_the_deadline_rolls_back_what_is_undecided() -> None:
    """Also while the block still runs."""
    assert Votes("a").wait(TIMEOUT) == "cancelled: a=idle; stop"
    story = Votes("a", "b")
    story.submits()
    story.done("a")
    assert story.wait(TIMEOUT) == "cancelling: a=done b=calling; stop, rollback a"
    assert story.saga.doc.reason == "timeout: not all had prepared by vote_by"


def test_vote_by_bounds_preparing() -> None:
    """It is in the branches' names, and is kept where it is the earlier of the two."""
    story = Votes("a", "b", vote_by=5.0)
    doc = story.saga.doc
    assert (doc.vote_by - doc.begun, doc.deadline - doc.begun) == (5_000_000, 5_000_000)
    story.submits()
    assert story.wait(5) == "cancelling: a=calling b=calling; stop"
    later = Votes("a", vote_by=90.0).saga.doc
    assert (later.vote_by - later.begun, later.deadline - later.begun) == (90_000_000, int(TIMEOUT) * 1_000_000)


def test_after_the_decision_no_deadline_counts() -> None:
    """Commits are repeated until they are done."""
    story = Votes("a", "b").decided()
    assert story.wait(TIMEOUT * 2) == "confirming: a=done b=done; -"


# --- the last resource


def test_the_last_resource_goes_last_and_decides() -> None:
    """It is named, forced, once all others have prepared; its commit is the decision."""
    story = Votes("a", "-b", "c")
    assert story.submits() == "trying: a=calling b=idle c=calling; prepare a, prepare c"
    story.done("a")
    assert story.done("c") == f"{NAMED} (forced): a=done b=calling c=done; commit b"
    assert story.done("b") == "confirming (rides): a=done b=confirmed c=done; commit a, commit c"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "confirming (rides): a=done b=confirmed; commit a"),
        (REFUSED, "cancelling (rides): a=done b=refused; stop, rollback a"),
        (NOT_DONE, "cancelling (rides): a=done b=not_done; stop, rollback a"),
        (ONGOING, f"{NAMED}: a=done b=calling?; seal b"),
        (UNKNOWN, f"{NAMED}: a=done b=calling?; seal b"),
        (CONFLICT, f"{NAMED}: a=done b=calling?; seal b"),
    ],
)
def test_the_last_resource_is_answered(word: Word, told: str) -> None:
    """A lost answer is settled by sealing it; it is never asked to commit again."""
    assert Votes("a", "-b").decided().answer("b", word) == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "confirming (rides): a=done b=confirmed; commit a"),
        (SEALED, "cancelling (rides): a=done b=not_done; stop, rollback a"),
        (REFUSED, "cancelling (rides): a=done b=refused; stop, rollback a"),
        (ONGOING, f"{NAMED}: a=done b=calling?@1; -"),
        (NOT_DONE, f"{NAMED}: a=done b=calling?@1; -"),
        (UNKNOWN, f"{NAMED}: a=done b=calling?@1; -"),
    ],
)
def test_a_seal_is_answered(word: Word, told: str) -> None:
    """Committed, or never: until that is known neither direction is taken."""
    story = Votes("a", "-b").decided()
    story.answer("b", UNKNOWN)
    assert story.answer("b", word) == told


def test_nothing_hurries_a_last_resource_that_was_named() -> None:
    """No deadline, no abort, no doom: it may be committing."""
    story = Votes("a", "-b").decided()
    waits = f"{NAMED}: a=done b=calling; -"
    assert story.wait(TIMEOUT * 2) == waits
    assert story.aborts() == waits
    assert story.happens(Doomed(story.now, "no code")) == waits


def test_a_last_resource_that_nobody_can_ask_needs_a_person() -> None:
    """Slow retries go on, and end it when it can be asked again."""
    story = Votes("a", "-b").decided()
    story.answer("b", UNKNOWN)
    for _ in range(limits.RETRIES_AFTER_DECISION - 1):
        story.answer("b", UNKNOWN)
        story.wait(limits.RETRY_CAP)
    assert story.answer("b", UNKNOWN) == "failed doomed (forced): a=done b=calling?@60!; alert needs_attention"
    assert story.wait(limits.SLOW_RETRY) == "failed doomed: a=done b=calling?!; seal b"
    assert story.answer("b", DONE) == "confirming (rides): a=done b=confirmed; commit a"


def test_a_read_only_last_but_one_changes_nothing() -> None:
    """The last resource is named also where the others have written nothing."""
    story = Votes("a", "-b")
    story.submits()
    assert story.read_only("a") == f"{NAMED} (forced): a=read_only b=calling; commit b"
    assert story.done("b") == "confirmed (rides): a=read_only b=confirmed; -"


def test_there_is_room_for_one_last_resource() -> None:
    """A second one is refused in words, and nothing changes."""
    story = Votes("a", "-b")
    story.enlists("-c")
    assert story.saga.called == -1
    assert "only one such database can take part" in story.saga.problem
    assert [b.name for b in story.saga.doc.branches] == ["a", "b"]


def test_enlisting_has_its_time() -> None:
    """Once under each id, not after the end, not after an abort."""
    story = Votes("a")
    story.enlists("a")
    assert story.saga.problem == "0/a#1 is enlisted already"
    story.enlists("a", occurrence=2)
    assert (story.saga.called, story.saga.problem) == (1, "")
    story.submits()
    story.enlists("b")
    assert story.saga.problem == "b is enlisted after its transaction has ended"
    story = Votes("a")
    story.aborts()
    story.enlists("b")
    assert (story.saga.called, story.saga.problem) == (-1, "")


def test_an_enlistment_that_got_lost_rolls_back() -> None:
    """What the initiator says it enlisted must be what is there."""
    story = Votes("a")
    assert story.happens(Submitted(story.now, ("0/a#1", "0/b#1"))) == "cancelled: a=idle; stop"


# --- the second phase


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "confirming (rides): a=confirmed b=done; -"),
        (REFUSED, "failed (forced): a=done@60! b=done; alert needs_attention"),
        (ONGOING, "confirming: a=done@1 b=done; -"),
        (NOT_DONE, "confirming: a=done@1 b=done; -"),
        (UNKNOWN, "confirming: a=done@1 b=done; -"),
        (CONFLICT, "confirming: a=done@1 b=done; -"),
    ],
)
def test_a_commit_is_answered(word: Word, told: str) -> None:
    """Done, or asked again; refused is a heuristic outcome, shown with its evidence."""
    assert Votes("a", "b").decided().answer("a", word) == told


def test_a_commit_that_never_comes_through_needs_a_person() -> None:
    """Slow retries go on, and end it."""
    story = Votes("a", "b").decided()
    story.done("b")
    for _ in range(limits.RETRIES_AFTER_DECISION - 1):
        story.answer("a", UNKNOWN)
        story.wait(limits.RETRY_CAP)
    assert story.answer("a", UNKNOWN) == "failed (forced): a=done@60! b=confirmed; alert needs_attention"
    assert story.wait(limits.SLOW_RETRY) == "failed: a=done! b=confirmed; commit a"
    assert story.done("a") == "confirmed (rides): a=confirmed b=confirmed; -"


def test_a_rollback_is_repeated_without_a_word_to_the_log() -> None:
    """Until attempts are used up: then what is open is written down for a person."""
    story = Votes("a", "b")
    story.submits()
    story.done("a")
    story.answer("b", REFUSED)
    for _ in range(limits.RETRIES_AFTER_DECISION - 1):
        assert story.answer("a", UNKNOWN).startswith("cancelling: a=done@")
        assert story.wait(limits.RETRY_CAP) == "cancelling: a=done b=refused; rollback a"
    assert story.answer("a", UNKNOWN) == "failed (forced): a=done@60! b=refused; alert needs_attention"
    story.wait(limits.SLOW_RETRY)
    assert story.done("a") == "cancelled (rides): a=cancelled b=refused; -"


def test_a_rollback_refused_is_a_heuristic_outcome() -> None:
    """Someone has committed it by hand: the evidence stands in the branch."""
    story = Votes("a", "b")
    story.submits()
    story.done("a")
    story.answer("b", REFUSED)
    told = story.answer("a", REFUSED, reason="heuristic: its witness is there")
    assert told == "failed (forced): a=done@60! b=refused; alert needs_attention"
    assert story.saga.doc.branches[0].reason == "heuristic: its witness is there"


# --- overruled


def test_an_abort_that_was_written_first_rolls_back_what_was_decided_here() -> None:
    """The decision isn't in the log, and its commits were never sent (P3)."""
    story = Votes("a", "b").decided()
    assert story.overruled() == "cancelling doomed: a=done b=done; stop, rollback a, rollback b"
    story.done("a")
    assert story.done("b") == "cancelled: a=cancelled b=cancelled; -"


def test_a_last_resource_that_could_not_be_named_was_not_asked() -> None:
    """It is still open, and is rolled back with its connection."""
    story = Votes("a", "-b").decided()
    assert story.overruled() == "cancelling doomed: a=done b=idle; stop, rollback a"
    assert story.done("a") == "cancelled: a=cancelled b=idle; -"
    assert Votes("a").decided().overruled() == "cancelled: a=idle; stop"


def test_one_that_is_overruled_writes_nothing_any_more() -> None:
    """Not even that a person is needed: the log holds another's word in its place."""
    story = Votes("a", "b").decided()
    story.overruled()
    told = story.answer("a", REFUSED, reason="heuristic")
    assert told == "failed doomed: a=done@60! b=done; alert needs_attention"
    assert story.happens(Retry(story.now)) == "failed doomed: a=done@60! b=done; -"


# --- crashes and people


def test_what_was_decided_is_committed_again() -> None:
    """All of it: who has heard it says so."""
    story = Votes("a", "b").decided()
    story.done("a")
    assert story.crashes() == "confirming: a=confirmed b=done; commit b"


def test_after_a_crash_a_named_last_resource_is_sealed() -> None:
    """Whether it was asked can't be known; it is never asked to commit by another."""
    story = Votes("a", "-b").decided()
    assert story.crashes() == f"{NAMED}: a=done b=calling?; seal b"
    assert story.answer("b", SEALED) == "cancelling (rides): a=done b=not_done; stop, rollback a"
    assert story.crashes() == "cancelling: a=done b=not_done; rollback a"


def test_a_person_asks_for_another_round() -> None:
    """Attempts are counted anew."""
    story = Votes("a", "b").decided()
    story.answer("a", REFUSED)
    assert story.happens(Retry(story.now)) == "confirming (forced): a=done b=done; commit a"


def test_a_person_settles_by_hand() -> None:
    """Retries stop, what is under way is waited for, then it is closed."""
    story = Votes("a", "b").decided()
    story.answer("a", REFUSED)
    assert story.happens(Resolve(story.now, "by hand")) == "failed (forced): a=done! b=done; -"
    assert story.done("b") == "failed (forced): a=done! b=confirmed; stop"
    assert story.saga.doc.closed == "by hand"


def test_poison_is_parked() -> None:
    """Nothing is called until a person asks."""
    story = Votes("a", "-b").decided()
    assert story.happens(Poisoned(story.now, 11)) == "failed doomed (forced): a=done b=calling?; alert needs_attention"
    assert story.happens(Recovered(story.now, 0)) == "failed doomed: a=done b=calling?; -"
    assert story.happens(Retry(story.now)) == f"{NAMED} (forced): a=done b=calling?; seal b"


def test_one_that_ended_hears_nothing() -> None:
    """Every event leaves it as it is."""
    story = Votes("a")
    story.aborts()
    for event in (Enlisted(story.now, "0/b#1", "b"), Submitted(story.now, ()), Doomed(story.now, "why")):
        assert story.happens(event) == "cancelled: a=idle; -"
