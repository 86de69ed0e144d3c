"""Steps are checked when they are made; every error names the step and the cure."""

from __future__ import annotations

import functools
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw

from tests.app.recording import Place, Recording
from troth.app.naming import name_of
from troth.app.step import AsyncStep, SyncStep, check_ready
from troth.core.plan import StepSpec
from troth.core.words import Role
from troth.ports.errors import DefinitionError, LimitExceeded

troth = Recording()
BOTH: Any = Place("sync", "async")


def reserve(db: Any, sku: str, n: int = 1) -> int:
    """Take from the shelf."""
    return n


async def charge(order_id: str) -> str:
    return order_id


@troth.step
def module_step(sku: str) -> str:
    return sku


def test_a_step_carries_what_the_engine_needs() -> None:
    """A step on a database is guarded and sealable, and the connection is no parameter of it."""
    host = Recording()
    step = host.step(on=BOTH, timeout=3, attempts=5, interval=0.5)(reserve)
    assert isinstance(step, SyncStep)
    assert step.name == f"{__name__}.reserve"
    assert step.fn is reserve
    assert step.database is BOTH
    assert not step.is_async
    assert list(step.signature.parameters) == ["sku", "n"]
    assert step.spec == StepSpec(step.name, guarded=True, sealable=True, undoable=False, timeout=3.0, attempts=5, interval=0.5)
    assert (step.__name__, step.__doc__) == ("reserve", "Take from the shelf.")  # type: ignore[attr-defined]
    assert host.steps.find(step.name) is step


def test_with_and_without_parentheses() -> None:
    """Both spellings make the same step, in the function's own colour."""
    host = Recording()
    assert isinstance(host.step(charge), AsyncStep)
    assert isinstance(host.step()(charge), AsyncStep)
    assert isinstance(host.step(name="x", guarded=True)(charge), AsyncStep)
    assert host.step(name="y", guarded=True)(charge).spec.guarded


def test_each_spelling_reaches_the_host() -> None:
    """A call, .aio of a def and .wait of an async def reach the host with their spelling."""
    host = Recording()
    sync: Any = host.step(on=BOTH)(reserve)
    assert sync("a", n=2) == (sync, ("a",), {"n": 2}, "call", "own", (None, None))
    assert sync.aio("a") == (sync, ("a",), {}, "call", "aio", (None, None))
    awaited: Any = host.step(charge)
    assert awaited("1") == (awaited, ("1",), {}, "call", "own", (None, None))
    assert awaited.wait("1") == (awaited, ("1",), {}, "call", "wait", (None, None))


def test_a_spelling_that_does_not_exist_names_the_right_one() -> None:
    """.wait of what blocks and .aio of what is awaited raise at once."""
    host = Recording()
    sync: Any = host.step(on=BOTH)(reserve)
    with pytest.raises(DefinitionError, match=r"reserve blocks already: call reserve\(…\), or await reserve\.aio\(…\)"):
        sync.wait("a")
    awaited: Any = host.step(charge)
    with pytest.raises(DefinitionError, match=r"charge is awaited already: await charge\(…\), or call charge\.wait\(…\)"):
        awaited.aio("1")


def test_a_compensation_gets_the_steps_arguments_and_its_result() -> None:
    """A compensation takes the same parameters, and `result` if it names it; None where nobody knows it."""
    step = Recording().step(on=BOTH)(reserve)

    @step.compensate  # type: ignore[untyped-decorator]
    def release(db: Any, n, sku: str, result: int | None) -> None:  # type: ignore[no-untyped-def]
        pass

    assert release.__name__ == "release"
    assert step.spec.undoable
    assert step.undo is not None
    args = Raw(b'{"sku":"a","n":2}')
    assert step.undo.load(args, Raw(b"7")) == ((), {"n": 2, "sku": "a", "result": 7})
    assert step.undo.load(args, None).kwargs["result"] is None


def test_positional_only_parameters_of_a_compensation_are_passed_so() -> None:
    """Whatever kind its parameters are, the compensation can be called."""
    step = Recording().step(charge)

    @step.compensate
    async def refund(order_id: str, /) -> None: ...

    assert step.undo is not None
    assert step.undo.is_async
    assert step.undo.load(Raw(b'{"order_id":"1"}'), None) == (("1",), {})


def test_a_step_with_a_parameter_named_result_keeps_it() -> None:
    """`result` in a compensation is the step's own parameter where the step has one."""
    host = Recording()

    @host.step(name="publish")
    def publish(result: str) -> int:
        return 1

    @publish.compensate
    def withdraw(result: str) -> None: ...

    assert publish.undo is not None
    assert publish.undo.load(Raw(b'{"result":"x"}'), Raw(b"1")).kwargs == {"result": "x"}


