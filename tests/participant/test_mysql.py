"""The barrier on a real MariaDB: collations, implicit commits, locks, conflicts, lost connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql
import pytest
from msgspec import Raw

from tests.participant.calls import new_call
from troth.adapters.databases import pymysql as adapter
from troth.app.databases import open_database
from troth.core.words import Op, Word
from troth.participant.database import Guarded
from troth.ports.errors import ConfigurationError, DefinitionError
from troth.testing.servers.mariadb import MariadbServer

pytestmark = pytest.mark.services

NOTE = "INSERT INTO note VALUES (1)"


def name_of(url: str) -> str:
    """The database's name."""
    return url.rpartition("/")[2]


@pytest.fixture
def url(mariadb_server: MariadbServer) -> str:
    """A database with a table of notes."""
    url = mariadb_server.new_database()
    mariadb_server.execute("CREATE TABLE note (n INTEGER)", name_of(url))
    return url


@pytest.fixture
def database(url: str) -> Iterator[Guarded]:
    """A database for steps."""
    made = open_database("bank", url, pool_size=4)
    yield made
    made.close()


def doing(*statements: str, also: Callable[[Any], Any] | None = None) -> Callable[[Any, Raw | None], Raw]:
    """An effect that runs the statements, then calls *also*."""

    def effect(db: Any, stored: Raw | None) -> Raw:
        with db.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        if also is not None:
            also(db)
        return Raw(b"1")

    return effect


async def anote(db: Any, stored: Raw | None) -> Raw:
    """An async effect that leaves a note."""
    async with db.cursor() as cursor:
        await cursor.execute(NOTE)
    return Raw(b"1")


def test_a_table_that_somebody_else_made_is_looked_at_first(mariadb_server: MariadbServer) -> None:
    """One that takes Order-1 for order-1, or has no transactions, is refused by name before anything runs."""
    for made, words in (
        ("branch VARCHAR(256)) ENGINE=InnoDB", "branch compares as utf8mb4_general_ci"),
        ("branch VARBINARY(256)) ENGINE=MyISAM", "engine of troth_barrier is MyISAM"),
    ):
        url = mariadb_server.new_database()
        mariadb_server.execute(f"CREATE TABLE troth_barrier (uid VARBINARY(64), {made}", name_of(url))
        database = open_database("bank", url)
        reply = database.run(new_call(), doing(NOTE))
        assert (reply.word, reply.retry, words in reply.reason) == (Word.NOT_DONE, False, True), reply
        assert isinstance(reply.cause, ConfigurationError)
        database.close()


def test_a_statement_that_commits_by_itself_is_unknown_and_alerts(database: Guarded) -> None:
    """CREATE TABLE inside a step: what was done before it is kept, so nobody may say that nothing was."""
    reply = database.run(new_call(), doing(NOTE, "CREATE TABLE other (n INTEGER)"))
    assert (reply.word, reply.retry, reply.reason.startswith("alert:")) == (Word.UNKNOWN, False, True)
    with pytest.raises(DefinitionError, match="CREATE, ALTER or DROP"):
        database.plain(lambda db: doing("DROP TABLE other")(db, None))
    assert database.run(new_call(), doing(NOTE)).word is Word.DONE


def test_an_update_counts_the_rows_that_it_found(database: Guarded) -> None:
    """As on every other database: setting what is set already is no miss."""
    counts = list[int]()

    def twice(db: Any) -> None:
        with db.cursor() as cursor:
            counts.extend(cursor.execute("UPDATE note SET n = 1") for _ in range(2))

    assert database.run(new_call(), doing(NOTE, also=twice)).word is Word.DONE
    assert counts == [1, 1]


def test_a_held_branch_is_waited_for_within_the_calls_time(
    database: Guarded, mariadb_server: MariadbServer, url: str
) -> None:
    """A duplicate, an undo and a seal wait, whole seconds; then they are unknown."""
    database.run(new_call(), doing(NOTE))
    call = new_call(timeout=0.05)
    holder = pymysql.connect(host="127.0.0.1", port=mariadb_server.port, user="root", database=name_of(url))
    with holder.cursor() as cursor:
        row = "INSERT INTO troth_barrier (uid, branch, op, outcome, payload_hash, begun, log) VALUES"
        cursor.execute(f"{row} (%s, %s, 'action', 'done', '', 1, 'log')", (call.uid, call.branch))
    for op in (Op.ACTION, Op.COMPENSATE):
        reply = database.run(call._replace(op=op), doing(NOTE))
        assert (reply.word, "not ended yet" in reply.reason) == (Word.UNKNOWN, True)
    assert database.run(call._replace(op=Op.CHECK), doing(NOTE)).word is Word.ONGOING
    holder.rollback()
    holder.close()
    assert database.run(call._replace(op=Op.SEAL), doing(NOTE)).word is Word.SEALED


