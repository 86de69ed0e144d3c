"""Declared sagas in flight, under the same and under other code (S8)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.changes.evidence import docs_of, happened, log_of
from tests.changes.killed import IN_FLIGHT, Killed, in_flight_at, run_and_end, unfinished
from tests.changes.shop import deploy, program
from tests.changes.waiting import PATIENCE, until
from troth.core.words import Fate, State

GRAPH = '''
place = troth.graph("place", input=int, gid=order_gid)
first = place.step(pick, order=place.input, arg="1")
left = place.step(pack, after=first, order=place.input, arg=first.result)
right = place.step(weigh, after=first, order=place.input, arg="3")
paid = place.step(pay, after=[left, right], order=place.input, arg="4")
place.step(tell, after=paid, order=place.input, arg=paid.result)
'''
ORDERS = 24


@pytest.fixture
def killed(tmp_path: Path) -> Killed:
    """A shop whose graph was under way in many places when its process was killed."""
    folder = tmp_path / "shop"
    folder.mkdir()
    places = [(point, n) for point in ("before", "after") for n in range(1, 6)]
    todo = [("place", k + 1, *places[k % len(places)]) for k in range(ORDERS)]
    (folder / "orders.json").write_text(json.dumps(todo))
    (folder / "shop.py").write_text(program(folder, GRAPH))
    shop = Killed(folder, {}, False)
    run_and_end(shop)
    assert unfinished(folder) >= IN_FLIGHT and len(in_flight_at(folder)) >= 2
    return shop


def finish(folder: Path, graph: str) -> None:
    """A node with this code drives all to the end."""
    with deploy(program(folder, graph)).troth as app:
        for gid in docs_of(folder):
            assert app.attach(gid).wait(timeout=PATIENCE).state == State.CONFIRMED
    for gid, effects in happened(folder).items():
        assert sorted(effects) == sorted((f"0/{name}#1", "done") for name in ("pick", "pack", "weigh", "pay", "tell"))
        assert set(effects.values()) == {1}, gid


@pytest.mark.kill
def test_a_graph_goes_on_after_a_kill(killed: Killed) -> None:
    """Each effect happens once, and every graph is confirmed."""
    finish(killed.folder, GRAPH)


@pytest.mark.kill
@pytest.mark.parametrize(
    ("what", "now"),
    [
        ("a step more", GRAPH + 'place.step(ship, after=paid, order=place.input, arg="6")\n'),
        ("a step less", GRAPH.replace("place.step(tell, after=paid, order=place.input, arg=paid.result)", "")),
        ("another step", GRAPH.replace("place.step(tell,", "place.step(ship,")),
        ("another order", GRAPH.replace("pick,", "?,").replace("pack,", "pick,").replace("?,", "pack,")),
    ],
)
def test_a_graph_that_was_changed_waits_for_its_code(killed: Killed, what: str, now: str) -> None:
    """The text names the graph and the steps that it had; nothing is decided, and the old graph ends it."""
    folder = killed.folder
    before = docs_of(folder)
    with deploy(program(folder, now)).troth:
        until(lambda: all(r.waiting or r.finished for r in log_of(folder).values()), "all wait for code")
    words = {record.waiting for record in log_of(folder).values() if not record.finished}
    assert words == {"place as it was (0/pick#1, 0/pack#1, 0/weigh#1, 0/pay#1, 0/tell#1)"}, what
    assert docs_of(folder) == before
    finish(folder, GRAPH)


@pytest.mark.kill
def test_a_renamed_step_of_a_graph_is_bridged_by_an_alias(killed: Killed) -> None:
    """Without it the graph waits; with it the recorded branches keep their ids."""
    folder = killed.folder
    text = program(folder, GRAPH)
    renamed = text.replace('name="weigh", aliases=()', 'name="measure", aliases=()')
    assert renamed != text
    with deploy(renamed).troth:
        until(lambda: all(r.waiting or r.finished for r in log_of(folder).values()), "all wait for code")
    with deploy(renamed.replace('name="measure", aliases=()', 'name="measure", aliases=("weigh",)')).troth as app:
        for gid in docs_of(folder):
            assert app.attach(gid).wait(timeout=PATIENCE).state == State.CONFIRMED
    for doc in docs_of(folder).values():
        assert [branch.id for branch in doc.branches] == [f"0/{n}#1" for n in ("pick", "pack", "weigh", "pay", "tell")]
        assert {branch.fate for branch in doc.branches} == {Fate.DONE}
