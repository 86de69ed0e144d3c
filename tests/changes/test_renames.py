"""A step, or a saga, is renamed while many sagas are in flight (S8)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.changes.bodies import BODIES, Body, Caught, Gather, Inner, Statement, Step, source
from tests.changes.evidence import check, docs_of, log_of
from tests.changes.killed import IN_FLIGHT, ROOT, Killed, in_flight_at, run_and_end, set_up, successor, unfinished
from tests.changes.shop import deploy, program, step
from tests.changes.waiting import PATIENCE, until
from troth.core.words import State
from troth.engine.live import doc_of
from troth.ports.errors import GidConflict

OLD, NEW = "pack", "wrap"


def renamed(body: Body) -> Body:
    """The body as the new code has it."""

    def in_part(part: tuple[Step, ...]) -> tuple[Step, ...]:
        return tuple(Step(NEW, each.arg) if each.name == OLD else each for each in part)

    def one(statement: Statement) -> Statement:
        match statement:
            case Step():
                return in_part((statement,))[0]
            case Gather(parts):
                return Gather(tuple(in_part(part) for part in parts))
            case Inner(calls):
                return Inner(in_part(calls))
            case Caught(instead):
                return Caught(in_part((instead,))[0])
            case _:
                return statement

    return tuple(one(statement) for statement in body)


def new_code(shop: Killed, *aliases: str) -> str:
    """The program with the step's new name, and perhaps its old one beside it."""
    bodies = {name: renamed(body) for name, body in shop.bodies.items()}
    sagas = [source(name, body, asynchronous=shop.asynchronous) for name, body in bodies.items()]
    return program(shop.folder, *sagas, without=(OLD,), more=step(NEW, aliases=aliases))


def command(shop: Killed, *words: str) -> tuple[int, Any]:
    """``troth`` in a process of its own, in the shop's directory: its exit code and its answer."""
    run = subprocess.run(
        [sys.executable, "-m", "troth.cli.main", *words, "--store", f"sqlite:///{shop.folder}/log.db", "--json"],
        cwd=shop.folder, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stdout, run.stderr
    return run.returncode, json.loads(run.stdout)


def has_old(record: Any) -> bool:
    """Does the log have a call under the old name?"""
    return any(branch.name == OLD for branch in doc_of(record).branches)


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.parametrize(("asynchronous", "how"), [(True, "kill"), (False, "leave")])
def test_a_renamed_step_waits_for_its_code_and_an_alias_finishes_it(
    tmp_path: Path, asynchronous: bool, how: str
) -> None:
    """`doctor --code` says so beforehand; nothing is decided and nothing used up; what has no such call goes on."""
    shop = set_up(tmp_path / "shop", BODIES, asynchronous=asynchronous, orders=8)
    run_and_end(shop, how=how)
    found = log_of(shop.folder)
    before = docs_of(shop.folder)
    stuck = {gid for gid, record in found.items() if not record.finished and has_old(record)}
    assert unfinished(shop.folder) >= IN_FLIGHT and len(stuck) >= IN_FLIGHT
    assert len(in_flight_at(shop.folder)) >= 5, "they are at different points"

    (shop.folder / "renamed.py").write_text(new_code(shop))
    (shop.folder / "bridged.py").write_text(new_code(shop, OLD))
    code, answer = command(shop, "doctor", "--code", "renamed:troth")
    told = [finding for finding in answer["checks"] if OLD in finding["text"]]
    assert code == 1 and not answer["ok"] and told and any("aliases" in str(finding) for finding in told)
    assert command(shop, "doctor", "--code", "bridged:troth")[0] == 0

    with successor(shop.folder, new_code(shop)):
        until(lambda: waiting_or_ended(shop.folder), "what has no code waits, the rest has ended")
        _, listed = command(shop, "list", "--limit", "1000")
    assert OLD in json.dumps(listed) and "waiting" in json.dumps(listed)
    now = log_of(shop.folder)
    assert {gid for gid, record in now.items() if record.waiting} == stuck
    for gid in stuck:
        assert now[gid].waiting == OLD
        assert doc_of(now[gid]) == before[gid], "nothing was decided"
        assert (now[gid].rev, now[gid].claims) == (found[gid].rev, found[gid].claims), "nothing was used up"

    with successor(shop.folder, new_code(shop, OLD)):
        until(lambda: not unfinished(shop.folder), "the alias finishes them")
    states = check(shop.folder, before, shop.bodies)
    assert states[State.CONFIRMED] and not states[State.FAILED]
    assert not any(record.waiting for record in log_of(shop.folder).values())


def waiting_or_ended(folder: Path) -> bool:
    """Has each transaction ended, or is it waiting for code?"""
    return all(record.finished or record.waiting for record in log_of(folder).values())


@pytest.mark.kill
def test_a_renamed_saga_waits_for_its_code_and_an_alias_finishes_it(tmp_path: Path) -> None:
    """With the alias the same gid is still the same transaction; with other content it is a conflict."""
    shop = set_up(tmp_path / "shop", ["plain"], asynchronous=True)
    run_and_end(shop)
    before = docs_of(shop.folder)
    text = program(shop.folder, source("plain", BODIES["plain"], asynchronous=True))
    new = text.replace('name="plain"', 'name="place-order"')
    with deploy(new).troth:
        until(lambda: waiting_or_ended(shop.folder), "no code has that name")
    assert docs_of(shop.folder) == before
    assert {record.waiting for record in log_of(shop.folder).values() if not record.finished} == {"plain"}

    module = deploy(new.replace('name="place-order"', 'name="place-order", aliases=("plain",)'))
    with module.troth as app:
        for gid in before:
            assert app.attach(gid).wait(timeout=PATIENCE).state == State.CONFIRMED
        assert app.run(module.plain, 1).state == State.CONFIRMED
        with pytest.raises(GidConflict, match="order-1"):
            app.run(module.plain, 2, gid="order-1")
    check(shop.folder, before, shop.bodies)
