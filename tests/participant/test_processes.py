"""The barrier across processes: killed between effect and commit, and forked with connections open."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.participant.calls import NOTE, TABLE, new_call, notes
from troth.app.databases import open_database
from troth.core.words import Op, Word

ROOT = Path(__file__).resolve().parents[2]
UID = b"killed-in-effect"

KILLED = """
import os, signal, sys
from tests.participant.calls import doing, new_call
from troth.app.databases import open_database
kill = lambda db: os.kill(os.getpid(), signal.SIGKILL)
open_database("bank", sys.argv[1]).run(
    new_call(uid=b"killed-in-effect"), doing("INSERT INTO note VALUES (1)", also=kill)
)
"""
FORKED = """
import os, sys
from tests.participant.calls import NOTE, new_call
from troth.app.databases import open_database
database = open_database("bank", sys.argv[1])
assert database.run(new_call(), NOTE).word == "done"
for number in range(3):
    child = os.fork()
    if child == 0:
        try:
            if number:
                database.abandon()  # without it, the first use finds out
            assert database.run(new_call(uid=b"child-process-%02d" % number), NOTE).word == "done"
            if number == 2:
                sys.exit(0)  # an ordinary end, destructors and all
        except BaseException as error:
            if not isinstance(error, SystemExit):
                os._exit(1)
            raise
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert database.run(new_call(), NOTE).word == "done", "the parent's connection must have survived"
database.close()
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database with a table of notes is."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'bank.db'}"
    else:
        made = request.getfixturevalue("postgres_server").new_schema()
    database = open_database("bank", made)
    database.plain(lambda db: db.execute(TABLE))
    database.close()
    yield made


def run(program: str, target: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    argv = [sys.executable, "-W", "error", "-c", program, target]
    return subprocess.run(
        argv, cwd=ROOT, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


@pytest.mark.kill
def test_killed_between_effect_and_commit_nothing_is_left(target: str) -> None:
    """No effect, no row, no lock: an undo finds nothing to undo, another branch goes on."""
    assert run(KILLED, target).returncode == -signal.SIGKILL
    database = open_database("bank", target)
    assert notes(database) == 0
    assert database.run(new_call(uid=UID, op=Op.CHECK), NOTE).word is Word.ONGOING
    assert database.run(new_call(uid=UID, op=Op.COMPENSATE), NOTE).word is Word.DONE
    assert database.run(new_call(uid=UID), NOTE).word is Word.REFUSED
    assert database.run(new_call(), NOTE).word is Word.DONE
    assert notes(database) == 1
    database.close()


def test_a_forked_child_opens_connections_of_its_own(target: str) -> None:
    """It uses and closes none of its parent's, whether it is told of the fork or not."""
    done = run(FORKED, target)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    database = open_database("bank", target)
    assert notes(database) == 7
    database.close()
