"""Bad places, bad files, bad versions: each has a typed error that says what to do, and nothing is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stores.conftest import Process
from troth.adapters.stores.sqlite import SqliteStore, connect, schema
from troth.ports.errors import ConfigurationError, StoreCorrupt, StoreError, StoreTooNew, StoreUnavailable
from troth.ports.store import Batch, Record, Request
from troth.testing.exams.store_bench import START, accept, uid_of

Start = Callable[..., Process]


def opened(path: Path) -> SqliteStore:
    """A node on this file."""
    store = SqliteStore(str(path))
    store.open(os.urandom(16).hex(), START)
    return store


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log that holds one transaction."""
    store = opened(tmp_path / "log.db")
    store.commit(Batch(1, START, [accept(1)]))
    store.close()
    return tmp_path / "log.db"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that any user may search."""
    folder = Path(tempfile.mkdtemp(prefix="troth-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_nothing_is_opened_at_construction(tmp_path: Path) -> None:
    """Making the object touches no file."""
    SqliteStore(str(tmp_path / "log.db")).close()
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_can_be_read_and_not_written_is_read_only(shared: Path, process: Start) -> None:
    """A node is refused by name of the file, and the file stays as it was."""
    path = shared / "log.db"
    opened(path).close()
    before = path.read_bytes()
    path.chmod(0o444)
    reader = process(path)
    assert reader.ask("become_nobody")
    kind, words = reader.fail("open", 1)
    assert kind == "StoreReadOnly" and str(path) in words and "write permission" in words
    assert path.read_bytes() == before


def test_a_directory_that_cannot_be_written_is_read_only(shared: Path, process: Start) -> None:
    """The log can't be created there, and that is said."""
    shared.chmod(0o555)
    reader = process(shared / "log.db")
    assert reader.ask("become_nobody")
    kind, words = reader.fail("open", 1)
    assert kind == "StoreReadOnly" and str(shared) in words
    assert list(shared.iterdir()) == []


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """It isn't made."""
    with pytest.raises(StoreUnavailable, match="there is no directory"):
        opened(tmp_path / "none" / "log.db")


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    """It is left as it is."""
    path = tmp_path / "log.db"
    path.write_bytes(b"Dear diary, " * 500)
    with pytest.raises(StoreCorrupt, match="damaged or is no SQLite file"):
        opened(path)
    assert path.read_bytes() == b"Dear diary, " * 500


def test_a_damaged_log_is_corrupt(log: Path) -> None:
    """Pages overwritten with noise are noticed by opening or by reading, as a typed error."""
    noise = bytearray(log.read_bytes())
    noise[4_096:] = os.urandom(len(noise) - 4_096)
    log.write_bytes(noise)
    with pytest.raises(StoreCorrupt, match=r"restore a backup"):
        store = opened(log)
        try:
            store.get("order-1")
        finally:
            store.close()


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    """The log wants a file of its own, and leaves others untouched."""
    path = tmp_path / "stock.db"
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE stock (sku TEXT)")
    conn.close()
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="file of its own"):
        opened(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_too_new_and_names_both_versions(log: Path) -> None:
    """Neither a node nor a reader touches it."""
    with sqlite3.connect(log) as conn:
        conn.execute("INSERT INTO troth_schema VALUES (99)")
    conn.close()
    for act in (lambda: opened(log), lambda: SqliteStore(str(log)).open_reader()):
        with pytest.raises(StoreTooNew, match=rf"schema version 99, this troth knows {schema.VERSION}"):
            act()


def test_an_older_schema_is_migrated_by_a_node_and_not_by_a_reader(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps run once, in order, as one transaction."""
    step = ("CREATE TABLE later (x INTEGER)", "INSERT INTO later VALUES (1)")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(StoreError, match="Start a node"):
        SqliteStore(str(log)).open_reader()
    for _ in range(2):
        store = opened(log)
        assert isinstance(store.get("order-1"), Record)
        store.close()
    with sqlite3.connect(log) as conn:
        assert conn.execute("SELECT count(*) FROM later").fetchone() == (1,)
    conn.close()


def test_a_file_of_the_first_version_takes_two_phase_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node adds what it lacks, and what it held is there as before."""
    path = tmp_path / "old.db"
    conn = sqlite3.connect(path, isolation_level=None)
    with monkeypatch.context() as old:
        old.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        old.setattr(schema, "VERSION", 1)
        schema.migrate(conn, str(path))
    row = (1, "order-1", uid_of(1), 1, "saga", "shop:order", "trying", START, START, 0, bytes(16), 0, 0, "", b"{}")
    conn.execute(f"INSERT INTO tx VALUES ({','.join('?' * len(row))})", row)
    conn.close()
    store = opened(path)
    assert isinstance(store.get("order-1"), Record)
    assert len(store.unfinished(0, 10)) == 1
    assert store.abort(b"a" * 16, "1" * 32, START)
    voted = accept(2, pattern="two_phase", uid=b"a" * 16)
    assert store.commit(Batch(1, START, [voted, accept(3, pattern="two_phase")])).overruled == {b"a" * 16}
    assert list(store.decisions([uid_of(3)])) == [uid_of(3)]
    store.close()


def test_a_migration_that_fails_changes_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old version goes on being usable."""
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE later (x)", "NONSENSE")))
        patch.setattr(schema, "VERSION", schema.VERSION + 1)
        with pytest.raises(StoreError):
            opened(log)
    store = opened(log)
    assert isinstance(store.get("order-1"), Record)
    store.close()


def test_an_old_sqlite_is_a_configuration_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the version that is needed."""
    monkeypatch.setattr(connect, "OLDEST", (99, 1, 0))
    with pytest.raises(ConfigurationError, match=r"needs SQLite 99\.1\.0 or newer"):
        opened(tmp_path / "log.db")


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_a_log_without_a_file_is_a_configuration_error(path: str) -> None:
    """Such a log belongs to the memory store."""
    with pytest.raises(ConfigurationError, match="needs a file"):
        SqliteStore(path).open("0" * 32, START)


def test_a_directory_is_no_log(tmp_path: Path) -> None:
    """And is named."""
    with pytest.raises(ConfigurationError, match="is a directory"):
        opened(tmp_path)


def test_a_reader_creates_nothing(tmp_path: Path) -> None:
    """A mistyped path is an error, not an empty log."""
    with pytest.raises(StoreError, match="there is no log at"):
        SqliteStore(str(tmp_path / "typo.db")).open_reader()
    assert list(tmp_path.iterdir()) == []


def test_a_reader_reads_and_posts_beside_a_node(log: Path) -> None:
    """It is no node, and its wish reaches the owner."""
    node = opened(log)
    node.commit(Batch(1, START, [accept(2)]))
    with SqliteStore(str(log)).open_reader() as reader:
        assert [record.gid for record in reader.find()] == ["order-2", "order-1"]
        assert reader.counts() == {"trying": 2}
        assert isinstance(reader.get("order-1"), Record)
        assert reader.mark() == node.mark()
        assert [row.node for row in reader.nodes() if row.alive] == [1, 2]
        reader.post(Request("order-2", "retry", "ops", "now", START))
    reader.close()
    with pytest.raises(StoreError, match="is closed"):
        reader.counts()
    assert [request.gid for request in node.take()] == ["order-2"]
    node.close()
