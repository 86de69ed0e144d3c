"""Logs and settings that can't be used: a typed, worded error at the start; nothing is made and nothing changed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.conftest import Process
from tests.bad_input.full import writer_of
from tests.bad_input.shop import Shop, log_of, order
from tests.changes.waiting import until
from troth import ConfigurationError, NotAccepted, StoreError, Troth
from troth.ports.errors import StoreCorrupt, StoreTooNew, StoreUnavailable

Start = Callable[[Path], Process]
BEGINNINGS: list[Callable[[Troth], Any]] = [
    lambda app: app.__enter__(),
    lambda app: asyncio.run(app.__aenter__()),
    lambda app: app.find(),
]
"""Ways in which a node starts."""


@pytest.fixture(params=range(len(BEGINNINGS)), ids=["with", "async with", "first use"])
def begin(request: pytest.FixtureRequest) -> Callable[[Troth], Any]:
    """One of them."""
    return BEGINNINGS[int(request.param)]


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a directory."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- where it is


@pytest.mark.parametrize(
    "url", ["mongodb://here", "sqlite:", "sqlite://shop.db", "sqlite:///", "shop.db", "memory", "SQLITE:///a.db", "://"]
)
def test_a_store_that_nobody_knows(url: str) -> None:
    """Said when the object is made, with the URLs that work."""
    with pytest.raises(ConfigurationError) as caught:
        Troth(url)
    assert repr(url) in str(caught.value)
    assert "say sqlite:///relative.db, sqlite:////absolute.db or memory://" in str(caught.value)


def test_a_store_that_nobody_knows_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``TROTH_STORE`` is checked as the argument is."""
    monkeypatch.setenv("TROTH_STORE", "redis://here")
    with pytest.raises(ConfigurationError, match="redis://here"):
        Troth()


def test_a_directory_that_is_not_there(tmp_path: Path, begin: Callable[[Troth], Any]) -> None:
    """It is named, and nothing is made."""
    with pytest.raises(StoreUnavailable, match=r"there is no directory .*/nowhere\. Make it first"):
        begin(Troth(f"sqlite:///{tmp_path}/nowhere/log.db"))
    assert files(tmp_path) == {}


def test_a_directory_in_place_of_a_file(tmp_path: Path, begin: Callable[[Troth], Any]) -> None:
    """The log needs a file."""
    with pytest.raises(ConfigurationError, match="is a directory: the SQLite log needs a file"):
        begin(Troth(f"sqlite:///{tmp_path}"))
    assert files(tmp_path) == {}


# --- what it is


