"""kill -9, again and again, on real processes that share one log: what was told stays true, and every effect happens once."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.app.patience import until
from tests.budget import FIRST_SEED, KILLS
from tests.processes import market
from tests.processes.crew import Worker
from troth.adapters.stores.sqlite import SqliteStore
from troth.engine.live import doc_of
from troth.ports.store import Record

WORKERS = 3
FINAL = ("confirmed", "cancelled")


class Evidence:
    """What all workers said, and what the log and the databases hold."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = SqliteStore(str(home / "log.db")).open_reader()
        self.seen: dict[str, str] = {}

    def record(self, gid: str) -> Record | None:
        """The log's word."""
        found = self.log.get(gid)
        assert found is None or isinstance(found, Record)
        return found

    def ended(self, gid: str) -> bool:
        """Has it ended, or never begun?"""
        found = self.record(gid)
        return found is None or found.state in FINAL

    def look(self) -> None:
        """Note every outcome that the log shows now; a later look must show the same."""
        for record in self.log.find(states=FINAL, limit=200):
            assert self.seen.setdefault(record.gid, record.state) == record.state

    def effects(self) -> dict[str, Counter[str]]:
        """The effects that stand, by gid."""
        standing: dict[str, Counter[str]] = {}
        for name in ("bank", "stock"):
            for gid, step in self.rows(name, "SELECT gid, step FROM effect"):
                standing.setdefault(gid, Counter())[step] += 1
        return standing

    def rows(self, name: str, sql: str) -> list[Any]:
        """Rows of one of the databases."""
        db = sqlite3.connect(self.home / f"{name}.db")
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()


def hit_in_flight(victim: Worker, evidence: Evidence) -> set[str]:
    """Kill it; the transactions that the log holds as open, of those that it was not told the end of."""
    victim.kill()
    return {gid for gid in victim.open() if (found := evidence.record(gid)) is not None and found.state not in FINAL}


def check_words(said: list[list[Any]], evidence: Evidence) -> None:
    """Everything that anyone was told is what the log says."""
    for word, gid, *rest in said:
        found = evidence.record(gid) if word in ("accepted", "ended") else None
        if word == "accepted":
            assert found is not None, f"{gid} was accepted and is lost"
        elif word == "ended":
            assert found is not None, f"{gid} ended and is lost"
            assert found.state == rest[0], f"{gid} was told {rest[0]} and is {found.state}"
            if found.state == "confirmed":
                assert msgspec.json.decode(doc_of(found).result) == rest[1]


def check_effects(begun: dict[str, tuple[str, int]], evidence: Evidence) -> Counter[str]:
    """All effects, each once, where it was confirmed; none anywhere else."""
    states: Counter[str] = Counter()
    standing = evidence.effects()
    for gid, (form, n) in begun.items():
        found = evidence.record(gid)
        state = found.state if found is not None else "never begun"
        states[state] += 1
        expected = dict.fromkeys(market.EFFECTS[form], 1) if state == "confirmed" else {}
        assert dict(standing.pop(gid, {})) == expected, f"{gid} ({form} of {n}) is {state}"
        if state == "confirmed" and found is not None:
            assert msgspec.json.decode(doc_of(found).result) == market.VALUES[form] * n
    assert standing == {}
    return states


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.timeout(240 + 4 * KILLS)
def test_nothing_acknowledged_is_lost_however_often_processes_are_killed(worker: Callable[..., Worker], tmp_path: Path) -> None:
    """S1 to S4 and L3: accepted means kept, told means kept, effects once, books balance, the dead one's work goes on at once."""
    market.make_databases(tmp_path)
    chance = random.Random(FIRST_SEED)
    crew = [worker("tests.processes.trader") for _ in range(WORKERS)]
    everyone = list(crew)
    for each in crew:
        each.until(lambda each=each: each.heard("ended"), "a first purchase")  # type: ignore[misc]
    evidence = Evidence(tmp_path)
    hits = 0
    while hits < KILLS:
        until(lambda: any(each.heard("ended") for each in crew), "a worker at work")
        slot = chance.choice([slot for slot, each in enumerate(crew) if each.heard("ended")])
        victim = crew[slot]
        more = len(victim.heard("ended")) + chance.randrange(1, 12)
        victim.until(lambda v=victim, m=more: len(v.heard("ended")) >= m and v.open(), "purchases")  # type: ignore[misc]
        open_ones = hit_in_flight(victim, evidence)
        hits += bool(open_ones)
        if hits % 3 == 0:  # nobody takes its place before the others have ended its work
            until(lambda gone=open_ones: all(evidence.ended(gid) for gid in gone), "the end elsewhere")  # type: ignore[misc]
        evidence.look()
        crew[slot] = worker("tests.processes.trader")
        everyone.append(crew[slot])
    for each in crew:
        each.until(lambda each=each: each.heard("ended"), "a last worker's first purchase")  # type: ignore[misc]
        assert each.leave() == 0, each.told()
        assert each.heard("left")
    said = [line for each in everyone for line in each.said]
    assert [line for line in said if line[0] == "error"] == []
    evidence.look()
    begun = {gid: (form, n) for word, gid, form, n in (line for line in said if line[0] == "begun")}
    assert all(evidence.ended(gid) for gid in begun)
    check_words([line for line in said if line[0] != "left"], evidence)
    states = check_effects(begun, evidence)
    assert states["confirmed"] and states["cancelled"]
    for name, whole in (("bank", market.MONEY), ("stock", market.THINGS)):
        assert evidence.rows(name, "SELECT sum(amount) FROM book") == [(whole,)]
    assert all(evidence.record(gid).state == state for gid, state in evidence.seen.items())  # type: ignore[union-attr]
    evidence.log.close()
