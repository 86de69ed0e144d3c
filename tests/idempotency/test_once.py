"""A function that happens once per key, in the user's own database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.idempotency.shop import Shop, aexecute, execute
from troth import (
    DefinitionError,
    KeyConflict,
    KeyExpired,
    LimitExceeded,
    Ongoing,
    PayloadError,
    Refused,
    Troth,
    WrongColour,
    fence,
)


class DeclinedError(Exception):
    """A business no of the user's."""


def placing(shop: Shop, **options: Any) -> Callable[..., Any]:
    """``create(number, n)`` in the shop's colour: an order, or an exception that was asked for by *n*."""
    troth, insert = shop.troth, f"INSERT INTO orders (id, n) VALUES ({shop.mark}, {shop.mark})"
    troth.errors = {}  # type: ignore[attr-defined]

    def fail(n: int) -> None:
        error = troth.errors.get(n)  # type: ignore[attr-defined]
        if error is not None:
            raise error

    if shop.colour == "async":

        @troth.once(on=shop.database, name="create", **{"key": "number", **options})
        async def acreate(db: Any, number: str, n: int = 1) -> int:
            await aexecute(db, insert, number, n)
            fail(n)
            return n

        return lambda *args: shop.run(lambda: acreate(*args))

    @troth.once(on=shop.database, name="create", **{"key": "number", **options})
    def create(db: Any, number: str, n: int = 1) -> int:
        execute(db, insert, number, n)
        fail(n)
        return n

    return create


def test_a_repeated_call_gets_the_first_answer(shop: Shop) -> None:
    """One effect, whatever is repeated; a call with other arguments is a conflict and does nothing."""
    create = placing(shop)
    assert [create("a", 3), create("a", 3), create("b", 4)] == [3, 3, 4]
    with pytest.raises(KeyConflict, match="'a' was used before with other arguments"):
        create("a", 4)
    assert (shop.order("a"), shop.order("b")) == ((None, 3, 1), (None, 4, 1))


def test_a_no_is_remembered_and_an_accident_is_not(shop: Shop) -> None:
    """`Refused`, and the user's own, leave no effect and are the answer for ever; anything else can be called again."""
    create = placing(shop, refuse_on=(DeclinedError,))
    errors: dict[int, Exception] = shop.troth.errors  # type: ignore[attr-defined]
    errors.update({1: Refused("sold out"), 2: DeclinedError("limit"), 3: KeyError("typo")})
    for key, n, said in (("a", 1, "sold out"), ("b", 2, "limit")):
        for _ in range(2):
            with pytest.raises(Refused, match=said):
                create(key, n)
    with pytest.raises(KeyError, match="typo"):
        create("c", 3)
    assert [shop.order(key) for key in "abc"] == [None, None, None]
    errors.clear()
    assert create("c", 3) == 3
    with pytest.raises(Refused, match="sold out"):
        create("a", 1)


def test_one_that_has_begun_is_asked_again(shop: Shop) -> None:
    """`Ongoing` from the function keeps what it did; the next call runs it again."""
    create = placing(shop)
    errors: dict[int, Exception] = shop.troth.errors  # type: ignore[attr-defined]
    errors[7] = Ongoing(5)
    with pytest.raises(Ongoing) as told:
        create("a", 7)
    assert (told.value.after, shop.order("a")) == (5, (None, 7, 1))
    del errors[7]
    shop.do("DELETE FROM orders")
    assert create("a", 7) == 7


def test_of_many_at_once_one_does_it(shop: Shop) -> None:
    """There is no moment between a check and a set: all get the same answer."""
    if shop.colour == "async":
        insert = f"INSERT INTO orders (id, n) VALUES ({shop.mark}, 1)"

        @shop.troth.once(on=shop.database, key="number", name="together")
        async def create(db: Any, number: str) -> str:
            await aexecute(db, insert, number)
            return number

        async def all_at_once() -> list[str]:
            return list(await asyncio.gather(*(create("a") for _ in range(12))))

        assert shop.run(all_at_once) == ["a"] * 12
    else:
        sync_create = placing(shop)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: sync_create("a", 2), range(12))) == [2] * 12
    assert len(shop.do("SELECT * FROM orders")) == 1


def test_a_number_that_was_mistyped_does_nothing(shop: Shop) -> None:
    """With ``numbers=`` the key is checked at the door."""
    orders = shop.troth.numbers("ORD")
    create = placing(shop, numbers=orders)
    number = orders.draw()
    with pytest.raises(PayloadError, match="wrong character"):
        create(number[:-1] + ("0" if number[-1] != "0" else "2"), 1)
    assert create(number, 1) == 1
    assert len(shop.do("SELECT * FROM orders")) == 1


def test_what_is_remembered_has_an_end_and_is_said_so(shop: Shop) -> None:
    """After `keep` a row is purged. A number from before then is refused, never done twice; other keys are new again."""
    micros = [1_000_000_000_000]
    shop.troth.clock.now = lambda: micros[0]  # type: ignore[method-assign]
    numbers = shop.troth.numbers("ORD")
    shop.database._purges.every = 1
    create = placing(shop, numbers=numbers, keep=timedelta(days=2))
    old, late = numbers.draw(), numbers.draw()
    assert create(old, 1) == 1
    micros[0] += 3 * 86_400_000_000
    assert create(numbers.draw(), 2) == 2  # as calls go by, older rows go
    for number in (old, late):
        with pytest.raises(KeyExpired, match="older than"):
            create(number, 1)
    assert len(shop.do("SELECT * FROM orders")) == 2


