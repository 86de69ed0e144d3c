"""Tries that call further participants: their branches join the same transaction, and share its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.app.shelves import Shelves
from troth import Cancelled, DefinitionError, Refused
from troth.core import limits
from troth.core.words import Fate, State


@pytest.fixture
def shelves(lone: Shelves) -> Shelves:
    """Shelves in SQLite; the log is memory."""
    return lone


def agency(shelves: Shelves, name: str, plan: Callable[[int], Any], **options: Any) -> Any:
    """A class whose try calls what the plan calls, and holds what it gives."""

    class Agency:
        def try_(self, n: int) -> Any:
            return plan(n)

        def confirm(self, hold: Any) -> None:
            shelves.deeds.append(("confirm", name, None))

        def cancel(self, hold: Any) -> None:
            shelves.deeds.append(("cancel", name, None))

    return shelves.troth.tcc(guarded=True, name=name, interval=0.01, **options)(Agency)


def test_children_are_confirmed_with_their_parent(shelves: Shelves) -> None:
    """A try's own calls are branches of the same transaction, with ids derived from its own; declared or in a block."""
    books = shelves.tcc("books")
    trip = agency(shelves, "trip", lambda n: [shelves.troth.nested(books).try_(k).n for k in (1, n)])
    outcome = shelves.troth.run_tcc("trip-1", [trip.branch(2)])
    assert (outcome.state, outcome.result) == (State.CONFIRMED, [[1, 2]])
    assert [b.id for b in outcome.branches] == ["0/trip#1", "0/trip#1/books#1", "0/trip#1/books#2"]
    with shelves.troth.transaction("trip-2") as tx:
        assert tx(trip).try_(3) == [1, 3]
        assert shelves.books("books") == (3, 4, 3)
    assert shelves.books("books") == (3, 0, 7)
    assert shelves.troth.attach("trip-2").result() == [[1, 3]]


def test_children_are_cancelled_with_their_parent(shelves: Shelves) -> None:
    """A later refusal elsewhere gives the children's holds back, and so does one of a child's own."""
    books, pens = shelves.tcc("books"), shelves.tcc("pens")
    trip = agency(shelves, "trip", lambda n: shelves.troth.nested(books).try_(n).n)
    with pytest.raises(Refused), shelves.troth.transaction() as tx:
        tx(trip).try_(2)
        tx(pens).try_(11)
    assert shelves.books("books") == (10, 0, 0)
    outcome = shelves.troth.run_tcc(None, [trip.branch(11)])
    assert (outcome.state, "books has no 11 left" in outcome.reason) == (State.CANCELLED, True)


def test_a_try_that_swallows_its_childs_no_cannot_confirm(shelves: Shelves) -> None:
    """Rollback-only reaches through every level."""
    books, pens = shelves.tcc("books"), shelves.tcc("pens")

    def plan(n: int) -> int:
        try:
            return int(shelves.troth.nested(books).try_(11).n)
        except (Refused, Cancelled):
            return int(shelves.troth.nested(pens).try_(n).n)

    outcome = shelves.troth.run_tcc(None, [agency(shelves, "trip", plan).branch(1)])
    assert (outcome.state, "books has no 11 left" in outcome.reason) == (State.CANCELLED, True)
    assert (shelves.books("books"), shelves.books("pens")) == ((10, 0, 0), (10, 0, 0))


def test_a_try_that_is_run_again_finds_its_children(shelves: Shelves) -> None:
    """The same way once more holds nothing twice: derived ids name the same calls."""
    books = shelves.tcc("books")
    runs: list[int] = []

    def plan(n: int) -> int:
        runs.append(shelves.troth.nested(books).try_(n).n)
        if len(runs) == 1:
            raise OSError("after its child")
        return n

    outcome = shelves.troth.run_tcc(None, [agency(shelves, "trip", plan).branch(2)])
    assert (outcome.state, runs) == (State.CONFIRMED, [2, 2])
    assert shelves.books("books") == (8, 0, 2)


@pytest.mark.parametrize("second", ["other class", "other arguments", "none"])
def test_a_try_that_is_run_again_another_way_cancels_all(shelves: Shelves, second: str) -> None:
    """A child of a run that was not kept is nobody's: neither it nor the new way is confirmed."""
    books, pens = shelves.tcc("books"), shelves.tcc("pens")
    runs: list[int] = []

    def plan(n: int) -> int:
        runs.append(n)
        if len(runs) == 1:
            shelves.troth.nested(books).try_(n)
            raise OSError("after its child")
        if second == "other class":
            shelves.troth.nested(pens).try_(n)
        elif second == "other arguments":
            shelves.troth.nested(books).try_(n + 1)
        return n

    outcome = shelves.troth.run_tcc(None, [agency(shelves, "trip", plan).branch(2)])
    assert outcome.state is State.CANCELLED
    assert (shelves.books("books"), shelves.books("pens")) == ((10, 0, 0), (10, 0, 0))
    assert shelves.did("confirm") == []


