"""The benchmark counts what it says it counts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench.items import levels, processes
from bench.load import measure, quantile
from bench.proxy import Proxy, SideDied
from bench.sizes import BARS, FULL, LEVELS, SIDES
from bench.tables import verdicts


@pytest.mark.parametrize(("side", "writes"), [("bare-declared", 2), ("bare-function", 3)])
def test_the_bare_loop_makes_its_forms_forced_writes_and_keeps_answers(side: str, writes: int, tmp_path: Path) -> None:
    """Every saga that the baseline answered is confirmed in its file, after exactly its form's forced writes."""
    path = tmp_path / "bare.db"
    with Proxy(side, path).ready() as bare:
        got = bare.ask("run", in_flight=8, seconds=0.05)
        counted = bare.ask("stats")
    with closing(sqlite3.connect(path)) as db:
        states = dict(db.execute("SELECT state, count(*) FROM saga GROUP BY state"))
    assert states == {"confirmed": got["count"]}
    assert counted["transactions"] == got["count"]
    assert counted["forced"] == writes * got["count"]
    assert counted["commits"] <= counted["forced"]


def test_a_side_that_dies_says_why(tmp_path: Path) -> None:
    """What a side wrote to its standard error is in the parent's error."""
    with Proxy("nobody", tmp_path / "x.db") as side, pytest.raises(SideDied, match="KeyError"):
        side.ready()


def test_a_measure_sums_up_latencies() -> None:
    """Rate is answers by seconds; quantiles are of the ordered latencies, in milliseconds."""
    found = measure([0.003, 0.001, 0.002, 0.004], 2.0)
    assert (found["rate"], found["count"], found["p50_ms"], found["max_ms"]) == (2.0, 4, 3.0, 4.0)
    assert quantile([], 0.5) == 0.0


def test_figures_compare_troth_with_its_own_bare_loop_and_with_the_peer_at_its_best() -> None:
    """A ratio's divisor is the bare loop of the same form, or the best level of DBOS in WAL mode."""
    rates = {side: 100.0 * (place + 1) for place, side in enumerate(SIDES)}
    cells = {side: {level: {"rate": rates[side] + level, "p50_ms": 2.0} for level in LEVELS} for side in SIDES}
    figures = levels.figures({"levels": cells, "writes": {"troth-declared": {FULL: {"transactions_per_commit": 80.0}}}})
    assert figures["declared_of_bare"] == pytest.approx((200 + FULL) / (100 + FULL))
    assert figures["function_of_dbos"] == pytest.approx((400 + FULL) / (600 + FULL))
    assert figures["declared_p50_of_bare"] == 1.0
    assert figures["transactions_per_commit"] == 80.0
    assert processes.figures({1: {"rate": 10.0}, 4: {"rate": 9.0, "p99_ms": 20.0}})["four_of_one"] == pytest.approx(0.9)


def test_every_bar_is_judged_in_words() -> None:
    """A figure that meets its bar passes, one short of it misses, one not measured isn't judged."""
    judged = verdicts({bar.key: bar.bar for bar in BARS})
    assert [one["verdict"] for one in judged] == ["pass"] * len(BARS)
    assert [one["verdict"] for one in verdicts({"recovery_seconds": 15.1, "declared_of_bare": 0.24})] == ["miss"] * 2
    assert verdicts({}) == []
