"""``troth doctor --code``: can this code finish what is in flight?"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calls import answer, refused, said, troth
from tests.cli.logs import Log, branch, now, raw, saga
from troth import Cancelled, Refused, StepFailed, Troth
from troth.app import rehearsal
from troth.app.code_check import Checked, Problem, check_code
from troth.core.state import Branch, Transaction
from troth.core.words import Fate, State
from troth.ports.store import Record

RESERVED = branch("0/reserve#1", args=raw({"sku": "tea", "n": 2}), result=raw(98))
CHARGED = branch("0/charge#1", args=raw({"amount": 5}), result=raw("receipt-1"))
UNDER_WAY = branch("0/charge#1", Fate.CALLING, args=raw({"amount": 5}), calling=True)


def order(*branches: Branch, **fields: Any) -> Transaction:
    """An open order."""
    return saga("order-1", *branches, begun=now(), input=raw({"sku": "tea"}), **fields)


def records(log: Log, *docs: Transaction) -> list[Record]:
    """Store them, and give what the log has."""
    for doc in docs:
        log.put(doc)
    return log.store.find()


def never(*_: object) -> None:
    """What nobody may call."""
    pytest.fail("a step was called")


def shop(body: Any = None, *, asynchronous: bool = False, **options: Any) -> Any:
    """An application of two steps; ``body`` is given the object and its steps."""
    app = Troth("memory://")

    def reserve(sku: str, n: int) -> int:
        never()
        return 0

    def charge(amount: int) -> str:
        never()
        return ""

    async def areserve(sku: str, n: int) -> int:
        never()
        return 0

    async def acharge(amount: int) -> str:
        never()
        return ""

    steps: list[Any] = [areserve, acharge] if asynchronous else [reserve, charge]
    made = [
        app.step(name=n, compensate=None, **options.get(n, {}))(fn)
        for n, fn in zip(("reserve", "charge"), steps, strict=True)
    ]
    if body is not None:
        app.saga(name="place-order")(body(app, *made))
    return app


def both(app: Any, reserve: Any, charge: Any) -> Any:
    """The saga as the records have it."""

    def place_order(sku: str) -> Any:
        reserve(sku, 2)
        return charge(5)

    return place_order


def problem(checked: Checked) -> Problem:
    """The one that was found."""
    (found,) = checked.problems
    return found


@pytest.mark.parametrize(
    "branches", [(), (RESERVED,), (RESERVED, UNDER_WAY), (RESERVED, CHARGED)], ids=["none", "one", "under-way", "all"]
)
def test_unchanged_code_fits_every_record(log: Log, branches: tuple[Branch, ...]) -> None:
    """Recorded calls are answered from the record, the first that is not ends the rehearsal; no step runs."""
    assert check_code(shop(both), records(log, order(*branches))) == Checked(1, 1, ())


def test_an_async_function_is_rehearsed_like_a_sync_one(log: Log) -> None:
    """Parts of a gather are followed side by side: a difference in one is seen though another waits."""

    def body(second: int) -> Any:
        def make(app: Any, reserve: Any, charge: Any) -> Any:
            async def place_order(sku: str) -> None:
                async def pay() -> None:
                    await charge(5)
                    await reserve(sku, second)

                await app.gather(reserve(sku, 2), pay())

            return place_order

        return make

    part = "0.1_1"
    tasks = (
        branch("0/reserve#1", Fate.CALLING, args=raw({"sku": "tea", "n": 2}), calling=True),
        branch(f"{part}/charge#1", args=raw({"amount": 5}), result=raw("receipt-1")),
        branch(f"{part}/reserve#1", args=raw({"sku": "tea", "n": 3}), result=raw(1)),
    )
    found = records(log, order(*tasks))
    assert check_code(shop(body(3), asynchronous=True), found).problems == ()
    assert problem(check_code(shop(body(4), asynchronous=True), found)).kind == "differs"


def test_parts_of_parallel_are_followed_side_by_side(log: Log) -> None:
    """A sync saga's threads end with the rehearsal."""

    def body(n: int) -> Any:
        def make(app: Any, reserve: Any, charge: Any) -> Any:
            def place_order(sku: str) -> None:
                app.parallel(lambda: charge(5), lambda: reserve(sku, n))

            return place_order

        return make

    tasks = (
        branch("0.1_0/charge#1", Fate.CALLING, args=raw({"amount": 5}), calling=True),
        branch("0.1_1/reserve#1", args=raw({"sku": "tea", "n": 2}), result=raw(1)),
    )
    found = records(log, order(*tasks))
    assert check_code(shop(body(2)), found).problems == ()
    assert problem(check_code(shop(body(3)), found)).kind == "differs"


