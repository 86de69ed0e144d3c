"""Fork, before and after use: the child is a node of its own, the parent goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.patience import until
from tests.processes import market
from tests.processes.crew import Worker
from tests.processes.test_kills import Evidence, check_effects

Start = Callable[..., Worker]


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    market.make_databases(tmp_path)
    return tmp_path


def nodes(said: list[list[object]], who: str) -> list[object]:
    """The node numbers with which it bought."""
    return [line[2] for line in said if line[0] == who and line[1] == "bought"]


def check_market(home: Path) -> None:
    """Every transaction in the log has all its effects once, or none."""
    evidence = Evidence(home)
    records = evidence.log.find(limit=10_000)
    begun = {}
    for record in records:
        form = {"forking": "abuy"}.get(record.definition, record.definition)
        begun[record.gid] = (form, int(record.gid.rpartition("-")[2]))
    states = check_effects(begun, evidence)
    assert set(states) <= {"confirmed", "cancelled"}
    evidence.log.close()


@pytest.mark.parametrize("how", ["before_use", "after_use", "grandchildren", "busy"])
def test_both_sides_of_a_fork_go_on(worker: Start, evidence: Path, how: str) -> None:
    """No deadlock, nothing corrupt; the parent's node is not stopped, each child's is a new one."""
    forker = worker("tests.processes.forker", how)
    assert forker.wait() == 0, forker.told()
    assert forker.heard("left"), forker.told()
    said = forker.said
    assert [line for line in said if line[1:2] == ["error"]] == []
    assert {line[2] for line in said if line[1:2] == ["child ended"]} == {0}
    parents = nodes(said, "parent")
    assert len(parents) == 2
    assert len(set(parents)) == 1
    children = [nodes(said, who) for who in {str(line[0]) for line in said} - {"parent", "left"}]
    firsts = [numbers[0] for numbers in children]
    assert firsts
    assert len({*firsts, parents[0]}) == len(firsts) + 1
    assert all(len(set(numbers)) == 1 for numbers in children)
    check_market(evidence)


def test_a_child_that_outlives_its_parent_loses_nothing(worker: Start, evidence: Path) -> None:
    """The last real holder of the file's locks leaves it: what the child commits then is still in the log."""
    forker = worker("tests.processes.forker", "outlived")
    assert forker.wait() == 0, forker.told()
    forker.until(lambda: [line for line in forker.said if line[1:2] == ["alone"]], "the child's last purchase")
    assert [line for line in forker.said if line[1:2] == ["error"]] == []
    said = [line for line in forker.said if line[:2] == ["child", "bought"]]
    assert len(said) == 6
    log = Evidence(evidence)
    for n in (1, *range(11, 21, 2)):
        for number in (n, n + 1):
            record = log.record(f"child-{number}")
            assert record is not None
            assert record.finished
    log.log.close()
    check_market(evidence)


def test_multiprocessing_with_fork(worker: Start, evidence: Path) -> None:
    """A pool's workers are nodes of their own; the parent's stays."""
    forker = worker("tests.processes.forker", "pool")
    assert forker.wait() == 0, forker.told()
    (pool,) = [line for line in forker.said if line[1:2] == ["pool"]]
    used = {(pid, node) for pid, node, _ in pool[3]}
    assert len({pid for pid, _ in used}) == len({node for _, node in used}) == len(used)
    assert pool[2] not in {node for _, node in used}
    assert set(nodes(forker.said, "parent")) == {pool[2]}
    assert {state for _, _, state in pool[3]} == {"confirmed", "cancelled"}
    check_market(evidence)


def test_a_child_may_not_make_its_parents_calls(worker: Start, evidence: Path) -> None:
    """Forked inside of a saga's function, the child's step calls raise; the parent's saga is not disturbed."""
    forker = worker("tests.processes.forker", "inside")
    assert forker.wait() == 0, forker.told()
    (refused,) = [line for line in forker.said if line[1:2] == ["refused"]]
    assert refused[2] == "DefinitionError"
    assert "forked process" in str(refused[3])
    assert [line[3] for line in forker.said if line[1:2] == ["bought"]] == ["confirmed"]
    check_market(evidence)


@pytest.mark.kill
def test_a_child_does_not_hold_its_dead_parents_node(worker: Start, evidence: Path) -> None:
    """The parent is killed, its child lives on: another process takes the parent's work over at once."""
    forker = worker("tests.processes.forker", "holding")
    forker.until(lambda: len(forker.heard("parent")) > 8, "sagas in flight")
    child = int(forker.heard("parent")[0][3])
    other = worker("tests.processes.trader")
    other.until(lambda: other.heard("ended"), "a first purchase")
    log = Evidence(evidence)
    try:
        forker.process.send_signal(signal.SIGKILL)
        forker.process.wait(30)
        accepted = [str(line[2]) for line in list(forker.said) if line[1:2] == ["accepted"]]
        os.kill(child, 0)
        until(lambda: all(log.record(gid) and log.ended(gid) for gid in accepted), "the end of the dead parent's work")
        assert other.leave() == 0, other.told()
    finally:
        os.kill(child, signal.SIGKILL)
        log.log.close()
    forker.wait()