def test_children_may_have_children_of_either_colour(shelves: Shelves) -> None:
    """Async tries call async ones and, with .aio, plain ones; gathered or not; plain ones call async ones with .wait."""
    books, pens = shelves.tcc("books"), shelves.afree("pens")

    class Inner:
        async def try_(self, n: int) -> list[int]:
            held = await asyncio.gather(shelves.troth.nested(pens).try_(n), shelves.troth.nested(pens).try_(n + 1))
            return [*held, (await shelves.troth.nested(books).try_.aio(n)).n]

        async def confirm(self, hold: list[int]) -> None: ...
        async def cancel(self, hold: list[int] | None) -> None: ...

    inner: Any = shelves.troth.tcc(guarded=True, name="inner")(Inner)
    outer = agency(shelves, "outer", lambda n: [*shelves.troth.nested(inner).try_.wait(n)])
    outcome = shelves.troth.run_tcc(None, [outer.branch(2)])
    assert (outcome.state, outcome.result) == (State.CONFIRMED, [[2, 3, 2]])
    assert [b.id for b in outcome.branches] == [
        "0/outer#1", "0/outer#1/inner#1", "0/outer#1/inner#1/pens#1", "0/outer#1/inner#1/pens#2", "0/outer#1/inner#1/books#1",
    ]  # fmt: skip
    assert {b.fate for b in outcome.branches} == {Fate.CONFIRMED}


def test_tries_that_call_on_do_not_use_the_threads_up(shelves: Shelves) -> None:
    """More parents than threads, each waiting for a child: whoever waits lends its thread."""
    leaf = shelves.free("leaf")
    trips = [agency(shelves, f"trip-{k}", lambda n: shelves.troth.nested(leaf).try_(n)) for k in range(4)]
    branches = [trips[k % 4].branch(k) for k in range(2 * limits.SYNC_THREADS)]
    assert shelves.troth.run_tcc(None, branches).state is State.CONFIRMED
    assert len(shelves.did("try")) == 2 * limits.SYNC_THREADS


@pytest.mark.services
def test_children_ride_in_their_parents_row(postgres_server: Any) -> None:
    """On a database, a try's answer keeps its children: a duplicate names them too, and a rolled-back run's are forgotten."""
    made = Shelves(postgres_server.new_schema())
    books = made.tcc("books")
    runs: list[int] = []

    class Trip:
        def try_(self, db: Any, n: int) -> int:
            runs.append(n)
            held = made.troth.nested(books).try_(n)
            if len(runs) == 1:
                raise OSError("after its child")
            return int(held.n)

        def confirm(self, db: Any, hold: int) -> None: ...
        def cancel(self, db: Any, hold: int | None) -> None: ...

    trip: Any = made.troth.tcc(on=made.database, name="trip", interval=0.01)(Trip)
    with made.troth:
        assert made.troth.run_tcc("t", [trip.branch(2)]).state is State.CONFIRMED
        noted = made.database.plain(
            lambda db: db.execute("SELECT reason FROM troth_barrier WHERE branch = '0/trip#1' AND op = 'try'").fetchone()
        )
        assert noted[0] == "0/trip#1/books#1"
        assert made.books("books") == (8, 0, 2)
    made.close()


def test_nested_is_refused_where_it_can_mean_nothing(shelves: Shelves) -> None:
    """Outside, in a confirm, after the try has ended, or where the try would wait for its own database."""
    books = shelves.tcc("books")
    with pytest.raises(DefinitionError, match="known only inside the try_"):
        shelves.troth.nested(books)
    kept: list[Any] = []

    class Trip:
        def try_(self, db: Any, n: int) -> int:
            kept.append(shelves.troth.nested)
            shelves.troth.nested(books).try_(n)
            return n

        def confirm(self, db: Any, hold: int) -> None: ...
        def cancel(self, db: Any, hold: int | None) -> None: ...

    trip: Any = shelves.troth.tcc(on=shelves.database, name="trip")(Trip)
    outcome = shelves.troth.run_tcc(None, [trip.branch(1)])
    assert (outcome.state, "it would wait for itself" in outcome.reason) == (State.CANCELLED, True)
    with pytest.raises(DefinitionError, match="which has ended"):
        kept[0](books).try_(1)
    late = agency(shelves, "late", lambda n: n)
    late_confirm: list[str] = []

    class Confirms(late):  # type: ignore[misc,valid-type]
        def confirm(self, hold: Any) -> None:
            with pytest.raises(DefinitionError, match="known only inside the try_"):
                shelves.troth.nested(books)
            late_confirm.append("refused")

    confirms: Any = shelves.troth.tcc(guarded=True, name="confirms")(Confirms)
    assert shelves.troth.run_tcc(None, [confirms.branch(1)]).state is State.CONFIRMED
    assert late_confirm == ["refused"]
