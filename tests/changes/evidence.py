"""What the log says and what the participants' database holds; do they agree?"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec

from tests.changes.bodies import PIVOT, RETRIABLE, Body, Calls, raises, still_makes
from troth.adapters.stores.sqlite import SqliteViewer
from troth.core.state import Transaction
from troth.core.words import Fate, State
from troth.engine.live import doc_of
from troth.ports.store import Record

Happened = dict[str, Counter[tuple[str, str]]]
"""By gid: how often (branch, done | undone) happened."""


def log_of(folder: Path) -> dict[str, Record]:
    """Every transaction by its gid."""
    with SqliteViewer(str(folder / "log.db")) as log:
        return {record.gid: record for record in log.find(limit=10_000)}


def docs_of(folder: Path) -> dict[str, Transaction]:
    """Every transaction's state by its gid."""
    return {gid: doc_of(record) for gid, record in log_of(folder).items()}


def happened(folder: Path) -> Happened:
    """Every effect, and every effect undone."""
    found: Happened = {}
    with closing(sqlite3.connect(folder / "shop.db")) as shop:
        for gid, branch, what in shop.execute("SELECT gid, branch, what FROM happened"):
            found.setdefault(gid, Counter())[branch, what] += 1
    return found


def recorded(doc: Transaction) -> Calls:
    """The calls that the log has, by place."""
    made: Calls = {}
    for branch in doc.branches:
        place = branch.id.rpartition("/")[0]
        arg = "*" if branch.name == "troth.remember" else msgspec.json.decode(branch.args)["arg"]
        made.setdefault(place, []).append((branch.name, arg))
    return made


def expected(before: Transaction, body: Body, pivot_happened: bool) -> set[State]:
    """What may become of a transaction that the new code takes over."""
    if before.finished:
        return {before.state}
    if before.phase is State.CANCELLING:
        return {State.CANCELLED}
    if still_makes(body, recorded(before)) and not raises(body):
        return {State.CONFIRMED}
    return {State.FAILED if pivot_happened else State.CANCELLED}


def check(folder: Path, before: dict[str, Transaction], bodies: dict[str, Body], what: str = "") -> Counter[State]:
    """Each transaction ended as it may under these bodies, and log and database agree.

    :return: how many are in which state.
    """
    effects = happened(folder)
    after = docs_of(folder)
    assert after.keys() == before.keys()
    for gid, doc in after.items():
        body = bodies[doc.definition]
        may = expected(before[gid], body, pivot_happened(effects.get(gid, Counter())))
        assert doc.state in may, f"{what}: {gid} is {doc.state} ({doc.reason}), not {may}"
        agree(doc, effects.get(gid, Counter()))
    return Counter(doc.state for doc in after.values())


def agree(doc: Transaction, effects: Counter[tuple[str, str]]) -> None:
    """Effects belong to branches that count, what was undone had happened, each at most once, and nothing is mixed."""
    assert not effects or max(effects.values()) == 1, f"{doc.gid}: something happened twice: {effects}"
    done = {branch for branch, what in effects if what == "done"}
    undone = {branch for branch, what in effects if what == "undone"}
    assert undone <= done, f"{doc.gid}: undone, but never done: {undone - done}"
    kept = done - undone
    fates = {branch.id: branch.fate for branch in doc.branches if branch.name != "troth.remember"}
    by_log = {branch for branch, fate in fates.items() if fate is Fate.DONE}
    if doc.state is State.CANCELLED:
        kept -= {branch for branch in kept if step_of(branch) in RETRIABLE}  # an edit put it before: nothing undoes it
        assert not kept, f"{doc.gid} is cancelled, yet {kept} stand"
    elif doc.state is State.CONFIRMED:
        assert kept == by_log, f"{doc.gid} is confirmed: the log has {by_log}, the database {kept}"
        assert set(fates.values()) <= {Fate.DONE, Fate.REFUSED, Fate.NOT_DONE, Fate.COMPENSATED, Fate.GAVE_UP}
    else:
        open_ = {branch for branch, fate in fates.items() if fate in (Fate.CALLING, Fate.HELD)}
        assert by_log <= kept <= by_log | open_, f"{doc.gid} has failed: the log has {by_log}, the database {kept}"
        assert undone == {branch for branch, fate in fates.items() if fate is Fate.COMPENSATED}
        assert doc.phase is State.CONFIRMING and doc.reason.startswith("code changed: "), doc.reason


def pivot_happened(effects: Counter[tuple[str, str]]) -> bool:
    """Is the point of no return passed, as the database has it?"""
    return any(step_of(branch) == PIVOT for branch, _ in effects)


def step_of(branch: str) -> str:
    """The step's name in a branch id."""
    return branch.rpartition("/")[2].partition("#")[0]
