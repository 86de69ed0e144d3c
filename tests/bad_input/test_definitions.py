"""Definitions that can't work are refused when they are made, or at node start; each error names the step and the cure."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from troth import DefinitionError, LimitExceeded, Troth
from troth.core import limits


@pytest.fixture
def app() -> Troth:
    """An application without definitions; nothing is opened."""
    return Troth("memory://")


def plain(n: int) -> int:
    """A function at the module's level."""
    return n


def step(app: Troth, name: str, **options: Any) -> Any:
    """A step that waives its compensation."""

    def function(n: int) -> int:
        return n

    return app.step(name=name, compensate=None, **options)(function)


def refused(app: Troth, *words: str, kind: type[Exception] = DefinitionError) -> None:
    """No node starts, and the error has these words."""
    with pytest.raises(kind) as caught:
        app.__enter__()
    for word in words:
        assert word in str(caught.value), caught.value


# --- graphs


def test_an_unknown_dependency(app: Troth) -> None:
    """A graph's step waits for one that isn't there; its neighbours are offered."""
    place = app.graph("place", input=int)
    place.step(step(app, "pick"), args={"n": place.input})
    place.step(step(app, "pack"), after="pikc", args={"n": place.input})
    refused(app, "graph place", "step pack", "pikc", "pick")


def test_a_circular_dependency(app: Troth) -> None:
    """The whole circle is named."""
    place = app.graph("place", input=int)
    place.step(step(app, "pick"), after="pack", args={"n": place.input})
    place.step(step(app, "pack"), after="pick", args={"n": place.input})
    refused(app, "graph place", "waits for itself", "pick → pack → pick", "Remove one after= or reference of the circle")


def test_a_compensable_step_that_is_no_ancestor_of_the_pivot(app: Troth) -> None:
    """Beside the pivot it could be refused when there is no way back."""
    place = app.graph("place", input=int)
    place.step(step(app, "pick"), args={"n": place.input})
    place.step(step(app, "pay"), role="pivot", args={"n": place.input})
    refused(app, "step pick is compensable but does not stand before the pivot pay", "Let pay wait for it (after=)", "retriable")


def test_a_retriable_step_that_is_no_descendant_of_the_pivot(app: Troth) -> None:
    """Before the pivot it could not be undone."""
    place = app.graph("place", input=int)
    place.step(step(app, "tell"), role="retriable", args={"n": place.input})
    place.step(step(app, "pay"), role="pivot", args={"n": place.input})
    refused(app, "step tell is retriable but does not stand after the pivot pay", "Add after=pay")


def test_a_second_pivot(app: Troth) -> None:
    """Only one step can be the point of no return."""
    place = app.graph("place", input=int)
    first = place.step(step(app, "pay"), role="pivot", args={"n": place.input})
    place.step(step(app, "ship"), role="pivot", after=first, args={"n": place.input})
    refused(app, "step ship is a second pivot beside pay", "Make the earlier one compensable, or the later one retriable")


def test_an_argument_that_nobody_gives(app: Troth) -> None:
    """A parameter that is neither given nor a field of the input."""
    place = app.graph("place", input=str)
    place.step(step(app, "pick"))
    refused(app, "graph place: step pick: parameter n is neither given nor a field of the input", "Pass it")


def test_too_many_steps(app: Troth) -> None:
    """The limit is named where it is passed."""
    place = app.graph("place", input=int)
    pick = step(app, "pick")
    for _ in range(limits.BRANCHES):
        place.step(pick, args={"n": place.input})
    with pytest.raises(DefinitionError, match=r"step pick is one more than BRANCHES \(1000\)\. Split the saga"):
        place.step(pick, args={"n": place.input})


def test_a_graph_without_steps(app: Troth) -> None:
    """There is nothing to do."""
    app.graph("place", input=int)
    refused(app, "graph place", "there are no steps", "Add one with .step(…)")


# --- compensation


def test_a_missing_compensation_is_told_at_node_start(app: Troth) -> None:
    """The three cures are named: attach one, waive it, or say that no saga uses the step."""
    app.step(plain)
    refused(app, "step tests.bad_input.test_definitions.plain", "nothing undoes it", "@plain.compensate", "compensate=None",
            'role="local"')


def test_a_missing_compensation_is_told_at_first_use_too(app: Troth) -> None:
    """Also without `with troth:`; nothing runs."""
    ran: list[int] = []

    @app.step(name="pick")
    def pick(n: int) -> None:
        ran.append(n)

    @app.saga(name="place")
    def place(n: int) -> None:
        pick(n)

    with pytest.raises(DefinitionError, match=r"step pick is compensable, but nothing undoes it"):
        place(1)
    assert ran == []


def test_a_compensation_with_other_parameters(app: Troth) -> None:
    """It gets the step's own arguments, so it must take them."""
    pick = app.step(name="pick")(plain)
    with pytest.raises(DefinitionError) as caught:

        @pick.compensate
        def unpick(quantity: int) -> None: ...

    assert "step pick" in str(caught.value) and "quantity" in str(caught.value)


# --- code that can't be found again


@pytest.mark.parametrize("kind", ["step", "saga"])
def test_a_lambda(app: Troth, kind: str) -> None:
    """No other process could find it."""
    with pytest.raises(DefinitionError, match=rf"{kind}: a lambda can't be found again after a restart. Write a def"):
        getattr(app, kind)(lambda n: n)


