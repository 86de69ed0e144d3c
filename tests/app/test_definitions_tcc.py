"""TCC classes are checked when they are made; every error names the class, what is wrong, and the cure."""

from __future__ import annotations

import pickle
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.app.recording import Place
from troth import DefinitionError, LimitExceeded, Tcc, Troth
from troth.app.tcc_form import FORM, TccForm, form_of
from troth.core.plan import StepSpec

BOTH: Any = Place("sync", "async")
BLOCKING: Any = Place("sync")
ASYNC_ONLY: Any = Place("async")
troth = Troth("memory://")


@dataclass
class Hold:
    """What a try returns."""

    sku: str


@troth.tcc(on=BOTH, timeout=3, attempts=5, interval=0.5)
class Stock(Tcc):
    """Things on a shelf."""

    def try_(self, db: Any, sku: str, n: int = 1) -> Hold:
        return Hold(sku)

    def confirm(self, db: Any, hold: Hold) -> None: ...
    def cancel(self, db: Any, hold: Hold | None) -> None: ...


def test_a_tcc_class_stays_the_class_it_is() -> None:
    """It can be made, pickled and called as any class; its definition is beside it, and ``branch`` declares a try."""
    form: Any = form_of(Stock)
    assert isinstance(Stock(), Stock)
    assert Stock().try_(None, "tea") == Hold("tea")
    assert pickle.loads(pickle.dumps(Stock)) is Stock
    assert isinstance(form, TccForm)
    assert (form.name, form.short, form.cls, form.is_async) == (f"{__name__}.Stock", "Stock", Stock, False)
    assert form.spec == StepSpec(form.name, guarded=True, sealable=True, timeout=3.0, attempts=5, interval=0.5)
    assert list(form.signature.parameters) == ["sku", "n"]
    assert bytes(Stock.branch("tea", 2).args) == b'{"sku":"tea","n":2}'
    assert troth.participant(form.name) is form.participant
    assert repr(form) == f"<tcc class {form.name}>"
    assert repr(Stock.branch("tea")) == f"<branch of {form.name}>"


def test_the_base_only_speaks_to_type_checkers() -> None:
    """Without it the decorator gives the class its ``branch``."""
    bare = type("Bare", (), {name: vars(Stock)[name] for name in ("try_", "confirm", "cancel")})
    made: Any = Troth("memory://").tcc(on=BOTH, name="bare")(bare)
    assert made is bare
    assert bytes(made.branch("tea").args) == b'{"sku":"tea","n":1}'


def test_a_class_defined_again_replaces_and_another_is_refused() -> None:
    """A reloaded module's class takes its place; another class, or a step, under a taken name is an error."""
    host = Troth("memory://")

    def define() -> Any:
        @host.tcc(guarded=True, name="one", aliases=("was",))
        class One:
            def try_(self) -> None: ...
            def confirm(self, hold: None) -> None: ...
            def cancel(self, hold: None) -> None: ...

        return One

    first, again = define(), define()
    assert host.tcc_classes.find("was") is vars(again)[FORM] is not vars(first)[FORM]
    with pytest.raises(DefinitionError, match="the name one belongs to"):
        host.tcc(guarded=True, name="one")(make())
    with pytest.raises(DefinitionError, match="a TCC class has the name was already"):
        host.step(name="was", compensate=None)(lonely)
    host.step(name="lonely", compensate=None)(lonely)
    with pytest.raises(DefinitionError, match="a step has the name lonely already"):
        host.tcc(guarded=True, name="lonely")(make())


def lonely() -> None: ...


def make(**changed: Any) -> type:
    """A good class (guarded, plain), with something changed; None: left out."""

    class Good:
        def try_(self, n: int) -> int:
            return n

        def confirm(self, hold: int) -> None: ...
        def cancel(self, hold: int | None) -> None: ...

    for name, value in changed.items():
        if value is None:
            delattr(Good, name)
        else:
            setattr(Good, name, value)
    return Good


def on_database() -> type:
    """A good class on a database."""

    class Good:
        def try_(self, db: Any, n: int) -> int:
            return n

        def confirm(self, db: Any, hold: int) -> None: ...
        def cancel(self, db: Any, hold: int | None) -> None: ...

    return Good


async def atry(self: Any, n: int) -> int:
    return n


async def aconfirm(self: Any, hold: int) -> None: ...
async def acancel(self: Any, hold: int | None) -> None: ...
def no_self(n: int) -> int:
    return n


def generator(self: Any, n: int) -> Iterator[int]:
    yield n


def confirm_args(self: Any, n: int, sku: str) -> None: ...
def confirm_nothing(self: Any) -> None: ...
def confirm_keyword(self: Any, *, hold: int) -> None: ...
def confirm_text(self: Any, hold: str) -> None: ...
def cancel_sure(self: Any, hold: int) -> None: ...
def cancel_text(self: Any, hold: str | None) -> None: ...
def try_anything(self: Any, n: int) -> object:
    return n


def try_stars(self: Any, *n: int) -> int:
    return 1


def needs(self: Any, wanted: int) -> None: ...


