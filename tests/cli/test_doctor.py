"""``troth doctor``: the log itself."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from msgspec import structs

from tests.cli.calls import answer, refused, said, troth
from tests.cli.logs import SECOND, Log, failed, now, trying
from troth.adapters.stores.sqlite import health
from troth.cli import doctor, vitals
from troth.cli.finding import Finding


def checks(log: Log, code: int = 0) -> dict[str, tuple[str, str]]:
    """Level and text by check."""
    found = answer("doctor", store=log.url, code=code)["checks"]
    return {finding["check"]: (finding["level"], finding["text"]) for finding in found}


def test_a_sound_log_passes_every_check(log: Log) -> None:
    """One line a check, exit code 0."""
    found = checks(log)
    assert list(found) == [
        "sqlite", "permissions", "schema", "integrity", "journal", "disk", "nodes", "code", "failed", "poison", "age",
    ]  # fmt: skip
    assert {level for level, _ in found.values()} == {"ok"}
    assert troth("doctor", store=log.url).output.rstrip().endswith("All is well.")


def test_unfinished_work_is_sorted_by_what_it_needs(log: Log) -> None:
    """A node, code, a person: each has its line, its examples and its cure; none is a failure of the log."""
    log.put(trying("order-1", now()))
    log.put(trying("order-2", now()), waiting="shop.reserve")
    log.put(failed("order-3", now()))
    log.put(trying("order-4", now() - 7200 * SECOND))
    log.kill()
    found = checks(log)
    assert found["nodes"][0] == "warn" and "no node is alive; 1 dead node left 3" in found["nodes"][1]
    assert found["code"] == ("warn", "1 transaction waiting for code: shop.reserve (order-2)")
    assert found["failed"] == ("warn", "1 transaction needs a person (order-3)")
    assert found["age"][0] == "warn" and "the oldest for 2h00m (order-4)" in found["age"][1]
    assert said(troth("doctor", store=log.url)).endswith("4 warnings")


def test_a_transaction_that_takes_its_nodes_down_is_named(log: Log) -> None:
    """A few take-overs without progress are a warning, a parked one is a failure."""
    log.put(trying("order-1", now()))
    log.kill()
    for taken in range(1, 12):
        heir = Log(log.path)
        for number in heir.store.dead_nodes():
            heir.store.declare_dead(number)
        heir.store.adopt([record.uid for record in heir.store.unfinished(0, 10)], now())
        heir.kill()
        if taken == 3:
            assert checks(log)["poison"] == (
                "warn",
                "1 transaction taken over up to 3 times without progress (order-1)",
            )
    assert checks(log, code=1)["poison"][0] == "fail"


def test_a_damaged_file_is_a_failure(log: Log) -> None:
    """It is said by the check that finds it, with what to do; nothing else is tried on it."""
    for number in range(40):
        log.put(trying(f"order-{number}", now()))
    log.store.close()
    with open(log.path, "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(16384))
    text = refused(troth("doctor", store=log.url))
    assert "fail" in text and "integrity" in text and "keep a copy" in text


def test_a_file_of_something_else_is_a_failure(tmp_path: Path) -> None:
    """Another program's database is no log, and text is no database."""
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as conn:
        conn.execute("CREATE TABLE t (x)")
    conn.close()
    assert "no troth log" in refused(troth("doctor", store=f"sqlite:///{other}"))
    text = tmp_path / "text.db"
    text.write_text("just some text, long enough to be taken for a header" * 20)
    assert "no SQLite file" in refused(troth("doctor", store=f"sqlite:///{text}"))


def test_a_newer_schema_is_a_failure(log: Log) -> None:
    """Nothing is changed in it."""
    log.store.close()
    with sqlite3.connect(log.path) as conn:
        conn.execute("INSERT INTO troth_schema VALUES (99)")
    conn.close()
    assert "version 99, this troth knows up to" in refused(troth("doctor", store=log.url))


FILE = health.File("shop-log.db", False, 0o644, 1000, 4096, True, True)
SOUND = health.Vitals((3, 51, 3), (FILE,), 2**40, 1, 1, "wal")


def only(check: str, vitals_: health.Vitals) -> Finding:
    """One finding."""
    return next(finding for finding in vitals.check_files(vitals_) if finding.check == check)


@pytest.mark.parametrize(
    ("check", "changes", "level", "words"),
    [
        ("sqlite", {"sqlite": (3, 40, 1)}, "ok", "WAL-reset bug (fixed in 3.51.3), harmless here"),
        ("sqlite", {}, "ok", "SQLite 3.51.3"),
        ("permissions", {"files": (FILE._replace(readable=False),)}, "fail", "can't read shop-log.db"),
        (
            "permissions",
            {"files": (FILE._replace(writable=False),)},
            "warn",
            "list and show work, retry and resolve don't",
        ),
        (
            "permissions",
            {"files": (FILE, FILE._replace(path="shop-log.db-wal", owner=0))},
            "warn",
            "shop-log.db-wal of user 0",
        ),
        ("permissions", {"files": (FILE._replace(mode=0o666),)}, "warn", "everybody may write shop-log.db"),
        ("schema", {"version": 0}, "fail", "no node has started on it yet"),
        ("integrity", {"faults": ("row 3 missing from index",)}, "fail", "row 3 missing from index"),
        ("journal", {"journal_mode": "delete"}, "fail", "journal mode delete, nodes use wal"),
        ("journal", {"files": (FILE, FILE._replace(path="x-wal", size=2**30))}, "warn", "has grown to 1.0 GiB"),
        ("disk", {"free": 2**29}, "warn", "only 512 MiB free"),
        ("disk", {"free": 2**20}, "fail", "only 1.0 MiB free"),
    ],
)
def test_each_vital_sign_has_its_level_and_words(
    check: str, changes: dict[str, object], level: str, words: str
) -> None:
    """What is only awkward is a warning, what stops work or loses data a failure; both come with a cure."""
    found = only(check, SOUND._replace(**changes))
    assert found.level == level and words in found.text and bool(found.cure) is (level != "ok")


def test_the_doctor_looks_at_a_log_that_is_worked_on(log: Log) -> None:
    """It takes no write lock: a node goes on writing while its findings are read."""
    found = doctor.findings(doctor.Asked(log.url, False), None)
    next(found)
    log.put(trying("order-1", now()))
    assert {finding.level for finding in found} == {"ok"}
    log.put(structs.replace(trying("order-1", now())))