def test_a_real_deadlock_is_retried_inside(database: Guarded) -> None:
    """Two steps that lock two rows in opposite order both end done, each with one effect."""
    rows = "CREATE TABLE counter (k INTEGER PRIMARY KEY, n INTEGER) ENGINE=InnoDB SELECT 1 AS k, 0 AS n UNION SELECT 2, 0"
    with pytest.raises(DefinitionError):
        database.plain(lambda db: doing(rows)(db, None))
    meeting = threading.Barrier(2)

    def crossing(first: int, second: int) -> Any:
        runs: list[int] = []

        def effect(db: Any, stored: Raw | None) -> Raw:
            with db.cursor() as cursor:
                cursor.execute("UPDATE counter SET n = n + 1 WHERE k = %s", (first,))
                if not runs:
                    meeting.wait(10)
                runs.append(1)
                cursor.execute("UPDATE counter SET n = n + 1 WHERE k = %s", (second,))
            return Raw(b"%d" % len(runs))

        return database.run(new_call(), effect)

    with ThreadPoolExecutor(2) as threads:
        replies = list(threads.map(crossing, (1, 2), (2, 1)))
    assert sorted((reply.word, bytes(reply.result)) for reply in replies) == [(Word.DONE, b"1"), (Word.DONE, b"2")]


def test_a_connection_that_dies_at_commit_is_unknown(
    database: Guarded, mariadb_server: MariadbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next call, on a new connection, finds out that it did not happen."""
    commit, victims = adapter.SyncSession.commit, list[int]()

    def killed(session: adapter.SyncSession) -> None:
        if victims:
            mariadb_server.execute(f"KILL CONNECTION {victims.pop()}")
        commit(session)

    monkeypatch.setattr(adapter.SyncSession, "commit", killed)
    call = new_call()
    database.run(new_call(), doing(NOTE))
    reply = database.run(call, doing(NOTE, also=lambda db: victims.append(db.thread_id())))
    assert (reply.word, "COMMIT" in reply.reason) == (Word.UNKNOWN, True)
    assert (database.run(call, doing(NOTE)).word, notes(database)) == (Word.DONE, 2)


def notes(database: Guarded) -> int:
    """How many notes effects left."""

    def count(db: Any) -> int:
        with db.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM note")
            return int(cursor.fetchone()[0])

    return database.plain(count)


def test_a_server_that_was_killed_and_restarted_costs_nobody_an_attempt(mariadb_server: MariadbServer, url: str) -> None:
    """Idle connections that died with it are replaced, in both colours; a server that isn't there is not done."""

    async def scene() -> None:
        database = open_database("bank", url, pool_size=3)
        for _ in range(2):
            replies = await asyncio.gather(*(database.arun(new_call(), anote) for _ in range(3)))
            assert [reply.word for reply in replies] == [Word.DONE] * 3
            assert database.run(new_call(), doing(NOTE)).word is Word.DONE
            mariadb_server.crash()
            away = database.run(new_call(), doing(NOTE)), await database.arun(new_call(), anote)
            mariadb_server.start()
            assert [(reply.word, "CannotConnect" in reply.reason) for reply in away] == [(Word.NOT_DONE, True)] * 2
        assert notes(database) == 8
        await database.aclose()

    asyncio.run(scene())


def test_event_loops_may_come_one_after_the_other(database: Guarded) -> None:
    """Each has connections of its own; those of a loop that has ended are closed by the next, or by close."""

    async def some() -> list[Word]:
        replies = await asyncio.gather(*(database.arun(new_call(), anote) for _ in range(4)))
        return [reply.word for reply in replies]

    for _ in range(3):
        assert asyncio.run(some()) == [Word.DONE] * 4
    database.close()
    assert notes(database) == 12


def test_a_step_cancelled_while_it_waits_for_a_lock_leaves_nothing(
    database: Guarded, mariadb_server: MariadbServer, url: str
) -> None:
    """The connection is not given to anybody else, and the lock it waited for goes to the next."""
    waits = "SELECT count(*) FROM information_schema.processlist WHERE info = 'INSERT INTO one VALUES (1)'"
    mariadb_server.execute("CREATE TABLE one (n INTEGER PRIMARY KEY)", name_of(url))

    async def scene() -> None:
        holder = pymysql.connect(host="127.0.0.1", port=mariadb_server.port, user="root", database=name_of(url))
        doing("INSERT INTO one VALUES (1)")(holder, None)

        async def waiting(db: Any, stored: Raw | None) -> Raw:
            async with db.cursor() as cursor:
                await cursor.execute("INSERT INTO one VALUES (1)")
            return Raw(b"1")

        call = new_call()
        task = asyncio.create_task(database.arun(call, waiting))
        with holder.cursor() as cursor:
            while cursor.execute(waits) and cursor.fetchone() != (1,):
                await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        holder.rollback()
        holder.close()
        assert (await database.arun(call, waiting)).word is Word.DONE
        await database.aclose()

    asyncio.run(scene())


def test_targets_and_options_that_can_not_work_are_refused_at_once() -> None:
    """Each says what would."""
    for target, options, words in (
        ("mysql://host", {}, "names no host and database"),
        ("mysql://host:x/db", {}, "no URL"),
        ("mariadb://host/db?ssl=1", {}, "options are arguments"),
        ("mysql+pymysql://host/db", {"isolation": "chaos"}, "is none of"),
        ("mysql://host/db", {"pool_size": 0}, "too few"),
        ("mysql://host/db", {"color": 1}, "color"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            open_database("bank", target, **options)