def test_a_key_in_use_is_said_to_be(tmp_path: Path, postgres_uri: str) -> None:
    """A call that waits longer than its timeout for another one with its key is told to come again."""
    troth = Troth("memory://")
    database = troth.database("bank", postgres_uri)
    inside, leave = threading.Event(), threading.Event()

    @troth.once(on=database, key="number", name="slow", timeout=0.2)
    def slow(db: Any, number: str) -> str:
        inside.set()
        leave.wait(30)
        return number

    slow_key = f"key-{tmp_path.name}"
    leave.set()
    slow("warm-up")
    inside.clear()
    leave.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(slow, slow_key)
        inside.wait(30)
        with pytest.raises(Ongoing) as told:
            slow(slow_key)
        leave.set()
        assert (first.result(), slow(slow_key)) == (slow_key, slow_key)
    assert told.value.after == 1
    database.close()


def test_an_answer_to_commit_that_got_lost_is_asked_for(tmp_path: Path) -> None:
    """The same call again finds the row. If it can't be asked, that is said: in doubt, and how to go on."""
    import sqlite3

    from troth import KeyInDoubt
    from troth.adapters.databases.sqlite3_connection import StepConnection

    troth = Troth("memory://")
    database = troth.database("bank", f"sqlite:///{tmp_path / 'bank.db'}")
    lost: list[str] = []

    @troth.once(on=database, key="number", name="pay")
    def pay(db: Any, number: str) -> int:
        db.execute("CREATE TABLE IF NOT EXISTS paid (n)")
        db.execute("INSERT INTO paid VALUES (1)")
        return 7

    pay("warm-up")
    real = StepConnection.statement

    def losing(connection: StepConnection, sql: str, params: Any = ()) -> Any:
        answer = real(connection, sql, params)
        if sql == "COMMIT" and lost and lost.pop() == "answer":
            raise sqlite3.OperationalError("disk I/O error")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StepConnection, "statement", losing)
        lost[:] = ["answer"]
        assert pay("a") == 7

        def refusing(connection: StepConnection, sql: str, params: Any = ()) -> Any:
            if sql == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return real(connection, sql, params)

        patch.setattr(StepConnection, "statement", refusing)
        with pytest.raises(KeyInDoubt, match="Call again with the same key") as told:
            pay("b")
        assert (told.value.key, told.value.gid) == ("b", "b")
    assert pay("b") == 7
    assert database.plain(lambda db: db.execute("SELECT count(*) FROM paid").fetchone())[0] == 3
    database.close()


def test_wrong_definitions_and_keys_are_named(tmp_path: Path) -> None:
    """At the decorator, or before anything is written."""
    troth = Troth("memory://")
    database = troth.database("bank", f"sqlite:///{tmp_path / 'bank.db'}")

    def plain(db: Any, number: str) -> None: ...

    async def awaited(db: Any, number: str) -> None: ...

    with pytest.raises(DefinitionError, match=r"none of its parameters\. Name one of: number"):
        troth.once(on=database, key="nummer", name="x")(plain)
    with pytest.raises(DefinitionError, match="makes no key"):
        troth.once(on=database, key=7, name="x")(plain)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="no database"):
        troth.once(on="bank", key="number", name="x")(plain)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="library blocks"):
        troth.once(on=database, key="number", name="x")(awaited)
    with pytest.raises(DefinitionError, match="give it a name="):
        troth.once(on=database, key="number")(plain)
    once = troth.once(on=database, key="number", name="x")(plain)
    with pytest.raises(DefinitionError, match="the name x belongs to"):
        troth.once(on=database, key="number", name="x")(lambda_free)
    with pytest.raises(PayloadError, match="is no key"):
        once("")
    with pytest.raises(LimitExceeded, match="KEY_LENGTH"):
        once("k" * 256)
    assert not (tmp_path / "bank.db").exists()


def lambda_free(db: Any, number: str) -> None:
    """Another function of a taken name."""


def test_it_is_called_in_its_own_colour_or_the_right_one_is_named(tmp_path: Path) -> None:
    """A blocking call inside of a running loop names ``.aio``."""
    troth = Troth("memory://")
    database = troth.database("bank", f"sqlite:///{tmp_path / 'bank.db'}")

    @troth.once(on=database, key="number", name="x")
    def pay(db: Any, number: str) -> str:
        return troth.current().idempotency_key

    async def program() -> None:
        with pytest.raises(WrongColour, match=r"await pay\.aio"):
            pay("a")
        assert await pay.aio("a") == await pay.aio("a")

    asyncio.run(program())
    assert pay("a") != pay("b")
    database.close()


def test_inside_a_step_on_the_same_database_it_is_refused(tmp_path: Path) -> None:
    """There would be two local transactions; on another one, or in a bare step, it is an idempotent call like any."""
    troth = Troth("memory://")
    one, other = (troth.database(name, f"sqlite:///{tmp_path / name}.db") for name in ("one", "other"))

    @troth.once(on=one, key="number", name="pay")
    def pay(db: Any, number: str) -> int:
        fence(db, number, 1)
        return 1

    @troth.step(on=one, compensate=None, name="same")
    def same(db: Any) -> int:
        return pay("a")

    @troth.step(on=other, compensate=None, name="apart")
    def apart(db: Any) -> int:
        return pay("a")

    @troth.saga(name="s")
    def saga(kind: str) -> int:
        return same() if kind == "same" else apart()

    with troth:
        assert saga("apart") == 1
        assert "there would be two" in saga.run("same").reason
