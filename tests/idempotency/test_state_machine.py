"""Only legal transitions, each in one conditional statement."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, StrEnum
from typing import Any

import pytest

from tests.idempotency.shop import Shop
from troth import DefinitionError, IllegalTransition, StaleVersion, StateMachine, UnknownRow, WrongColour

LIFE: Mapping[str, Any] = {
    "created": {"paid", "cancelled"}, "paid": ["shipped", "cancelled"], "shipped": (), "cancelled": ()
}  # fmt: skip


def machine(**options: Any) -> StateMachine:
    """An order's life."""
    return StateMachine("orders", column="state", transitions=LIFE, initial="created", **options)


def move(shop: Shop, states: StateMachine, key: Any, **options: Any) -> bool:
    """A move in a local transaction of its own."""
    moved: bool = shop.plain(
        lambda db: states.move(db, key, **options), lambda db: states.aio.move(db, key, **options)
    )
    return moved


def test_a_legal_move_is_made_once(shop: Shop) -> None:
    """The first call says that it moved, a repeat that it was there; other columns are set by the same statement."""
    states = machine()
    shop.add("a")
    shop.add("b")
    assert move(shop, states, "a", to="paid", set={"n": 5})
    assert not move(shop, states, "a", to="paid", set={"n": 9})
    assert (shop.order("a"), shop.order("b")) == (("paid", 5, 1), ("created", 0, 1))
    assert move(shop, states, "a", to="shipped")


def test_an_illegal_one_says_what_would_be_legal(shop: Shop) -> None:
    """And leaves the row as it is."""
    states = machine()
    shop.add("a")
    with pytest.raises(IllegalTransition, match=r"orders 'a' is created and can't become shipped. .* cancelled, paid") as told:
        move(shop, states, "a", to="shipped")
    assert (told.value.state, told.value.to, told.value.legal) == ("created", "shipped", ("cancelled", "paid"))
    shop.add("b", "shipped")
    with pytest.raises(IllegalTransition, match="That state is final"):
        move(shop, states, "b", to="created")
    shop.add("c", "nonsense")
    with pytest.raises(IllegalTransition, match="is nonsense"):
        move(shop, states, "c", to="paid")
    with pytest.raises(UnknownRow, match="no row with id = 'nobody'"):
        move(shop, states, "nobody", to="paid")
    assert [shop.order(one) for one in "abc"] == [("created", 0, 1), ("shipped", 0, 1), ("nonsense", 0, 1)]


def test_of_many_at_once_one_moves(shop: Shop) -> None:
    """Pay and cancel at once: one of them happens, and exactly one call says that it made it."""
    states = machine()
    shop.add("a")
    if shop.colour == "async":

        async def all_at_once() -> list[bool]:
            def moving(db: Any) -> Any:
                return states.aio.move(db, "a", to="paid")

            return list(await asyncio.gather(*(shop.database.aplain(moving) for _ in range(8))))

        moved = shop.run(all_at_once)
    else:
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(move, shop, states, "a", to="paid") for _ in range(8)]
        # At "serializable" the others are told so by the database, which a step's barrier would repeat.
        moved = [one.result() for one in asked if one.exception() is None]
    assert (moved.count(True), shop.order("a")) == (1, ("paid", 0, 1))


def test_a_version_keeps_out_who_read_an_older_one(shop: Shop) -> None:
    """Each move raises it; one that names another version is refused."""
    states = machine(version="version")
    shop.add("a")
    assert move(shop, states, "a", to="paid", version=1)
    with pytest.raises(StaleVersion, match="is at version 2, not 1"):
        move(shop, states, "a", to="shipped", version=1)
    assert move(shop, states, "a", to="shipped", version=2)
    assert shop.order("a") == ("shipped", 0, 3)
    with pytest.raises(DefinitionError, match="no version= column"):
        move(shop, machine(), "a", to="shipped", version=2)


def test_a_key_of_several_columns_and_one_that_is_none(shop: Shop) -> None:
    """A key names one row: a move of several is refused, and the local transaction rolled back."""
    shop.add("a")
    shop.add("b")
    assert move(shop, machine(key=("id", "n")), ("a", 0), to="paid")
    with pytest.raises(DefinitionError, match="1 parts; it needs id, n"):
        move(shop, machine(key=("id", "n")), "a", to="paid")
    shop.add("c")
    with pytest.raises(DefinitionError, match="that is no key"):
        move(shop, machine(key="n"), 0, to="paid")
    assert shop.order("b") == ("created", 0, 1)


def test_the_wrong_spelling_names_the_right_one(shop: Shop) -> None:
    """A connection is awaited or it isn't."""
    states = machine()
    with pytest.raises(WrongColour, match="move"):
        shop.plain(lambda db: asyncio.run(states.aio.move(db, "a", to="paid")), lambda db: states.move(db, "a", to="paid"))


def test_states_may_be_an_enum(shop: Shop) -> None:
    """Whose values are texts."""

    class State(StrEnum):
        CREATED = "created"
        PAID = "paid"

    class Old(Enum):
        CREATED = "created"
        PAID = "paid"

    shop.add("a")
    for kind in (State, Old):
        life = {kind.CREATED: [kind.PAID], kind.PAID: []}
        states = StateMachine("orders", column="state", initial=kind.CREATED, transitions=life)
        move(shop, states, "a", to=kind.PAID)
        assert shop.order("a") == ("paid", 0, 1)


@pytest.mark.parametrize(
    ("transitions", "said"),
    [
        ({"created": {"payed"}, "paid": ()}, 'may become payed, which is no state. If it is final, add "payed"'),
        ({"created": {"paid"}, "paid": (), "lost": {"paid"}}, "no way leads from created to lost"),
        ({"created": {"created"}}, "Leave that out"),
        ({"new": ()}, "'created' is no state. It has: new"),
        ({"created": {"a b"}}, "'a b' is no state"),
        ({"created": {7}}, "7 is no state"),
    ],
)
def test_a_machine_that_cannot_work_is_refused_when_it_is_made(transitions: Any, said: str) -> None:
    """Each with its cure."""
    with pytest.raises(DefinitionError, match=said):
        StateMachine("orders", column="state", initial="created", transitions=transitions)


@pytest.mark.parametrize("names", [{"table": "orders; --"}, {"column": "st ate"}, {"key": ""}, {"version": "1"}, {"key": ()}])
def test_a_name_that_is_none_never_reaches_the_database(names: dict[str, Any]) -> None:
    """Tables and columns stand in the statement as they are, so they are checked."""
    given = {"table": "orders", "column": "state", "transitions": {"created": ()}, "initial": "created", **names}
    with pytest.raises(DefinitionError, match="is no SQL name"):
        StateMachine(given.pop("table"), **given)


def test_columns_that_are_set_are_checked_too(shop: Shop) -> None:
    """And a state that is none is told before anything is asked."""
    shop.add("a")
    with pytest.raises(DefinitionError, match="is no SQL name"):
        move(shop, machine(), "a", to="paid", set={"n = 1, id": 2})
    with pytest.raises(DefinitionError, match=r"'payed' is no state\. It has: created, paid, shipped, cancelled"):
        move(shop, machine(), "a", to="payed")


def test_it_draws_itself() -> None:
    """As mermaid, for documentation."""
    states = StateMachine("orders", column="state", initial="new", transitions={"new": ["in-transit"], "in-transit": ()})
    assert states.mermaid().splitlines() == [
        "stateDiagram-v2", '    state "in-transit" as in_transit', "    [*] --> new", "    new --> in_transit",
        "    in_transit --> [*]",
    ]  # fmt: skip
