"""Sagas are checked when they are made, and every verb reaches the host in its spelling and with its options."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.app.recording import Recording
from troth.app.host import Options
from troth.core.plan import StepSpec
from troth.ports.errors import DefinitionError, LimitExceeded, PayloadError


@dataclasses.dataclass
class Order:
    id: str
    n: int = 1


def place(order: Order) -> str:
    return order.id


async def aplace(order: Order) -> str:
    return order.id


ORDER = Order("1")


def test_a_saga_carries_what_the_engine_needs() -> None:
    """Its plan is a function's, with the lookups it is given."""
    saga = Recording().saga(timeout=5, recover="cancel")(place)
    assert saga.name == f"{__name__}.place"
    assert not saga.is_async

    def lookup(name: str) -> StepSpec | None:
        return None

    plan = saga.plan(lookup)
    assert (plan.name, plan.form, plan.timeout, plan.recover) == (saga.name, "function", 5.0, "cancel")
    assert plan.lookup is lookup
    raw = saga.bind((ORDER,), {})
    assert bytes(raw) == b'{"order":{"id":"1","n":1}}'
    assert saga.load(raw).args == (ORDER,)
    assert saga.decode_result(saga.encode_result("x")) == "x"


def test_every_verb_of_a_sync_saga_reaches_the_host() -> None:
    """call, run and start, with and without options, in both spellings."""
    saga: Any = Recording().saga(place)
    none, some = Options(), Options("g", 3.0)
    bound = saga.options(gid="g").options(timeout=3)
    assert saga(ORDER) == (saga, (ORDER,), {}, "call", "own", none)
    assert saga.run(order=ORDER) == (saga, (), {"order": ORDER}, "run", "own", none)
    assert saga.start(ORDER) == (saga, (ORDER,), {}, "start", "own", none)
    assert saga.aio(ORDER) == (saga, (ORDER,), {}, "call", "aio", none)
    assert saga.aio.run(ORDER) == (saga, (ORDER,), {}, "run", "aio", none)
    assert bound(ORDER) == (saga, (ORDER,), {}, "call", "own", some)
    assert bound.start(ORDER) == (saga, (ORDER,), {}, "start", "own", some)
    assert bound.aio.start(ORDER) == (saga, (ORDER,), {}, "start", "aio", some)


def test_every_verb_of_an_async_saga_reaches_the_host() -> None:
    """The awaited verbs are its own, the blocking ones are under .wait."""
    saga: Any = Recording().saga(gid=lambda order: f"order-{order.id}")(aplace)
    none = Options()
    assert saga.is_async
    assert saga(ORDER) == (saga, (ORDER,), {}, "call", "own", none)
    assert saga.run(ORDER) == (saga, (ORDER,), {}, "run", "own", none)
    assert saga.wait(ORDER) == (saga, (ORDER,), {}, "call", "wait", none)
    some = Options("g", None)
    assert saga.options(gid="g").wait.start(ORDER) == (saga, (ORDER,), {}, "start", "wait", some)


def test_a_spelling_that_does_not_exist_names_the_right_one() -> None:
    """.wait of what blocks and .aio of what is awaited raise at once."""
    sync: Any = Recording().saga(place)
    with pytest.raises(DefinitionError, match=r"place blocks already: call it, or await its \.aio"):
        sync.wait(ORDER)
    awaited: Any = Recording().saga(aplace)
    with pytest.raises(DefinitionError, match=r"aplace is awaited already: await it, or call its \.wait"):
        awaited.aio(ORDER)


def test_the_gid_comes_from_the_call_or_the_definition() -> None:
    """options(gid=…) comes before gid=, and without both one is generated."""
    host = Recording()
    saga = host.saga(gid=lambda order: f"order-{order.id}")(place)
    assert saga.gid_of((ORDER,), {}, Options()) == "order-1"
    assert saga.gid_of((), {"order": ORDER}, Options()) == "order-1"
    assert saga.gid_of((ORDER,), {}, Options("other")) == "other"
    assert host.saga(name="x")(place).gid_of((ORDER,), {}, Options()) is None


@pytest.mark.parametrize(
    ("gid", "error", "words"),
    [
        ("x" * 129, LimitExceeded, r"GID_LENGTH: 129 is more than 128\. Use a shorter key"),
        ("a b", PayloadError, r"gid: 'a b' is no gid\. Use 1 to 128 letters, digits"),
        ("..", PayloadError, "gid: '..' is no gid"),
        ("", PayloadError, "gid: the gid is empty"),
        (7, PayloadError, r"gid: a gid is a str, not int\. Make it one, e\.g\. gid=f"),
    ],
)
def test_a_bad_gid_is_refused_wherever_it_comes_from(gid: Any, error: type[Exception], words: str) -> None:
    """Too long, with a space, dots only, empty, or no str: typed and worded."""
    saga = Recording().saga(gid=lambda order: gid)(place)
    with pytest.raises(error, match=words):
        saga.gid_of((ORDER,), {}, Options())
    with pytest.raises(error, match=words):
        saga.options(gid=gid)


@pytest.mark.parametrize(
    ("fn", "options", "words"),
    [
        (lambda order: order, {}, "saga: a lambda can't be found again after a restart. Write a def"),
        (place, {"timeout": -1}, "saga .*place: timeout=-1 is no time. Give seconds"),
        (place, {"recover": "no"}, 'saga .*place: recover=\'no\' is no way. Say "run" or "cancel"'),
        (place, {"gid": "order-1"}, r"saga .*place: gid='order-1' can't be called.*for one call say \.options\(gid="),
        (Recording().saga(place), {}, "saga .*place: it is a SyncSaga already"),
        (Recording().step(place), {}, "saga .*place: it is a SyncStep already"),
    ],
)
def test_a_bad_saga_is_refused(fn: Any, options: dict[str, Any], words: str) -> None:
    """Each way of defining a saga that can't work is a DefinitionError that names the saga and the cure."""
    with pytest.raises(DefinitionError, match=words):
        Recording().saga(**options)(fn)


def test_bad_options_are_refused() -> None:
    """A timeout that is none is refused where it is said."""
    with pytest.raises(DefinitionError, match="place: timeout=0 is no time"):
        Recording().saga(place).options(timeout=0)


def test_a_local_saga_needs_a_name() -> None:
    """<locals> is refused unless name= is given."""

    def local() -> None: ...

    with pytest.raises(DefinitionError, match="saga local: it is defined inside of test_a_local_saga_needs_a_name"):
        Recording().saga(local)
    assert Recording().saga(name="local")(local).name == "local"
