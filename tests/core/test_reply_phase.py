"""Reply × phase: one test for each cell of the table that is the heart of the rules."""

from __future__ import annotations

import pytest

from tests.core.telling import Role, Story, Word, chain, function, pivot, retriable, step

DONE, REFUSED, ONGOING = Word.DONE, Word.REFUSED, Word.ONGOING
NOT_DONE, UNKNOWN, CONFLICT = Word.NOT_DONE, Word.UNKNOWN, Word.CONFLICT


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "trying (rides): book=done pack=calling; action pack"),
        (REFUSED, "cancelled (forced): book=refused pack=idle; -"),
        (ONGOING, "trying (rides): book=calling?@1 pack=idle; -"),
        (NOT_DONE, "trying: book=calling@1 pack=idle; -"),
        (UNKNOWN, "trying (rides): book=calling?@1 pack=idle; -"),
        (CONFLICT, "trying (rides): book=calling?@1 pack=idle; alert misconfigured"),
    ],
)
def test_a_graph_before_its_decision(word: Word, told: str) -> None:
    """Done goes on, refused cancels and owes nothing, all else is asked again."""
    assert Story(chain(step("book"), step("pack"))).answer("book", word) == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "trying (rides): book=done; answer book"),
        (REFUSED, "trying (rides): book=refused; answer book"),
        (ONGOING, "trying (rides): book=calling?@1; -"),
        (NOT_DONE, "trying: book=calling@1; -"),
        (UNKNOWN, "trying (rides): book=calling?@1; -"),
        (CONFLICT, "trying (rides): book=calling?@1; alert misconfigured"),
    ],
)
def test_a_function_before_its_decision(word: Word, told: str) -> None:
    """The function is told a refusal; it decides."""
    story = Story(function(step("book")))
    story.call("book")
    assert story.answer("book", word) == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "confirming (rides): book=done pay=done ship=calling; action ship"),
        (REFUSED, "cancelling (forced): book=done pay=refused ship=idle; compensate book"),
        (ONGOING, "trying (rides): book=done pay=calling?@1 ship=idle; -"),
        (NOT_DONE, "trying: book=done pay=calling@1 ship=idle; -"),
        (UNKNOWN, "trying (rides): book=done pay=calling?@1 ship=idle; -"),
        (CONFLICT, "trying (rides): book=done pay=calling?@1 ship=idle; alert misconfigured"),
    ],
)
def test_the_pivot(word: Word, told: str) -> None:
    """Done is the point of no return; a doubt takes neither direction."""
    story = Story(chain(step("book"), pivot(), retriable()))
    story.done("book")
    assert story.answer("pay", word) == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "confirmed (forced): pay=done ship=done; -"),
        (REFUSED, "confirming (rides): pay=done ship=calling?@1; alert refused_not_allowed"),
        (ONGOING, "confirming (rides): pay=done ship=calling?@1; -"),
        (NOT_DONE, "confirming: pay=done ship=calling@1; -"),
        (UNKNOWN, "confirming (rides): pay=done ship=calling?@1; -"),
        (CONFLICT, "confirming (rides): pay=done ship=calling?@1; alert misconfigured"),
    ],
)
def test_forward_after_the_decision(word: Word, told: str) -> None:
    """Only done settles; a refusal is alerted and asked again, never the other direction."""
    story = Story(chain(pivot(), retriable()))
    story.done("pay")
    assert story.answer("ship", word) == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (DONE, "cancelled (forced): book=compensated pack=refused; -"),
        (REFUSED, "cancelling: book=done@1 pack=refused; alert refused_not_allowed"),
        (ONGOING, "cancelling: book=done@1 pack=refused; -"),
        (NOT_DONE, "cancelling: book=done@1 pack=refused; -"),
        (UNKNOWN, "cancelling: book=done@1 pack=refused; -"),
        (CONFLICT, "cancelling: book=done@1 pack=refused; alert misconfigured"),
    ],
)
def test_backward(word: Word, told: str) -> None:
    """A compensation is asked until it is done."""
    story = Story(chain(step("book"), step("pack")))
    story.done("book")
    story.answer("pack", REFUSED)
    assert story.answer("book", word) == told


# --- attempts used up


def used_up(story: Story, name: str, word: Word, times: int) -> str:
    """The same answer to every attempt; the last move."""
    for _ in range(times - 1):
        story.answer(name, word)
        story.wait(30)
    return story.answer(name, word)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (NOT_DONE, "cancelled (forced): book=not_done; -"),
        (UNKNOWN, "cancelling (forced): book=calling?; compensate book"),
        (CONFLICT, "cancelling (forced): book=calling?; alert misconfigured, compensate book"),
    ],
)
def test_a_graph_whose_attempts_are_used_up(word: Word, told: str) -> None:
    """Known not to have happened owes nothing; unknown is compensated too."""
    assert used_up(Story(chain(step("book", attempts=1))), "book", word, 1) == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (NOT_DONE, "trying (rides): book=not_done; answer book"),
        (UNKNOWN, "trying (forced): book=gave_up?; answer book, compensate book"),
    ],
)
def test_a_function_whose_attempts_are_used_up(word: Word, told: str) -> None:
    """The function gets `StepFailed`; a branch that nobody knows of is given up durably first (P8)."""
    story = Story(function(step("book", attempts=1)))
    story.call("book")
    assert used_up(story, "book", word, 1) == told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (NOT_DONE, "cancelled (forced): pay=not_done; -"),
        (UNKNOWN, "trying (rides): pay=calling?; seal pay"),
    ],
)
def test_a_pivot_whose_attempts_are_used_up(word: Word, told: str) -> None:
    """A pivot that may have happened is sealed before any direction is taken (A2)."""
    assert used_up(Story(chain(step("pay", Role.PIVOT, attempts=1))), "pay", word, 1) == told


@pytest.mark.parametrize("word", [NOT_DONE, UNKNOWN, CONFLICT, REFUSED])
def test_a_retriable_step_asks_for_a_person_after_ten_calls(word: Word) -> None:
    """After the decision: ten calls, then `failed`, and slow retries every minute that may end it."""
    story = Story(chain(pivot(), retriable()))
    story.done("pay")
    last = used_up(story, "ship", word, 10)
    assert last.startswith("failed (forced): pay=done ship=calling")
    assert last.endswith("alert needs_attention")
    assert "@60!" in last
    story.wait(60)
    assert story.done("ship") == "confirmed (forced): pay=done ship=done; -"


@pytest.mark.parametrize("word", [NOT_DONE, UNKNOWN, CONFLICT, REFUSED])
def test_a_compensation_asks_for_a_person_after_ten_calls(word: Word) -> None:
    """Backward too: ten calls, then `failed`, and slow retries that may end it."""
    story = Story(chain(step("book"), step("pack")))
    story.done("book")
    story.answer("pack", REFUSED)
    assert used_up(story, "book", word, 10).startswith("failed (forced): book=done@60! pack=refused; ")
    story.wait(60)
    assert story.done("book") == "cancelled (forced): book=compensated pack=refused; -"