def test_a_call_that_differs_is_told_with_what_was_recorded(log: Log) -> None:
    """Both sides, and the three choices: alias, bring it back, let it be compensated."""

    def swapped(app: Any, reserve: Any, charge: Any) -> Any:
        def place_order(sku: str) -> None:
            charge(5)
            reserve(sku, 2)

        return place_order

    found = problem(check_code(shop(swapped), records(log, order(RESERVED))))
    assert (found.gid, found.kind, found.sure) == ("order-1", "differs", True)
    assert found.recorded == 'step 1 was reserve({"sku":"tea","n":2})' and found.now == 'calls charge({"amount":5})'
    assert ["aliases" in found.cures[0], "bring the call back" in found.cures[1], "compensated" in found.cures[2]] == [
        True
    ] * 3


def test_a_dropped_call_is_told_past_the_pivot_too(log: Log) -> None:
    """There nothing is undone: the third choice says that a person will have to see to it."""

    def short(app: Any, reserve: Any, charge: Any) -> Any:
        def place_order(sku: str) -> None:
            reserve(sku, 2)

        return place_order

    past = order(RESERVED, CHARGED, state=State.CONFIRMING, phase=State.CONFIRMING)
    app = shop(short, charge={"role": "pivot"})
    found = problem(check_code(app, records(log, past)))
    assert found.recorded == 'step 2 was charge({"amount":5})' and found.now == "ends without calling it"
    assert "past its pivot nothing is undone" in found.cures[2]


def test_a_name_without_code_is_told_and_an_alias_cures_it(log: Log) -> None:
    """Sagas and steps alike; what has no code is not run."""
    found = records(log, order(branch("0/hold#1", args=raw({"sku": "tea", "n": 2}), result=raw(98))))
    missing = problem(check_code(shop(both), found))
    assert (missing.kind, missing.recorded) == ("missing", "recorded hold")
    assert check_code(shop(both, reserve={"aliases": ("hold",)}), found).problems == ()
    assert problem(check_code(shop(), found)).recorded == "recorded place-order"


def test_an_ending_in_the_course_of_business_is_no_problem(log: Log) -> None:
    """A recorded refusal and a recorded giving-up are raised again; what becomes of them is the function's affair."""
    no = branch("0/charge#1", Fate.REFUSED, args=raw({"amount": 5}), reason="card declined")
    gave_up = branch("0/charge#1", Fate.GAVE_UP, args=raw({"amount": 5}), reason="timeout")
    seen: list[type[BaseException]] = []

    def watching(app: Any, reserve: Any, charge: Any) -> Any:
        def place_order(sku: str) -> None:
            reserve(sku, 2)
            try:
                charge(5)
            except (Refused, StepFailed) as error:
                seen.append(type(error))
                raise

        return place_order

    for last in (no, gave_up):
        assert check_code(shop(watching), records(log, order(RESERVED, last))).problems == ()
    assert seen == [Refused, StepFailed]


def test_an_exception_that_the_record_does_not_explain_is_told(log: Log) -> None:
    """A programming error is sure to be one; an error of the business is for a person to judge."""

    def raising(error: Exception) -> Any:
        def make(app: Any, reserve: Any, charge: Any) -> Any:
            def place_order(sku: str) -> None:
                reserve(sku, 2)
                raise error

            return place_order

        return make

    found = records(log, order(RESERVED))
    wrong = problem(check_code(shop(raising(TypeError("no such field"))), found))
    assert (wrong.kind, wrong.sure) == ("raises", True) and "no such field" in wrong.now
    assert problem(check_code(shop(raising(LookupError("no price"))), found)).sure is False


def test_a_changed_input_is_told(log: Log) -> None:
    """The stored input no longer fits the function's parameters."""

    def other(app: Any, reserve: Any, charge: Any) -> Any:
        def place_order(number: int) -> None:
            reserve("tea", number)

        return place_order

    found = problem(check_code(shop(other), records(log, order(RESERVED))))
    assert found.kind == "raises" and found.sure


def test_a_value_is_not_drawn(log: Log) -> None:
    """A remembered one is given; the first that is not ends the rehearsal."""

    def dated(app: Any, reserve: Any, charge: Any) -> Any:
        def place_order(sku: str) -> None:
            assert app.remember(never, type=str) == "monday"
            reserve(sku, 2)
            app.remember(never, type=str)

        return place_order

    value = branch("0/troth.remember#1", result=raw("monday"))
    assert check_code(shop(dated), records(log, order(value, RESERVED))) == Checked(1, 1, ())


