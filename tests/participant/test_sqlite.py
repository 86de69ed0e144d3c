"""The barrier on SQLite: what only SQLite does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.participant.calls import NOTE, TABLE, doing, new_call, notes
from troth.app.databases import open_database
from troth.core.words import Op, Word
from troth.participant.database import Guarded
from troth.ports.errors import ConfigurationError, DefinitionError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Guarded]:
    """A database with a table of notes."""
    made = open_database("stock", f"sqlite:///{tmp_path / 'stock.db'}")
    made.plain(lambda db: db.execute(TABLE))
    yield made
    made.close()


def test_every_commit_is_on_disk_before_it_is_answered(database: Guarded) -> None:
    """WAL, and synchronous=FULL on the connection that commits."""
    settings = database.plain(
        lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    )
    assert settings == ["wal", 2]


def test_an_unfinished_cursor_does_not_stand_in_the_commits_way(database: Guarded) -> None:
    """A step may leave rows of a RETURNING unread, and keep the cursor."""
    kept: list[Any] = []
    returning = "INSERT INTO note VALUES (1), (2), (3) RETURNING n"
    reply = database.run(new_call(), doing(also=lambda db: kept.append(db.execute(returning).fetchone())))
    assert (reply.word, notes(database)) == (Word.DONE, 3)
    reply = database.run(new_call(), doing(also=lambda db: kept.append(db.execute(returning))))
    assert (reply.word, notes(database)) == (Word.DONE, 6)


def test_what_a_step_sets_on_the_connection_ends_with_it(database: Guarded) -> None:
    """The next step gets tuples again, and the barrier reads its own rows."""
    call = new_call()

    def dressed(db: Any) -> None:
        db.row_factory = lambda cursor, row: {"row": row}
        db.text_factory = bytes

    assert database.run(call, doing(also=dressed)).word is Word.DONE
    assert bytes(database.run(call, NOTE).result) == b"1"
    assert database.plain(lambda db: db.execute("SELECT 'x'").fetchone()) == ("x",)


def test_a_transaction_that_sqlite_ended_on_an_error_is_not_done(database: Guarded) -> None:
    """ON CONFLICT ROLLBACK ends it without anybody's COMMIT: no row is there, so it did not happen."""
    database.plain(lambda db: db.execute("CREATE TABLE once (n INTEGER UNIQUE ON CONFLICT ROLLBACK)"))
    twice = doing("INSERT INTO note VALUES (1)", "INSERT INTO once VALUES (1)", "INSERT INTO once VALUES (1)")
    reply = database.run(new_call(), twice)
    assert (reply.word, reply.retry, notes(database)) == (Word.NOT_DONE, True, 0)
    assert isinstance(reply.cause, sqlite3.IntegrityError)


def test_a_locked_database_is_not_done_within_the_calls_time(database: Guarded, tmp_path: Path) -> None:
    """The reason names the file, and the next call works."""
    other = sqlite3.connect(tmp_path / "stock.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    call = new_call(timeout=0.05)
    reply = database.run(call, NOTE)
    assert (reply.word, "stayed locked" in reply.reason) == (Word.NOT_DONE, True)
    assert database.run(call._replace(op=Op.CHECK), NOTE).word is Word.NOT_DONE  # there are no tables to look into yet
    other.execute("ROLLBACK")
    other.close()
    assert database.run(call, NOTE).word is Word.DONE


def test_a_step_that_opens_the_same_database_again_is_told(database: Guarded) -> None:
    """Waiting for oneself ends, in words."""
    inner: list[Any] = []

    def nested(db: Any) -> None:
        inner.append(database.run(new_call(timeout=0.05), NOTE))

    assert database.run(new_call(), doing(also=nested)).word is Word.DONE
    assert (inner[0].word, "its own db" in inner[0].reason.replace("\n", " ")) == (Word.NOT_DONE, True)


def test_a_damaged_or_foreign_row_is_unknown_and_alerts(database: Guarded) -> None:
    """An outcome that no barrier writes is believed by nobody."""
    call = new_call()
    database.run(call, NOTE)
    database.plain(lambda db: db.execute("UPDATE troth_barrier SET outcome = 'maybe'"))
    for op in (Op.ACTION, Op.COMPENSATE, Op.SEAL, Op.CHECK):
        reply = database.run(call._replace(op=op), NOTE)
        assert (reply.word, reply.reason.startswith("alert: ")) == (Word.UNKNOWN, True)
    assert notes(database) == 1


def test_a_database_that_cannot_be_opened_is_not_done(tmp_path: Path) -> None:
    """Nothing was written; the reason is SQLite's."""
    database = open_database("stock", f"sqlite:///{tmp_path / 'missing' / 'stock.db'}")
    reply = database.run(new_call(), NOTE)
    assert (reply.word, "unable to open" in reply.reason) == (Word.NOT_DONE, True)


def test_plain_tells_when_the_step_ended_its_transaction(database: Guarded) -> None:
    """Outside a saga too, and rolls back on any exception."""
    with pytest.raises(DefinitionError, match="take COMMIT"):
        database.plain(lambda db: db.execute("COMMIT"))
    with pytest.raises(DefinitionError, match="troth commits"):
        database.plain(lambda db: (db.execute("INSERT INTO note VALUES (1)"), db.commit()))
    with pytest.raises(KeyboardInterrupt):
        database.plain(_interrupted)
    assert notes(database) == 0


def _interrupted(db: Any) -> None:
    db.execute("INSERT INTO note VALUES (1)")
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "target", "options", "words"),
    [
        ("stock", "stock.db", {}, "sqlite:///relative.db"),
        ("stock", "oracle://x", {}, "sqlite:///relative.db"),
        ("stock", "sqlite://", {}, "names no database file"),
        ("stock", "sqlite:///:memory:", {}, "names no database file"),
        ("stock", "sqlite:///x.db", {"pool_size": 3}, "pool_size"),
        ("stock", "postgresql://h/d", {"isolation": "chaos"}, "isolation"),
        ("stock", "postgresql://h/d", {"pool_size": 0}, "pool_size"),
        ("stock", "postgresql://h:notaport/d?nonsense=1", {}, "libpq"),
        ("a b", "sqlite:///x.db", {}, "database name"),
        ("", "sqlite:///x.db", {}, "database name"),
    ],
)
def test_a_database_that_cannot_work_is_refused_at_once(name: str, target: str, options: Any, words: str) -> None:
    """The error names the setting and a right value."""
    with pytest.raises(ConfigurationError, match=words):
        open_database(name, target, **options)


async def _never(db: Any, stored: Any) -> Any:
    raise AssertionError("sqlite3 has no async colour")


def test_an_async_step_is_refused(database: Guarded) -> None:
    """sqlite3 blocks; the colours say so beforehand."""
    assert database.colours == {"sync"}
    attempt = database.arun(new_call(), _never)
    with pytest.raises(DefinitionError, match="plain def"):
        attempt.send(None)