@pytest.mark.parametrize("content", [b"Dear diary, " * 500, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_log(tmp_path: Path, begin: Callable[[Troth], Any], content: bytes) -> None:
    """It stays as it is."""
    path = tmp_path / "log.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"log\.db is damaged or is no SQLite file.*name another file"):
        begin(Troth(f"sqlite:///{path}"))
    assert path.read_bytes() == content


def test_another_programs_database(tmp_path: Path, begin: Callable[[Troth], Any]) -> None:
    """Tables of others are not mixed with ours."""
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE customers (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=r"is a database, but no troth log. Give the log a file of its own"):
        begin(Troth(f"sqlite:///{path}"))
    assert path.read_bytes() == before


def used(folder: Path) -> Path:
    """A log that holds a transaction, left by its node."""
    shop = Shop(folder)
    with shop.app:
        shop.place_order(order())
    return shop.path


def test_a_log_of_a_newer_troth(tmp_path: Path, begin: Callable[[Troth], Any]) -> None:
    """Both versions are named, and the file stays as it is."""
    path = used(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("INSERT INTO troth_schema VALUES (99)")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"has schema version 99, this troth knows \d+\. Upgrade troth here; nothing was changed"):
        begin(Troth(f"sqlite:///{path}"))
    assert path.read_bytes() == before


def test_a_log_with_a_damaged_page(tmp_path: Path) -> None:
    """Whoever comes upon it gets a typed error that says what to do; the process doesn't break."""
    path = used(tmp_path)
    with closing(sqlite3.connect(path)) as file:
        (page,) = file.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'tx'").fetchone()
        (size,) = file.execute("PRAGMA page_size").fetchone()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = bytearray(path.read_bytes())
    damaged[(page - 1) * size : page * size] = b"\xa5" * size
    path.write_bytes(damaged)
    shop = Shop(tmp_path)
    shop.app.runtime.drain = 0.0
    with pytest.raises((StoreError, NotAccepted), match=r"damaged.*Stop all nodes, keep a copy, and restore"), shop.app:
        shop.app.run(shop.place_order, order(2))
    assert not shop.happened


# --- who may write it


def test_a_log_that_may_only_be_read(shared: Path, process: Start) -> None:
    """As an ordinary user: the file is named, and what to do; it stays as it was."""
    before = used(shared).read_bytes()
    path = shared / "log.db"
    path.chmod(0o444)
    reader = process(path)
    assert reader.ask("become_nobody")
    kind, words = reader.fail("enter")
    assert kind == "StoreReadOnly"
    assert words == f"{path} can't be written by this user. Give it write permission on the file and its directory."
    assert path.read_bytes() == before
    assert list(log_of(path)) == ["order-1"]


def test_a_log_in_a_directory_that_may_only_be_read(shared: Path, process: Start) -> None:
    """SQLite keeps files beside it, so the directory must be writable too."""
    path = used(shared)
    path.chmod(0o666)
    before = path.read_bytes()
    shared.chmod(0o555)
    reader = process(path)
    assert reader.ask("become_nobody")
    kind, words = reader.fail("enter")
    shared.chmod(0o755)
    assert kind == "StoreReadOnly" and "Give this user write permission" in words  # the lock or SQLite notices first
    assert path.read_bytes() == before


def test_a_new_log_in_a_directory_that_may_only_be_read(shared: Path, process: Start) -> None:
    """Nothing is made."""
    writer = process(shared / "log.db")
    shared.chmod(0o555)
    assert writer.ask("become_nobody")
    kind, words = writer.fail("enter")
    shared.chmod(0o755)
    assert kind == "StoreReadOnly" and words.endswith(f"{shared} can't be written by this user.")
    assert files(shared) == {}


def test_a_log_that_can_no_longer_be_written(shop: Shop) -> None:
    """New orders are not accepted, and nothing of them is written; reading goes on; later all is well again."""
    shop.place_order(order(1))
    with writer_of(shop.app) as conn:
        conn.execute("PRAGMA query_only = ON")
    for _ in range(3):
        with pytest.raises(Exception, match=r"not accepted, nothing was written: .*can't be written.*Try again in"):
            shop.place_order(order(2))
    assert [view.gid for view in shop.app.find()] == ["order-1"]
    with writer_of(shop.app) as conn:
        conn.execute("PRAGMA query_only = OFF")

    def accepted() -> bool:
        try:
            return shop.place_order(order(2)) == 2
        except NotAccepted:
            return False

    until(accepted, "the log is back")
    assert {gid: record.state for gid, record in log_of(shop.path).items()} == {
        "order-1": "confirmed", "order-2": "confirmed",
    }  # fmt: skip
    assert shop.happened["reserve", 2] == 1


# --- settings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"outside": "maybe"}, "outside='maybe': say 'call' or 'refuse'"),
        ({"drain": -1}, "drain=-1: give seconds, 0 or more"),
        ({"drain": "soon"}, "drain='soon': give seconds, 0 or more"),
        ({"no_retry": ValueError}, "no_retry=.*ValueError.*: give exception classes, e.g. "),
        ({"no_retry": ("ValueError",)}, "no_retry=.*: give exception classes, e.g. "),
    ],
)
def test_a_wrong_setting(options: dict[str, Any], words: str) -> None:
    """Its name, what was given, and what would do."""
    with pytest.raises(ConfigurationError, match=words):
        Troth("memory://", **options)


def test_a_setting_that_does_not_exist() -> None:
    """Python's own error."""
    wrong: Any = {"timeout": 3}
    with pytest.raises(TypeError, match="timeout"):
        Troth("memory://", **wrong)


@pytest.mark.parametrize(
    ("name", "target", "options"),
    [
        ("stock", "oracle://here", {}),
        ("stock", "stock.db", {}),
        ("a b", "sqlite:///stock.db", {}),
        ("stock", "sqlite:///stock.db", {"colour": "blue"}),
    ],
)
def test_a_wrong_database(name: str, target: str, options: dict[str, Any]) -> None:
    """Its name, its URL, its options; nothing is opened."""
    with pytest.raises(ConfigurationError):
        Troth("memory://").database(name, target, **options)


def test_a_database_defined_twice() -> None:
    """One name, one database."""
    app = Troth("memory://")
    app.database("stock", "sqlite:///stock.db")
    with pytest.raises(ConfigurationError, match="database 'stock' is defined twice; give one of them another name"):
        app.database("stock", "sqlite:///other.db")


def test_resolving_without_a_reason(shop: Shop) -> None:
    """A person closes it, and says why."""
    with pytest.raises(ConfigurationError, match="resolve needs a reason: say what was settled, and by whom"):
        shop.app.resolve("order-1", reason=" ")