def test_what_is_being_cancelled_needs_no_function(log: Log) -> None:
    """Only its steps' compensations: the names are checked, nothing is run."""
    doc = order(RESERVED, state=State.CANCELLING, phase=State.CANCELLING)
    assert check_code(shop(both), records(log, doc)) == Checked(1, 0, ())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_function_that_does_not_get_on_is_left(log: Log, monkeypatch: pytest.MonkeyPatch, asynchronous: bool) -> None:
    """It is a warning: the check is bounded, whatever a function does."""
    monkeypatch.setattr(rehearsal, "SECONDS", 0.05)

    def make(app: Any, reserve: Any, charge: Any) -> Any:
        def place_order(sku: str) -> None:
            time.sleep(0.3)  # simulates slow work in a saga's function

        async def aplace_order(sku: str) -> None:
            await asyncio.Event().wait()

        return aplace_order if asynchronous else place_order

    found = problem(check_code(shop(make, asynchronous=asynchronous), records(log, order())))
    assert (found.kind, found.sure) == ("slow", False)


def test_an_inner_saga_that_was_left_is_rehearsed_as_a_part(log: Log) -> None:
    """What it gave up is in the record; the outer function goes on."""
    app = shop()
    names = {step.name: step for step in app.steps}

    def inner(sku: str) -> None:
        names["reserve"](sku, 2)
        names["charge"](5)

    inner_saga = app.saga(name="inner")(inner)

    def place_order(sku: str) -> None:
        try:
            inner_saga(sku)
        except (StepFailed, Cancelled):
            names["reserve"](sku, 1)

    app.saga(name="place-order")(place_order)
    left = branch("0/reserve#1", Fate.COMPENSATED, args=raw({"sku": "tea", "n": 2}))
    assert check_code(app, records(log, order(left))).problems == ()


# --- from the command line

SHOP = """
from troth import Troth

troth = Troth("sqlite:///{path}")

@troth.step(name="reserve", compensate=None)
def reserve(sku: str, n: int) -> int:
    raise SystemExit("a step was called")

@troth.saga(name="place-order")
def place_order(sku: str) -> None:
    reserve(sku, {n})
"""


def written(log: Log, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = SHOP, n: int = 2) -> str:
    """A module of the user's in the current directory; returns its name."""
    name = f"shop_{uuid.uuid4().hex}"
    (folder / f"{name}.py").write_text(text.format(path=log.path, n=n))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def test_the_doctor_says_that_the_code_fits(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is found in the current directory; without --store its own log is examined."""
    log.put(order(RESERVED))
    name = written(log, tmp_path, monkeypatch)
    assert f"{name}:troth can finish all 1 of them (1 function run" in said(troth("doctor", "--code", f"{name}:troth"))


def test_the_doctor_exits_1_on_code_that_does_not_fit(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line a transaction: recorded, now, and the choices."""
    log.put(order(RESERVED))
    name = written(log, tmp_path, monkeypatch, n=3)
    text = refused(troth("doctor", "--code", f"{name}:troth", store=log.url))
    assert 'order-1: step 1 was reserve({"sku":"tea","n":2})' in text and 'calls reserve({"sku":"tea","n":3})' in text
    told = answer("doctor", "--code", f"{name}:troth", store=log.url, code=1)
    assert told["ok"] is False and told["checks"][-1]["level"] == "fail"


def test_code_that_can_not_be_had_is_a_failure(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No module, no such name, another thing, a broken definition: each is worded."""
    wrong = (
        "from troth import Troth\nother = 3\ntroth = Troth('memory://')\ntroth.step(name='s')(lambda_ := (lambda: 1))"
    )
    log.put(order(RESERVED))
    name = written(log, tmp_path, monkeypatch)
    ask = ("doctor", "--store", log.url, "--code")
    assert "can't be imported" in refused(troth(*ask, f"no{name}:troth"))
    assert f"{name} has no app" in refused(troth(*ask, f"{name}:app"))
    assert "not a Troth object" in refused(troth(*ask, f"{name}:reserve"))
    assert "is not module:attribute" in refused(troth(*ask, name), 2)
    assert "can't be imported" in refused(troth(*ask, f"{written(log, tmp_path, monkeypatch, wrong)}:troth"))
    undone = SHOP.replace(", compensate=None", "")
    assert "no node would start" in refused(troth(*ask, f"{written(log, tmp_path, monkeypatch, undone)}:troth"))
