"""Any sequence of calls: the SQL protocol agrees with the pure table, and the table keeps its promises."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from tests.budget import EXAMPLES
from tests.participant.simulated import Ending, Simulated
from troth.app.databases import open_database
from troth.core.reply import Reply
from troth.core.words import Op, Word
from troth.participant.barrier import purge
from troth.participant.database import Guarded
from troth.ports.caller import Call
from troth.ports.errors import Ongoing, Refused
from troth.testing.servers.postgres import PostgresServer


class Step(NamedTuple):
    """One call of a sequence, or a purge."""

    op: Op | None
    branch: int
    payload: int
    log: int
    begun: int
    ending: Ending


ENDINGS = st.sampled_from(
    [
        Ending(Word.DONE, b"7"), Ending(Word.DONE), Ending(Word.REFUSED, reason="sold out"), Ending(Word.ONGOING),
        Ending(Word.NOT_DONE, reason="KeyError: 'x'"),
    ]
)  # fmt: skip
SAGA = (Op.ACTION, Op.COMPENSATE, Op.SEAL, Op.CHECK)
TCC = (Op.TRY, Op.CONFIRM, Op.CANCEL)
OPS = st.one_of(st.sampled_from(SAGA), st.sampled_from(TCC), st.none())
STEPS = st.lists(
    st.builds(
        Step, op=OPS, branch=st.integers(0, 1), payload=st.sampled_from([0, 0, 0, 1]), log=st.integers(0, 1),
        begun=st.integers(1, 3), ending=ENDINGS,
    ),
    max_size=14,
)  # fmt: skip
UIDS = itertools.count(1)


def call_of(uid: bytes, step: Step) -> Call:
    """The step as a call; a branch has one log and one begin, as its transaction has."""
    op = step.op or Op.CHECK
    args = Raw(b'{"n":%d}' % step.payload)
    log = f"{uid.hex()}-{step.branch % 2}"
    return Call(uid, "g", f"b#{step.branch}", op, "b", 1, args, None, 1 + step.branch, 0, log, 5.0)


def exception_of(ending: Ending) -> Exception | None:
    """What a function raises to end like that."""
    match ending.word:
        case Word.REFUSED:
            return Refused(ending.reason)
        case Word.ONGOING:
            return Ongoing()
        case Word.NOT_DONE:
            return KeyError("x")
        case _:
            return None


def agree(steps: list[Step], ask: Callable[[Call, str, Ending], Reply], sweep: Callable[[str, int], Any]) -> Simulated:
    """Run the steps against the database and the model; every reply must be the same."""
    uid = next(UIDS).to_bytes(16, "big")
    model = Simulated()
    for number, step in enumerate(steps):
        call = call_of(uid, step)
        if step.op is None:
            model.purge(call.log, step.begun)
            sweep(call.log, step.begun)
            continue
        note = f"{number}:{call.op}"
        expected, got = model.ask(call, note, step.ending), ask(call, note, step.ending)
        assert (got.word, bytes(got.result), got.reason) == (
            expected.word, bytes(expected.result), expected.reason,
        ), f"step {number} of {steps}"  # fmt: skip
    return model


class Subject:
    """A real database with a table of notes."""

    def __init__(self, database: Guarded, mark: str) -> None:
        self.database = database
        self.insert = f"INSERT INTO note VALUES ({mark}, {mark}, {mark})"
        self.select = f"SELECT branch, note FROM note WHERE uid = {mark}"
        database.plain(lambda db: db.execute("CREATE TABLE note (uid TEXT, branch TEXT, note TEXT)"))

    def ask(self, call: Call, note: str, ending: Ending) -> Reply:
        """The call, with an effect that leaves the note and ends like that."""

        def effect(db: Any, stored: Raw | None) -> Raw:
            db.execute(self.insert, (call.uid.hex(), call.branch, note))
            error = exception_of(ending)
            if error is not None:
                raise error
            return Raw(ending.result)

        return self.database.run(call, effect)

    def sweep(self, log: str, mark: int) -> None:
        """Purge at once, which calls do only now and then."""
        driver = self.database.driver
        driver.drive(purge(driver, log, mark, limit=100, patience=5.0))

    def notes(self, uid: bytes) -> Counter[tuple[str, str]]:
        """What effects left."""
        rows = self.database.plain(lambda db: db.execute(self.select, (uid.hex(),)).fetchall())
        return Counter((branch, note) for branch, note in rows)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A SQLite file."""
    path: Path = tmp_path_factory.mktemp("model") / "m.db"
    database = open_database("m", f"sqlite:///{path}")
    yield Subject(database, "?")
    database.close()


