"""However a program ends short of a kill, what it has in flight is drained; what a kill leaves, the next one finishes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.patience import until
from tests.processes import market
from tests.processes.crew import Worker
from tests.processes.test_kills import Evidence, check_effects

Start = Callable[..., Worker]
HOW = {"without_with": 0, "by_exception": 1, "by_sys_exit": 3, "daemon_threads": 0, "by_keyboard": 0, "awaited": 0}


@pytest.mark.parametrize("how", HOW)
def test_a_program_that_ends_drains_first(worker: Start, tmp_path: Path, how: str) -> None:
    """Nothing is open in the log once the process is gone, no thread complains, and the exit code is the program's own."""
    market.make_databases(tmp_path)
    leaver = worker("tests.processes.leaver", how)
    assert leaver.wait() == HOW[how], leaver.told()
    told = leaver.told()
    assert "the program's own" in told if how == "by_exception" else told == ""
    if how in ("by_keyboard", "awaited"):
        assert leaver.heard("interrupted")
    evidence = Evidence(tmp_path)
    begun = {}
    for record in evidence.log.find(limit=10_000):
        assert record.state in ("confirmed", "cancelled"), record.gid
        form = {"abuy-slowly": "abuy"}.get(record.definition, record.definition)
        begun[record.gid] = (form, int(record.gid.rpartition("-")[2]))
    assert len([gid for gid in begun if gid.startswith("left-")]) == (0 if how == "by_keyboard" else 12)
    if how == "by_keyboard":
        assert begun == {"keyboard-1": ("abuy", 1)}
    check_effects(begun, evidence)
    evidence.log.close()


@pytest.mark.kill
def test_what_a_killed_program_left_the_next_one_finishes(worker: Start, tmp_path: Path) -> None:
    """No other process was there at the time: the next start takes it all up again."""
    market.make_databases(tmp_path)
    first = worker("tests.processes.trader", MARKET_PACE="0.01")
    first.until(lambda: len(first.heard("ended")) > 3 and first.open(), "purchases")
    first.kill()
    evidence = Evidence(tmp_path)
    open_ones = {gid for gid in first.open() if not evidence.ended(gid)}
    assert open_ones
    second = worker("tests.processes.trader")
    until(lambda: all(evidence.ended(gid) for gid in open_ones), "the end of what was left")
    assert second.leave() == 0, second.told()
    begun = {gid: (form, n) for each in (first, second) for _, gid, form, n in each.heard("begun")}
    check_effects(begun, evidence)
    evidence.log.close()
