"""A step is taken out of the code while sagas that called it are in flight (S8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.changes.bodies import BODIES, Body, Caught, Gather, Inner, Statement, Step, Value
from tests.changes.evidence import check, docs_of, log_of
from tests.changes.killed import IN_FLIGHT, Killed, run_and_end, set_up, unfinished
from tests.changes.shop import ALL, deploy
from tests.changes.waiting import PATIENCE, until
from troth.core.words import State

REMOVALS = 20


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Killed]:
    """A shop with every saga, in both colours, killed."""
    folder = tmp_path_factory.mktemp("killed")
    made = {each: set_up(folder / f"{each}", BODIES, asynchronous=each, orders=8) for each in (False, True)}
    run_and_end(*made.values())
    for shop in made.values():
        assert unfinished(shop.folder) >= IN_FLIGHT
    return made


def without(body: Body, name: str) -> Body:
    """The body with no call of the step."""

    def rest(part: tuple[Step, ...]) -> tuple[Step, ...]:
        return tuple(step for step in part if step.name != name)

    made: list[Statement] = []
    for statement in body:
        match statement:
            case Step() | Value():
                made += [statement] * (statement.name != name)
            case Caught(instead):
                made += [statement] * (instead.name != name)
            case Gather(parts):
                made.append(Gather(tuple(rest(part) for part in parts)))
            case Inner(calls):
                made.append(Inner(rest(calls)))
            case _:
                made.append(statement)
    return tuple(made)


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.parametrize("number", range(REMOVALS))
def test_what_called_a_removed_step_waits_for_code_until_it_is_back(
    killed: dict[bool, Killed], tmp_path: Path, number: int
) -> None:
    """The others go on by the new code. Nothing of those that wait is decided, and the old code ends them."""
    shop = killed[number % 2 == 0]
    gone = ALL[number % len(ALL)]
    folder = shop.copy(tmp_path / "shop")
    before = docs_of(folder)
    shorter = {name: without(body, gone) for name, body in shop.bodies.items()}
    with deploy(shop.text(folder, shorter, without=(gone,))).troth:
        until(lambda: settled(folder), "each has ended, needs a person, or waits for code")
    now = log_of(folder)
    stuck = {gid for gid, doc in before.items() if not doc.finished and gone in {b.name for b in doc.branches}}
    assert stuck and {gid for gid, record in now.items() if record.waiting} == stuck
    assert {now[gid].waiting for gid in stuck} == {gone}
    between = docs_of(folder)
    assert {gid: between[gid] for gid in stuck} == {gid: before[gid] for gid in stuck}

    with deploy(shop.text(folder)).troth as app:
        for gid in stuck:
            app.attach(gid).wait(timeout=PATIENCE)
    after = docs_of(folder)
    assert all(not after[gid].reason.startswith("code changed") for gid in stuck)
    done = {gid: between[gid] for gid in before.keys() - stuck}
    states = check(folder, {**before, **done}, shop.bodies, f"{gone} was gone, and is back")
    assert states[State.CONFIRMED]


def settled(folder: Path) -> bool:
    """Has each transaction ended, does it need a person, or does it wait for code?"""
    return all(r.finished or r.waiting or r.state == "failed" for r in log_of(folder).values())