def test_a_check_takes_the_steps_arguments() -> None:
    """A check makes the step checkable."""
    host = Recording()

    def look(order_id: str) -> str:
        return order_id

    step = host.step(name="a", check=look, compensate=None)(charge)
    assert step.spec.checkable
    assert step.checker is not None
    assert step.checker.load(Raw(b'{"order_id":"1"}'), None).kwargs == {"order_id": "1"}
    other = host.step(name="b", compensate=look)(charge)
    assert other.undo is not None


def attach(kind: str, fn: Any, on: Any = BOTH) -> None:
    step = Recording().step(on=on)(reserve)
    getattr(step, kind)(fn)


@pytest.mark.parametrize(
    ("kind", "fn", "words"),
    [
        ("compensate", lambda db, sku, n: None, "compensation: a lambda can't be found again"),
        ("check", 7, "check: 7 is no function"),
    ],
)
def test_attached_things_are_functions(kind: str, fn: Any, words: str) -> None:
    """A lambda or an object can't be attached."""
    with pytest.raises(DefinitionError, match=rf"step {__name__}\.reserve: {words}"):
        attach(kind, fn)


def nothing() -> None: ...
def fewer(db: Any, sku: str) -> None: ...
def more(db: Any, sku: str, n: int, why: str) -> None: ...
def other_type(db: Any, sku: str, n: str) -> None: ...
def with_result(db: Any, sku: str, n: int, result: int) -> None: ...
async def colour(db: Any, sku: str, n: int) -> None: ...


@pytest.mark.parametrize(
    ("kind", "fn", "words"),
    [
        ("compensate", nothing, "compensation nothing: with on= its first parameter is the connection. Add one"),
        ("compensate", fewer, "compensation fewer: parameter n of the step is missing. Take the same parameters"),
        ("compensate", more, "compensation more: the step has no parameter why; it has sku, n. Take the same"),
        (
            "compensate",
            other_type,
            "parameter n is annotated <class 'str'>, in the step it is <class 'int'>. Annotate both",
        ),
        ("check", with_result, "check with_result: the step has no parameter result"),
        ("compensate", colour, "compensation colour: an async def can't run on database stock.*Write it as def"),
    ],
)
def test_attached_functions_take_the_steps_parameters(kind: str, fn: Any, words: str) -> None:
    """Other parameters, types or colours are refused at registration, naming the step, the function and the cure."""
    with pytest.raises(DefinitionError, match=rf"^step {__name__}\.reserve: .*{words}"):
        attach(kind, fn, Place("sync"))


def outer() -> Callable[..., Any]:
    def inner() -> None: ...

    return inner


def generate() -> Any:
    yield 1


async def astep(db: Any) -> None: ...
def star(*skus: str) -> None: ...
def strange(x: complex) -> None: ...


@pytest.mark.parametrize(
    ("fn", "options", "words"),
    [
        (lambda x: x, {}, "step: a lambda can't be found again after a restart. Write a def"),
        (functools.partial(charge, "1"), {}, "is no function. Write a def that calls it"),
        (generate, {}, "step generate: a generator can't be one. Return the values as a list"),
        (outer(), {}, "step inner: it is defined inside of outer, so no other process.*give it a name="),
        (module_step, {}, r"step .*module_step: it is a step already\. Leave one"),
        (charge, {"name": "a/b"}, "step: 'a/b' contains / or #.*Use . or -"),
        (charge, {"name": ""}, "step: the name is empty. Give one"),
        (charge, {"name": 7}, "step: a name is a str, not int"),
        (charge, {"aliases": "old"}, "step .*charge: aliases= takes several names. Write aliases="),
        (charge, {"aliases": ("a#b",)}, "step .*charge: alias: 'a#b' contains / or #"),
        (charge, {"timeout": 0}, "step .*charge: timeout=0 is no time. Give seconds, more than 0"),
        (charge, {"timeout": float("nan")}, "timeout=nan is no time"),
        (charge, {"timeout": "3"}, "timeout='3' is no time"),
        (charge, {"interval": -1}, "step .*charge: interval=-1 is no time"),
        (charge, {"attempts": 0}, "step .*charge: attempts=0 is no count. Give the number of calls"),
        (charge, {"attempts": True}, "attempts=True is no count"),
        (charge, {"role": "final"}, "step .*charge: role='final' is none. Say compensable, pivot, retriable or local"),
        (
            charge,
            {"refuse_on": (7,)},
            r"step .*charge: refuse_on=7 is no exception class. Write refuse_on=\(CardDeclined",
        ),
        (charge, {"refuse_on": KeyboardInterrupt}, "refuse_on=.*is no exception class"),
        (charge, {"on": "stock"}, r"step .*charge: on='stock' is no database. Make one: on=troth\.database"),
        (astep, {"on": Place("sync")}, "step .*astep: an async def can't run on database stock.*Write it as def"),
        (reserve, {"on": Place("async")}, "step .*reserve: a def can't run on database stock.*Write it as async def"),
        (star, {}, r"step .*star: \*skus can't travel"),
        (strange, {}, r"step .*strange: parameter x: type builtins\.complex can't be encoded"),
    ],
)
def test_a_bad_step_is_refused(fn: Any, options: dict[str, Any], words: str) -> None:
    """Each way of defining a step that can't work is a DefinitionError that names the step and the cure."""
    with pytest.raises(DefinitionError, match=words):
        Recording().step(**options)(fn)


