"""The disk fails in the middle of a commit: nothing is told that isn't so, and all goes on when it works again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bad_input.conftest import Process
from tests.bad_input.shop import log_of

Start = Callable[[Path], Process]
HELD = [f"held-{n}" for n in range(10)]
NEW = [f"new-{n}" for n in range(20)]
SIZE = 20_000
"""Bytes of each payload: commits don't fit what the write-ahead log has."""


def orders(gids: list[str]) -> dict[str, int]:
    """Each effect of these orders, once."""
    return {f"{step} {gid}": 1 for gid in gids for step in ("reserve", "charge")}


@pytest.mark.kill
def test_an_io_error_at_commit_tells_nothing_that_is_not_so(tmp_path: Path, process: Start) -> None:
    """Callers are told `NotAccepted` or `InDoubt`; after the fault each order begins at most once, and all end."""
    path = tmp_path / "log.db"
    shop = process(path)
    shop.ask("enter")
    shop.ask("hold", SIZE, *HELD)
    shop.ask("let_no_file_grow")
    shop.ask("call", SIZE, *NEW)
    told = shop.ask("all_told")
    assert set(told) == set(NEW) and set(told.values()) <= {"NotAccepted", "InDoubt"}, told
    shop.ask("release")
    assert shop.ask("held_unfinished") == len(HELD), "what isn't durable is not told"
    known = {gid for gid, record in log_of(path).items() if record.state == "confirmed"}
    assert known == set()

    shop.ask("let_files_grow")
    assert shop.ask("finished") == dict.fromkeys(HELD, "confirmed")
    shop.ask("call", SIZE, *NEW)
    assert shop.ask("all_told") == dict.fromkeys(NEW, "confirmed")
    assert shop.ask("counts") == orders(HELD + NEW)
    shop.ask("leave")
    assert {gid: record.state for gid, record in log_of(path).items()} == dict.fromkeys(HELD + NEW, "confirmed")


@pytest.mark.kill
def test_a_kill_after_an_io_error_leaves_nothing_half_written(tmp_path: Path, process: Start) -> None:
    """What callers were told holds for the next process: not accepted is not there, and all that is there ends."""
    path = tmp_path / "log.db"
    shop = process(path)
    shop.ask("enter")
    shop.ask("hold", SIZE, *HELD)
    shop.ask("let_no_file_grow")
    shop.ask("call", SIZE, *NEW)
    told = shop.ask("all_told")
    shop.kill()
    heir = process(path)
    heir.ask("release")
    heir.ask("enter")
    found = log_of(path)
    refused = {gid for gid, word in told.items() if word == "NotAccepted"}
    assert not refused & found.keys()
    assert set(HELD) <= found.keys()
    heir.ask("call", SIZE, *NEW)
    assert heir.ask("all_told") == dict.fromkeys(NEW, "confirmed")
    heir.ask("leave")
    assert {gid: record.state for gid, record in log_of(path).items()} == dict.fromkeys(HELD + NEW, "confirmed")