@pytest.fixture(scope="module")
def postgres(postgres_server: PostgresServer) -> Iterator[Subject]:
    """A PostgreSQL database."""
    database = open_database("m", postgres_server.new_schema())
    yield Subject(database, "%s")
    database.close()


def same_everywhere(subject: Subject, steps: list[Step]) -> None:
    """Replies and effects agree."""
    model = agree(steps, subject.ask, subject.sweep)
    last = (next(UIDS) - 1).to_bytes(16, "big")
    assert subject.notes(last) == Counter(model.notes)


@given(steps=STEPS)
@settings(max_examples=3 * EXAMPLES)
def test_sqlite_agrees_with_the_table(sqlite: Subject, steps: list[Step]) -> None:
    """Every reply and every effect of any sequence of calls is what the table says."""
    same_everywhere(sqlite, steps)


@pytest.mark.services
@given(steps=STEPS)
def test_postgres_agrees_with_the_table(postgres: Subject, steps: list[Step]) -> None:
    """The same on a real PostgreSQL."""
    same_everywhere(postgres, steps)


@pytest.mark.services
@given(steps=STEPS)
@settings(max_examples=max(EXAMPLES // 4, 10))
def test_postgres_agrees_in_the_other_colour(postgres: Subject, steps: list[Step]) -> None:
    """The same script, driven by await."""
    with asyncio.Runner() as runner:

        def ask(call: Call, note: str, ending: Ending) -> Reply:
            async def effect(db: Any, stored: Raw | None) -> Raw:
                await db.execute(postgres.insert, (call.uid.hex(), call.branch, note))
                error = exception_of(ending)
                if error is not None:
                    raise error
                return Raw(ending.result)

            answer: Awaitable[Reply] = postgres.database.arun(call, effect)
            return runner.run(answer)  # type: ignore[arg-type]

        agree(steps, ask, postgres.sweep)
        runner.run(postgres.database.aclose())


ONE_BRANCH = st.builds(Step, OPS, st.just(0), st.just(0), st.just(0), st.integers(1, 3), ENDINGS)


@given(steps=st.lists(ONE_BRANCH, max_size=20))
@settings(max_examples=5 * EXAMPLES)
def test_the_table_keeps_its_promises(steps: list[Step]) -> None:
    """At most one effect per do that ended done; none after its undo; no undo or confirm without a do."""
    model = Simulated()
    for number, step in enumerate(steps):
        call = call_of(b"u" * 16, step)
        if step.op is None:
            model.purge(call.log, step.begun)
            continue
        before = len(model.notes)
        model.ask(call, f"{number}:{call.op}", step.ending)
        if len(model.notes) == before:
            continue
        history = [note.split(":")[1] for _, note in model.notes]
        ran = history[-1]
        if ran in (Op.COMPENSATE, Op.CANCEL, Op.CONFIRM):
            origin = Op.ACTION if ran == Op.COMPENSATE else Op.TRY
            assert origin in history, f"{ran} without {origin}: {steps}"
        else:
            ends = (Op.COMPENSATE,) if ran == Op.ACTION else (Op.CANCEL, Op.CONFIRM)
            assert not set(ends) & set(history), f"{ran} after its end: {steps}"
        assert not {Op.CANCEL, Op.CONFIRM} <= set(history), f"confirmed and cancelled: {steps}"
