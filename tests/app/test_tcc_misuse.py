"""Misuse of blocks, and their gids: a block never runs twice, and each wrong use is refused in words that name the right one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.app.shelves import Shelves
from troth import AlreadyBegun, Cancelled, DefinitionError, GidConflict, Troth, WrongColour

# --- gids


def test_a_block_never_runs_twice(shelves: Shelves) -> None:
    """Its gid is taken: while it is open, and afterwards with the outcome. Another kind of transaction is a conflict."""
    books = shelves.tcc("books")
    with shelves.troth.transaction("one") as tx:
        with pytest.raises(AlreadyBegun) as raised, shelves.troth.transaction("one"):
            raise AssertionError("entered")
        assert raised.value.outcome is None
        tx(books).try_(1)
    with pytest.raises(AlreadyBegun) as raised, shelves.troth.transaction("one"):
        raise AssertionError("entered")
    assert raised.value.outcome == "confirmed"
    with pytest.raises(GidConflict, match="a block opened it"):
        shelves.troth.run_tcc("one", [books.branch(1)])
    shelves.troth.run_tcc("two", [books.branch(1)])
    with pytest.raises(GidConflict, match="its branches were all declared"), shelves.troth.transaction("two"):
        raise AssertionError("entered")
    with pytest.raises(GidConflict), shelves.troth.transaction("one", name="other"):
        raise AssertionError("entered")
    assert shelves.books("books") == (8, 0, 2)


def test_of_two_blocks_at_once_one_is_entered(lone: Shelves) -> None:
    """Both look the gid up and find nothing; only one begins."""
    books = lone.tcc("books")

    async def work(told: list[str]) -> None:
        try:
            async with lone.troth.transaction("race") as tx:
                await tx(books).try_.aio(1)
                told.append("entered")
        except AlreadyBegun:
            told.append("turned away")

    async def main() -> list[str]:
        told: list[str] = []
        async with lone.troth:
            await asyncio.gather(*[work(told) for _ in range(4)])
        return told

    assert sorted(asyncio.run(main())) == ["entered", "turned away", "turned away", "turned away"]
    assert lone.books("books") == (9, 0, 1)


# --- what a method knows, and what it is misused for


def test_methods_know_what_they_are_called_for(lone: Shelves) -> None:
    """troth.current() gives gid, branch, op and a key that stays the same for every attempt of one op."""
    seen: list[Any] = []

    def note(given: Any) -> None:
        seen.append(lone.troth.current())
        if len(seen) == 1:
            raise OSError("again")

    books = lone.tcc("books", on_try=note, on_confirm=note)
    with lone.troth.transaction("known") as tx:
        tx(books).try_(1)
    assert [(c.gid, c.branch, c.op, c.attempt) for c in seen] == [
        ("known", "0/books#1", "try", 1), ("known", "0/books#1", "try", 2), ("known", "0/books#1", "confirm", 3),
    ]  # fmt: skip
    keys = [c.idempotency_key for c in seen]
    assert keys[0] == keys[1] != keys[2]


def test_a_wrong_spelling_names_the_right_one(lone: Shelves) -> None:
    """Blocking in a loop, awaited outside, `.aio` of what is awaited, `.wait` of what blocks."""
    books, pens = lone.tcc("Books"), lone.afree("Pens")
    with lone.troth.transaction() as tx:
        with pytest.raises(WrongColour, match=r"tx\(Free\)\.try_\.wait\(…\)"):
            tx(pens).try_(1)
        with pytest.raises(DefinitionError, match=r"call tx\(Shelf\)\.try_\(…\), or await tx\(Shelf\)\.try_\.aio\(…\)"):
            tx(books).try_.wait(1)
        assert tx(pens).try_.wait(1) == 1

    async def main() -> None:
        with pytest.raises(WrongColour, match=r"async with troth\.transaction"), lone.troth.transaction():
            raise AssertionError("entered")
        async with lone.troth.transaction() as tx:
            with pytest.raises(WrongColour, match=r"await tx\(Shelf\)\.try_\.aio\(…\)"):
                tx(books).try_(1)
            with pytest.raises(WrongColour, match=r"await tx\(Free\)\.try_\(…\)"):
                tx(pens).try_.wait(1)
            with pytest.raises(DefinitionError, match=r"await tx\(Free\)\.try_\(…\), or call tx\(Free\)\.try_\.wait\(…\)"):
                tx(pens).try_.aio(1)
        with pytest.raises(WrongColour, match=r"await troth\.aio\.run_tcc"):
            lone.troth.run_tcc(None, [books.branch(1)])
        with pytest.raises(WrongColour, match=r"await troth\.aio\.start_tcc"):
            lone.troth.start_tcc(None, [books.branch(1)])

    asyncio.run(main())


def test_tx_belongs_to_its_block(lone: Shelves) -> None:
    """Before, after, twice, with what is no TCC class, inside a saga: each is refused in words that say what to do."""
    books = lone.tcc("books")
    tx = lone.troth.transaction()
    with pytest.raises(DefinitionError, match="before its block is entered"):
        tx(books).try_(1)
    with pytest.raises(DefinitionError, match=r"tx\.gid is known once the block is entered"):
        str(tx.gid)
    with tx:
        with pytest.raises(DefinitionError, match="opened before"), tx:
            raise AssertionError("entered")
        for what in (int, "books"):
            with pytest.raises(DefinitionError, match="is no TCC class"):
                tx(what)
        heir = type("Heir", (books,), {})
        with pytest.raises(DefinitionError, match="inherits from a TCC class, but is none itself"):
            tx(heir)
        with pytest.raises(TypeError, match="tcc class books: try_"):
            tx(books).try_()
    with pytest.raises(DefinitionError, match="after its block was left"):
        tx(books).try_(1)
    with pytest.raises(DefinitionError, match="not \\(or no longer\\) known"), Troth("memory://").transaction() as other:
        other(books).try_(1)
    with pytest.raises(DefinitionError, match='Say "decided" or "finished"'):
        lone.troth.transaction(until="later")

    @lone.troth.saga(name="saga")
    def saga() -> None:
        lone.troth.transaction()

    with pytest.raises(Cancelled, match="inside a saga's function"):
        saga()