def test_a_name_too_long_names_its_limit() -> None:
    """129 characters are over NAME_LENGTH."""
    with pytest.raises(LimitExceeded, match=r"NAME_LENGTH: step .* has 129 characters.*Give a shorter name=") as caught:
        Recording().step(name="x" * 129)(charge)
    assert caught.value.limit == "NAME_LENGTH"


def test_refuse_on_takes_one_class_or_several() -> None:
    """A single exception class is as good as a tuple of one."""
    host = Recording()
    assert host.step(refuse_on=KeyError)(charge).refuse_on == (KeyError,)
    assert host.step(refuse_on=(KeyError, OSError))(charge).refuse_on == (KeyError, OSError)


def test_the_same_place_again_replaces() -> None:
    """A reload or a notebook cell run again takes the old step's name and aliases over."""
    host = Recording()
    host.step(aliases=("old",))(charge)
    again = host.step(charge)
    assert host.steps.find(again.name) is again
    assert host.steps.find("old") is None
    assert len(host.steps) == 1


def test_another_function_under_a_taken_name_is_refused() -> None:
    """Two functions can't be stored by one name, nor by one alias."""
    host = Recording()
    host.step(name="pay", aliases=("old",))(charge)
    with pytest.raises(DefinitionError, match=r"step pay: the name pay belongs to .*charge already\. Give one of them"):
        host.step(on=BOTH, name="pay")(reserve)
    with pytest.raises(DefinitionError, match="step take: the name old belongs to"):
        host.step(on=BOTH, name="take", aliases=("old",))(reserve)
    with pytest.raises(DefinitionError, match="step old: the name old belongs to"):
        host.step(on=BOTH, name="old")(reserve)


def test_one_factory_makes_steps_of_several_names() -> None:
    """Functions made at one place under different names are different steps."""
    host = Recording()

    def make(name: str) -> Any:
        @host.step(name=name)
        def call(x: int) -> int:
            return x

        return call

    made = [make("a"), make("b")]
    assert [host.steps.find("a"), host.steps.find("b")] == made


def test_an_alias_finds_a_renamed_step() -> None:
    """What was stored by an old name is found by it."""
    host = Recording()
    step = host.step(aliases=("shop.old_charge",))(charge)
    assert host.steps.find("shop.old_charge") is step


def test_the_programs_own_module_has_a_name_that_others_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """In __main__ the name is made with the module's spec, else its file's stem, also in a spawned child."""

    def step() -> None: ...

    step.__qualname__ = "step"
    for main in ("__main__", "__mp_main__"):
        module = types.ModuleType(main)
        monkeypatch.setitem(sys.modules, main, module)
        step.__module__ = main
        assert name_of(step, None, "step") == "__main__.step"
        module.__file__ = "/srv/shop.py"
        assert name_of(step, None, "step") == "shop.step"
        module.__spec__ = types.SimpleNamespace(name="app.shop")  # type: ignore[assignment]
        assert name_of(step, None, "step") == "app.shop.step"


def test_a_compensable_step_needs_a_compensation_or_a_waiver() -> None:
    """At node start, a step that nothing undoes is refused, with all the cures; others pass."""
    host = Recording()
    step = host.step(name="pay")(charge)
    with pytest.raises(DefinitionError, match=r"step pay is compensable, but nothing undoes it\. Attach .*@charge\.compensate"):
        check_ready([step])
    check_ready([step], excused={"pay"})
    for role in ("pivot", "retriable", "local"):
        check_ready([host.step(name="x", role=role)(charge)])
    check_ready([host.step(name="y", compensate=None)(charge)])
    step.compensate(charge)
    check_ready([step])
    assert step.spec.role is Role.COMPENSABLE


def test_a_module_level_step_can_be_pickled() -> None:
    """A step travels to another process as the name of its place."""
    assert pickle.loads(pickle.dumps(module_step)) is module_step