@pytest.mark.parametrize("kind", ["step", "saga"])
def test_a_local_function(app: Troth, kind: str) -> None:
    """Unless a name says how it is found."""

    def local(n: int) -> int:
        return n

    with pytest.raises(DefinitionError) as caught:
        getattr(app, kind)(local)
    assert f"{kind} local: it is defined inside of test_a_local_function" in str(caught.value)
    assert "Define it at the module's level, or give it a name=" in str(caught.value)


@pytest.mark.parametrize("kind", ["step", "saga"])
def test_a_partial(app: Troth, kind: str) -> None:
    """What it was made of isn't stored."""
    with pytest.raises(DefinitionError, match=r"is no function. Write a def that calls it"):
        getattr(app, kind)(functools.partial(plain, 1))


def test_a_name_that_another_function_has(app: Troth) -> None:
    """Records of the one would be given to the other."""
    step(app, "pick")

    def other(n: int) -> int:
        return n

    with pytest.raises(DefinitionError, match=r"step pick: the name pick belongs to .*function already.*another name="):
        app.step(name="pick")(other)


# --- limits and options


def test_a_name_that_is_too_long(app: Troth) -> None:
    """129 characters."""
    with pytest.raises(LimitExceeded, match=r"NAME_LENGTH.*Give a shorter name="):
        step(app, "n" * 129)


@pytest.mark.parametrize("name", ["a/b", "a#1", "", "a\nb"])
def test_a_name_that_would_break_a_branch_id(app: Troth, name: str) -> None:
    """Or that can't be printed, or is none."""
    with pytest.raises(DefinitionError, match=r"name|character|separate"):
        step(app, name)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout": 0}, "timeout=0 is no time. Give seconds, more than 0"),
        ({"timeout": "soon"}, "timeout='soon' is no time"),
        ({"attempts": 0}, "attempts=0 is no count"),
        ({"interval": -1}, "interval=-1 is no time"),
        ({"role": "pivotal"}, "role='pivotal' is none. Say compensable, pivot, retriable or local"),
        ({"refuse_on": ValueError("x")}, r"is no exception class. Write refuse_on=\(CardDeclined,\)"),
        ({"aliases": "old"}, r'aliases= takes several names. Write aliases=\("old_name",\)'),
        ({"on": "stock"}, "on='stock' is no database. Make one"),
    ],
)
def test_a_wrong_option_of_a_step(app: Troth, options: dict[str, Any], words: str) -> None:
    """The step, the option, and what would do."""
    with pytest.raises(DefinitionError, match=rf"step pick.*{words}"):
        step(app, "pick", **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout": 0}, "timeout=0 is no time"),
        ({"recover": "maybe"}, 'recover=\'maybe\' is no way. Say "run" or "cancel"'),
        ({"gid": "order-1"}, "gid='order-1' can't be called"),
    ],
)
def test_a_wrong_option_of_a_saga(app: Troth, options: dict[str, Any], words: str) -> None:
    """The saga, the option, and what would do."""
    with pytest.raises(DefinitionError, match=rf"saga place.*{words}"):
        app.saga(name="place", **options)(plain)


def test_a_parameter_that_can_not_travel(app: Troth) -> None:
    """The parameter, its type, and types that can."""

    def function(file: memoryview, callback: Any) -> None: ...

    def other(*orders: int) -> None: ...

    class Opaque: ...

    def third(order: Opaque) -> None: ...

    with pytest.raises(DefinitionError, match=r"step pick: \*orders can't travel.*take one list"):
        app.step(name="pick")(other)
    with pytest.raises(DefinitionError, match=r"step pick: parameter order: .*Opaque can't be encoded.*Use a dataclass"):
        app.step(name="pick")(third)


def test_gathers_nested_too_deeply(app: Troth) -> None:
    """Each level makes branch ids longer; the limit is named before anything of that level is recorded."""
    pick = step(app, "pick")

    @app.saga(name="place")
    def place(levels: int) -> int:
        def deeper(left: int) -> int:
            return int(app.parallel(lambda: deeper(left - 1))[0]) if left else int(pick(1))

        return deeper(levels)

    with app:
        assert place(limits.PLACE_DEPTH) == 1
        with pytest.raises(Exception, match=rf"PLACE_DEPTH: {limits.PLACE_DEPTH + 1} is more than {limits.PLACE_DEPTH}"):
            place(limits.PLACE_DEPTH + 1)


def test_a_retriable_step_called_before_the_pivot(app: Troth) -> None:
    """Its effect would stay if the saga is cancelled later: the call is refused, and says what would do."""
    pick = step(app, "pick")
    tell = app.step(name="tell", role="retriable", guarded=True)(plain)
    free = app.step(name="free", role="retriable", guarded=True, compensate=None)(plain)

    @app.saga(name="place")
    def place(early: bool) -> int:
        pick(1)
        return int(tell(1) if early else free(1))

    with app:
        assert place.run(False).state == "confirmed"
        outcome = place.run(True)
    assert outcome.state == "cancelled"
    for words in ("DefinitionError: tell is retriable and nothing undoes it", "Call it after the pivot", "compensate=None"):
        assert words in outcome.reason