BAD: list[tuple[str, Callable[[], type], dict[str, Any], str]] = [
    ("no barrier", make, {"guarded": False}, r"nothing guards it\. Say where its holds live, on=troth\.database\(…\)"),
    ("no try_", lambda: make(try_=None), {}, r"it has no try_\. Add it: def try_\(self, …\) reserves"),
    ("no confirm", lambda: make(confirm=None), {}, r"it has no confirm\. Add it: def confirm\(self, hold\) makes"),
    ("no cancel", lambda: make(cancel=None), {}, r"it has no cancel\. Add it: def cancel\(self, hold\) gives .* back"),
    ("lambda", lambda: make(cancel=lambda self, hold: None), {}, "cancel is a lambda. Make it a plain method"),
    ("static", lambda: make(try_=staticmethod(no_self)), {}, "try_ is a staticmethod. Make it a plain method"),
    ("no self", lambda: make(try_=no_self), {}, "try_'s first parameter is not self"),
    ("generator", lambda: make(try_=generator), {}, "try_ is a generator. Return the values as a list"),
    ("mixed", lambda: make(try_=atry), {}, "try_ is async, confirm is plain, cancel is plain. A class has one colour"),
    ("confirm takes arguments", lambda: make(confirm=confirm_args), {}, r"confirm takes n, sku; it is called with hold"),
    ("confirm takes nothing", lambda: make(confirm=confirm_nothing), {}, r"takes nothing; it is called with hold\. "),
    ("confirm by keyword", lambda: make(confirm=confirm_keyword), {}, "it is called with hold"),
    ("no connection", make, {"on": BOTH}, r"confirm takes hold; it is called with db and hold"),
    ("hold differs", lambda: make(confirm=confirm_text), {}, "hold is annotated str, but try_ returns int. Annotate it int"),
    ("cancel is sure", lambda: make(cancel=cancel_sure), {}, r"cancel's hold may be None.* Annotate it so: hold: int \| None"),
    ("cancel differs", lambda: make(cancel=cancel_text), {}, "but try_ returns int"),
    ("hold can't travel", lambda: make(try_=try_anything), {}, "try_: its result"),
    ("stars", lambda: make(try_=try_stars), {}, r"\*n can't travel"),
    ("init", lambda: make(__init__=needs), {}, r"its __init__ needs arguments \(missing a required argument: 'wanted'\)"),
    ("branch taken", lambda: make(branch=no_self), {}, "branch is taken"),
    ("no name", make, {"name": None}, r"it is defined inside of make, so no other process would find it"),
    ("bad name", make, {"name": "a/b"}, "contains / or #"),
    ("aliases", make, {"aliases": "old"}, "aliases= takes several names"),
    ("timeout", make, {"timeout": 0}, "timeout=0 is no time"),
    ("attempts", make, {"attempts": True}, "attempts=True is no count"),
    ("interval", make, {"interval": "1"}, "interval='1' is no time"),
    ("refuse_on", make, {"refuse_on": "no"}, "refuse_on='no' is no exception class"),
    ("on", make, {"on": "stock"}, "on='stock' is no database"),
    ("async on sqlite3", lambda: make(try_=atry, confirm=aconfirm, cancel=acancel), {"on": BLOCKING},
     "an async def can't run on database .*, whose library blocks"),
    ("plain on asyncpg", on_database, {"on": ASYNC_ONLY}, "a def can't run on database .*, whose library is async only"),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "options", "message"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_what_can_not_work_is_refused(cls: Callable[[], type], options: dict[str, Any], message: str) -> None:
    """At the class, before anything runs, in words that name the cure."""
    with pytest.raises(DefinitionError, match=message) as raised:
        Troth("memory://").tcc(**{"name": "bad", "guarded": True, **options})(cls())
    assert "tcc class" in str(raised.value)


def test_only_classes_are_decorated_and_once() -> None:
    """A function, an object, a class that is one already, a name too long."""
    host: Any = Troth("memory://")
    with pytest.raises(DefinitionError, match=r"is no class\. Decorate a class with try_, confirm and cancel"):
        host.tcc(guarded=True)(lonely)
    with pytest.raises(DefinitionError, match="nothing guards it"):
        host.tcc(make(__qualname__="Good"))
    with pytest.raises(DefinitionError, match="it is a TCC class already"):
        host.tcc(guarded=True, name="x")(host.tcc(guarded=True, name="x")(make()))
    with pytest.raises(LimitExceeded):
        host.tcc(guarded=True, name="x" * 200)(make())


def test_what_is_served_elsewhere_can_take_a_classs_place() -> None:
    """Whatever has a TccForm's members can be called like a class."""
    form: Any = form_of(Stock)
    remote = types.SimpleNamespace(
        name="remote", aliases=(), source=("remote", "remote"), what="tcc class remote", short="remote", is_async=False,
        spec=form.spec, participant=form.participant, bind=form.bind, decode_hold=form.decode_hold,
    )  # fmt: skip
    host = Troth("memory://")
    host.register_tcc(remote)
    host.check_known(remote)
    assert form_of(remote) is remote
    assert host.participant("remote") is form.participant
