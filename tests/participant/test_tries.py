"""TCC at a participant: a try's children, holds handed to confirm and cancel, ops that come at the wrong time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from tests.participant.calls import NOTE, TABLE, new_call, notes
from troth.app.databases import open_database
from troth.core.reply import Reply
from troth.core.words import Op, Word
from troth.participant.database import Guarded
from troth.ports.caller import Call

UID = b"t" * 16
CHILDREN = ("0/tour#1/seat#1", "0/tour#1/fund#1")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Guarded]:
    """A database with a table of notes."""
    made = open_database("stock", f"sqlite:///{tmp_path / 'stock.db'}")
    made.plain(lambda db: db.execute(TABLE))
    yield made
    made.close()


def op(what: Op) -> Call:
    """That op of the one branch."""
    return new_call(what, uid=UID)


def calling(db: Any, stored: Raw | None) -> Any:
    """A try that called others."""
    db.execute("INSERT INTO note VALUES (1)")
    return Reply(Word.DONE, result=Raw(b'"hold"'), children=CHILDREN)


def handed(database: Guarded, what: Op) -> tuple[Word, list[Any]]:
    """The op's answer, and the hold that its handler was given."""
    given: list[Any] = []

    def effect(db: Any, stored: Raw | None) -> Raw:
        given.append(None if stored is None else bytes(stored))
        return Raw(b"null")

    return database.run(op(what), effect).word, given


def test_a_duplicate_try_names_the_children_of_the_run_that_was_kept(database: Guarded) -> None:
    """The ids are in its row: who lost the first answer decides on the same ones (P15)."""
    first = database.run(op(Op.TRY), calling)
    again = database.run(op(Op.TRY), NOTE)
    assert (first.children, again.children, bytes(again.result), notes(database)) == (CHILDREN, CHILDREN, b'"hold"', 1)


@pytest.mark.parametrize("what", [Op.CONFIRM, Op.CANCEL])
def test_the_hold_comes_from_the_tries_row(database: Guarded, what: Op) -> None:
    """The log need not know it."""
    database.run(op(Op.TRY), calling)
    assert handed(database, what) == (Word.DONE, [b'"hold"'])
    assert handed(database, what) == (Word.DONE, [])


def test_a_cancel_without_its_try_runs_nothing_and_keeps_the_try_out(database: Guarded) -> None:
    """Empty cancel, then hanging try: refused, and never its stored answer."""
    assert handed(database, Op.CANCEL) == (Word.DONE, [])
    late = database.run(op(Op.TRY), NOTE)
    assert (late.word, notes(database)) == (Word.REFUSED, 0)


def test_a_confirm_without_its_try_runs_nothing(database: Guarded) -> None:
    """It is refused, and its try can still come (S5)."""
    assert handed(database, Op.CONFIRM) == (Word.REFUSED, [])
    assert database.run(op(Op.TRY), NOTE).word is Word.DONE


@pytest.mark.parametrize(("first", "then"), [(Op.CONFIRM, Op.CANCEL), (Op.CANCEL, Op.CONFIRM)])
def test_what_ended_one_way_never_ends_the_other(database: Guarded, first: Op, then: Op) -> None:
    """Nothing is run, and the answer asks for a person."""
    database.run(op(Op.TRY), calling)
    handed(database, first)
    reply = database.run(op(then), NOTE)
    assert (reply.word, notes(database)) == (Word.REFUSED, 1)
    assert reply.reason.startswith("alert: ")
