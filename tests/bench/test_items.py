"""Every item of the benchmark runs against the real engine; the peer is raced only by `make bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.__main__ import ITEMS
from bench.sizes import BARS, Sizes
from bench.tables import TABLES

TINY = Sizes(
    rounds=1,
    sides=("troth-declared", "troth-function"),
    seconds=0.05,
    finished=(50,),
    in_flight=(20,),
    unfinished=30,
    processes=(2,),
    takeovers=1,
)


def measured(name: str, room: Path) -> Any:
    """The item's result, which its table must be able to show."""
    said: list[str] = []
    result = ITEMS[name].measure(TINY, room, said.append)
    assert said
    for table in TABLES[name](result):
        Console(quiet=True).print(table)
    return result


def test_each_form_makes_its_published_number_of_forced_writes(tmp_path: Path) -> None:
    """A declared saga of two guarded steps forces 2 writes, a function saga n + 1 = 3, at every level."""
    result = measured("levels", tmp_path)
    for side, forced in (("troth-declared", 2.0), ("troth-function", 3.0)):
        assert [cell["forced"] for cell in result["writes"][side].values()] == [forced] * 4
    assert set(ITEMS["levels"].figures(result)) == {"transactions_per_commit"}


def test_processes_share_one_file(tmp_path: Path) -> None:
    """Each of two processes on one log gets transactions through."""
    result = measured("processes", tmp_path)
    assert result[2]["least_of_most"] > 0


def test_throughput_is_measured_beside_history(tmp_path: Path) -> None:
    """A log that was filled with copies of its own transactions is one that a node starts on."""
    assert measured("finished", tmp_path)[50]["rate"] > 0


def test_open_transactions_are_weighed_and_all_end(tmp_path: Path) -> None:
    """All that were held open end once the gate opens."""
    assert measured("memory", tmp_path)[20]["ended_per_second"] > 0


def test_recovery_ends_what_a_dead_process_left(tmp_path: Path) -> None:
    """Every transaction that was held open when its process was killed ends in the next one."""
    assert measured("recovery", tmp_path)["unfinished"] == TINY.unfinished


@pytest.mark.kill
def test_a_take_over_is_measured_with_transactions_in_flight(tmp_path: Path) -> None:
    """The kill lands while the log holds unfinished transactions of the victim."""
    (kill,) = measured("takeover", tmp_path)["kills"]
    assert kill["left"] > 0
    assert kill["ended_ms"] >= kill["adopted_ms"]


def test_the_profile_names_the_event_loop_and_its_rooms(tmp_path: Path) -> None:
    """Both forms are sampled, and shares are of the thread's own time."""
    result = measured("profile", tmp_path)
    assert set(result) == {"troth-declared", "troth-function"}
    for form in result.values():
        assert all(0 < share <= 1 for part in form.values() for _, share in part)


def test_calls_over_http_are_raced_against_bare_ones(tmp_path: Path) -> None:
    """Sagas and TCC over services in processes of their own get through, batched and not, and every figure has its bar."""
    result = measured("calls", tmp_path)
    assert all(cell["rate"] > 0 for by_level in result.values() for cell in by_level.values())
    assert {"call_added_ms", "call_of_bare", "batched_of_bare", "tcc_of_bare"} == set(ITEMS["calls"].figures(result))
    assert set(ITEMS["calls"].figures(result)) <= {bar.key for bar in BARS}
