"""TCC transactions as the command line shows them, beside a real node at work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.shelves import Shelves, times
from tests.cli.calls import answer, said, troth
from troth import NeedsAttention


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The log of this test."""
    return f"sqlite:///{tmp_path}/log.db"


@pytest.fixture
def shelves(url: str, tmp_path: Path) -> Iterator[Shelves]:
    """Shelves in SQLite."""
    made = Shelves(f"sqlite:///{tmp_path}/shelves.db", url)
    with made.troth:
        yield made
    made.close()


def test_branches_show_what_was_tried_and_what_became_of_it(shelves: Shelves, url: str) -> None:
    """Each with its arguments and hold; tries, confirms and cancels along time; a child below the try that called it."""
    books, pens = shelves.tcc("books"), shelves.free("pens")

    class Trip:
        def try_(self, n: int) -> int:
            return shelves.troth.nested(pens).try_(n)

        def confirm(self, hold: int) -> None: ...
        def cancel(self, hold: int | None) -> None: ...

    trip = shelves.troth.tcc(guarded=True, name="trip")(Trip)
    with shelves.troth.transaction("order-1") as tx:
        tx(books).try_(2)
        tx(trip).try_(7)
    text = troth("show", "order-1", store=url).output
    assert text.splitlines()[0] == "order-1  confirmed  tcc (tcc of an initiator)"
    assert '├── books#1  confirmed  {"n":2} → {"shelf":"books","n":2}' in text
    assert '└── trip#1  confirmed  {"n":7} → 7\n    └── pens#1  confirmed  {"n":7} → 7\n' in text
    assert "input" not in text
    ops = [line.split() for line in text.splitlines() if line.lstrip().startswith("+")]
    assert sorted(word for words in ops for word in words if word in ("try", "confirm")) == ["confirm"] * 3 + ["try"] * 3
    found = answer("show", "order-1", store=url)
    assert [(b["id"], b["fate"]) for b in found["branch_list"]] == [
        ("0/books#1", "confirmed"), ("0/trip#1", "confirmed"), ("0/trip#1/pens#1", "confirmed"),
    ]  # fmt: skip


def test_a_cancelled_one_is_listed_with_its_reason(shelves: Shelves, url: str) -> None:
    """Under the name it was given; the pattern can be told from the form."""
    books = shelves.tcc("books")
    shelves.troth.run_tcc("order-2", [books.branch(1), books.branch(11)], name="flash-sale")
    text = said(troth("list", store=url))
    assert "order-2 flash-sale cancelled" in text
    assert "books: books has no 11 left" in text
    assert "order-2 cancelled flash-sale (declared tcc)" in said(troth("show", "order-2", store=url))


def test_one_that_needs_a_person_says_so_and_retry_ends_it(
    shelves: Shelves, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which confirm is open, why, and the command; from another process's point of view."""
    monkeypatch.setattr("troth.core.limits.RETRIES_AFTER_DECISION", 1)
    books = shelves.tcc("books", on_confirm=times(1, OSError("no line")))
    with pytest.raises(NeedsAttention), shelves.troth.transaction("order-3") as tx:
        tx(books).try_(1)
    text = said(troth("show", "order-3", store=url))
    assert "order-3 failed while confirming" in text
    assert "needs a person: confirm does not succeed" in text
    assert "`troth retry order-3`: it goes back to confirming" in text
    assert "Retried: order-3 is confirmed now." in said(troth("retry", "order-3", store=url))
    assert shelves.books("books") == (9, 0, 1)
