"""The smooth path is taken where nothing is wrong, and only there; what it comes to, the simulator compares."""

from __future__ import annotations

import pytest
from msgspec import Raw

from troth.core import rules
from troth.core import saga as sagas
from troth.core.move import Called, Move, Replied, Returned
from troth.core.plan import Node, Plan, StepSpec
from troth.core.reply import Reply
from troth.core.smooth import begin_smoothly, decide_smoothly, prepared
from troth.core.words import Op, Role, State, Word

BOOK = StepSpec("book", guarded=True)
PAY = StepSpec("pay", guarded=True, role=Role.PIVOT)
GRAPH = prepared(Plan("g", "graph", (Node("0/book#1", BOOK, before=(1,)), Node("0/pay#1", PAY, (0,))), pivot=1))
FUNCTION = Plan("f", "function", lookup={"book": BOOK, "pay": PAY}.get)
DONE = Reply(Word.DONE, Raw(b"1"))


def begun(plan: Plan) -> Move:
    """A saga of that plan, by the smooth path."""
    move = begin_smoothly(plan, "g-1", b"u" * 16, Raw(b"{}"), 10, 10, None, True)
    assert move == sagas.begin(plan, gid="g-1", uid=b"u" * 16, input=Raw(b"{}"), now=10, begun=10)
    assert move is not None
    return move


def goes(move: Move, event: Replied | Called | Returned) -> Move:
    """The next move by the smooth path, which the rules make too."""
    found = decide_smoothly(move.state, event)
    wanted = rules.decide(move.state, event)
    assert found is not None
    assert (found.state, found.now, found.after_durable, found.save) == (
        wanted.state, wanted.now, wanted.after_durable, wanted.save,
    )  # fmt: skip
    return found


def reply(index: int, attempt: int = 1, word: Word = Word.DONE) -> Replied:
    """A call's answer."""
    return Replied(20, index, Op.ACTION, attempt, DONE if word is Word.DONE else Reply(word))


def test_a_graph_whose_steps_are_done_never_asks_the_rules() -> None:
    """From its beginning to its outcome."""
    move = begun(prepared(Plan("g", "graph", (Node("0/book#1", BOOK, before=(1,)), Node("0/book#2", BOOK, (0,))))))
    assert goes(goes(move, reply(0)), reply(1)).state.state is State.CONFIRMED


def test_a_function_whose_steps_are_done_never_asks_the_rules() -> None:
    """From its beginning to its outcome."""
    move = begun(FUNCTION)
    move = goes(goes(move, Called(15, "0", "book", Raw(b"{}"))), reply(0))
    assert goes(move, Returned(30, Raw(b"2"))).state.state is State.CONFIRMED


@pytest.mark.parametrize("word", [word for word in Word if word is not Word.DONE])
def test_any_other_answer_is_for_the_rules(word: Word) -> None:
    """Only done is smooth."""
    assert decide_smoothly(begun(GRAPH).state, reply(0, word=word)) is None


def test_what_has_a_rule_of_its_own_is_for_the_rules() -> None:
    """The pivot, an answer to an older call, and a definition that wasn't prepared."""
    called = goes(begun(GRAPH), reply(0))
    assert decide_smoothly(called.state, reply(1)) is None
    assert decide_smoothly(called.state, reply(0)) is None
    assert decide_smoothly(begun(FUNCTION).state, Called(15, "0", "pay", Raw(b"{}"))) is None
    assert begin_smoothly(Plan("g", "graph", GRAPH.steps), "g", b"u" * 16, Raw(b"{}"), 1, 1, None, True) is None
