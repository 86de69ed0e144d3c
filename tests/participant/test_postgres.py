"""The barrier on a real PostgreSQL: locks, conflicts, lost connections, event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from msgspec import Raw
from psycopg.rows import dict_row

from tests.participant.calls import NOTE, TABLE, doing, new_call, notes
from troth.app.databases import open_database
from troth.core.words import Op, Word
from troth.participant.database import Guarded
from troth.ports.errors import DefinitionError
from troth.testing.servers.postgres import PostgresServer

pytestmark = pytest.mark.services


@pytest.fixture
def uri(postgres_server: PostgresServer) -> str:
    """An empty schema."""
    return postgres_server.new_schema()


@pytest.fixture
def database(uri: str) -> Iterator[Guarded]:
    """A database with a table of notes."""
    made = open_database("bank", uri, pool_size=4)
    made.plain(lambda db: db.execute(TABLE))
    yield made
    made.close()


def test_a_backend_that_dies_in_commit_is_unknown(database: Guarded) -> None:
    """And the next call, on a new connection, finds out that it did not happen."""
    database.plain(
        lambda db: db.execute(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END $$;"
            "CREATE TABLE fatal (n int);"
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON fatal DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION die()"
        )
    )
    call = new_call()
    reply = database.run(call, doing("INSERT INTO note VALUES (1)", "INSERT INTO fatal VALUES (1)"))
    assert (reply.word, "COMMIT" in reply.reason) == (Word.UNKNOWN, True)
    assert notes(database) == 0
    assert (database.run(call, NOTE).word, notes(database)) == (Word.DONE, 1)


def test_a_backend_that_dies_before_commit_is_not_done(database: Guarded) -> None:
    """Nothing that was not asked to commit can have committed."""
    call = new_call()
    reply = database.run(call, doing("INSERT INTO note VALUES (1)", "SELECT pg_terminate_backend(pg_backend_pid())"))
    assert (reply.word, notes(database)) == (Word.NOT_DONE, 0)
    assert database.run(call, NOTE).word is Word.DONE


def test_connections_that_died_while_idle_are_replaced(postgres_server: PostgresServer) -> None:
    """However many there are: a server that was restarted costs nobody an attempt."""
    uri = postgres_server.new_database()
    database = open_database("bank", uri, pool_size=9)
    database.plain(lambda db: db.execute(TABLE))
    barrier = threading.Barrier(9)
    with ThreadPoolExecutor(9) as threads:
        list(threads.map(lambda _: database.plain(lambda db: barrier.wait(10)), range(9)))
    name = uri.rsplit("/", 1)[1]
    ended = postgres_server.execute(
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    assert ended == [(True,)] * 9
    assert database.run(new_call(), NOTE).word is Word.DONE
    database.close()


def test_a_held_branch_is_waited_for_within_the_calls_time(database: Guarded, uri: str) -> None:
    """A duplicate, an undo and a seal wait for the local transaction that holds the branch; then they are unknown."""
    database.run(new_call(), NOTE)
    call = new_call(timeout=0.05)
    holder = psycopg.connect(uri)
    holder.execute(
        "INSERT INTO troth_barrier (uid, branch, op, outcome, payload_hash, begun, log)"
        " VALUES (%s, %s, 'action', 'done', '', 1, 'log')",
        (call.uid, call.branch),
    )
    for op in (Op.ACTION, Op.COMPENSATE, Op.SEAL):
        reply = database.run(call._replace(op=op), NOTE)
        assert (reply.word, "not ended yet" in reply.reason) == (Word.UNKNOWN, True)
    assert database.run(call._replace(op=Op.CHECK), NOTE).word is Word.ONGOING
    holder.rollback()
    holder.close()
    assert database.run(call._replace(op=Op.SEAL), NOTE).word is Word.SEALED


def test_a_lock_that_the_step_waits_for_in_vain_is_not_done(database: Guarded, uri: str) -> None:
    """Its own statements are bounded as the barrier's are."""
    with psycopg.connect(uri) as holder:
        holder.execute("LOCK TABLE note")
        assert database.run(new_call(timeout=0.05), NOTE).word is Word.NOT_DONE


def test_a_real_deadlock_is_retried_inside(database: Guarded) -> None:
    """Two steps that lock two rows in opposite order both end done, each with one effect."""
    made = database.run(new_call(), lambda db, stored: Raw(b"0"))
    assert made.word is Word.DONE  # so are the barrier's tables, now: making them would wait for whoever uses them
    database.plain(lambda db: db.execute("CREATE TABLE row (k int PRIMARY KEY, n int)"))
    database.plain(lambda db: db.execute("INSERT INTO row VALUES (1, 0), (2, 0)"))
    meeting = threading.Barrier(2)

    def crossing(first: int, second: int) -> Any:
        runs: list[int] = []

        def effect(db: Any, stored: Raw | None) -> Raw:
            db.execute("UPDATE row SET n = n + 1 WHERE k = %s", (first,))
            if not runs:
                meeting.wait(10)
            runs.append(1)
            db.execute("UPDATE row SET n = n + 1 WHERE k = %s", (second,))
            return Raw(b"%d" % len(runs))

        return database.run(new_call(), effect)

    with ThreadPoolExecutor(2) as threads:
        replies = list(threads.map(crossing, (1, 2), (2, 1)))
    assert [reply.word for reply in replies] == [Word.DONE] * 2
    assert sorted(bytes(reply.result) for reply in replies) == [b"1", b"2"]
    assert database.plain(lambda db: db.execute("SELECT n FROM row").fetchall()) == [(2,), (2,)]


def test_a_real_serialization_failure_is_retried_inside(uri: str) -> None:
    """Write skew under SERIALIZABLE: one of two is run again and sees the other's effect."""
    database = open_database("bank", uri, isolation="serializable")
    database.plain(lambda db: db.execute(TABLE))
    database.run(new_call(), doing())
    meeting = threading.Barrier(2)

    def counting(_: int) -> Any:
        runs: list[int] = []

        def effect(db: Any, stored: Raw | None) -> Raw:
            (count,) = db.execute("SELECT count(*) FROM note").fetchone()
            if not runs:
                meeting.wait(10)
            runs.append(1)
            db.execute("INSERT INTO note VALUES (%s)", (count,))
            return Raw(b"%d" % count)

        return database.run(new_call(), effect)

    with ThreadPoolExecutor(2) as threads:
        replies = list(threads.map(counting, range(2)))
    database.close()
    assert sorted((reply.word, bytes(reply.result)) for reply in replies) == [(Word.DONE, b"0"), (Word.DONE, b"1")]


def test_a_swallowed_database_error_is_not_done(database: Guarded) -> None:
    """PostgreSQL would answer the COMMIT of such a transaction with a rollback, in silence."""

    def swallowing(db: Any) -> None:
        try:
            db.execute("SELECT 1 / 0")
        except psycopg.errors.DivisionByZero:
            pass

    reply = database.run(new_call(), doing("INSERT INTO note VALUES (1)", also=swallowing))
    assert (reply.word, notes(database)) == (Word.NOT_DONE, 0)
    with pytest.raises(psycopg.errors.InFailedSqlTransaction, match="swallowed"):
        database.plain(swallowing)


def test_a_transaction_block_of_the_step_is_a_savepoint(database: Guarded) -> None:
    """It can't commit the local transaction."""

    def nested(db: Any) -> None:
        with db.transaction():
            db.execute("INSERT INTO note VALUES (2)")
        with db.transaction(force_rollback=True):
            db.execute("INSERT INTO note VALUES (3)")
        raise ValueError("after its end")

    assert database.run(new_call(), doing(also=nested)).word is Word.NOT_DONE
    assert notes(database) == 0


def test_what_a_step_sets_on_the_connection_ends_with_it(database: Guarded) -> None:
    """The next step gets tuples again, and the barrier reads its own rows."""
    call = new_call()
    assert database.run(call, doing(also=lambda db: setattr(db, "row_factory", dict_row))).word is Word.DONE
    assert bytes(database.run(call, NOTE).result) == b"1"
    assert database.plain(lambda db: db.execute("SELECT 5").fetchone()) == (5,)


def test_with_db_and_autocommit_are_refused(database: Guarded) -> None:
    """Each spelling that would end the transaction says what to do instead."""

    def entering(db: Any) -> None:
        with db:
            pass

    def setting(db: Any) -> None:
        db.autocommit = False

    for forbidden in (entering, setting):
        reply = database.run(new_call(), doing(also=forbidden))
        assert isinstance(reply.cause, DefinitionError)


def test_a_pool_that_is_used_up_is_not_done_within_the_calls_time(uri: str) -> None:
    """Nothing was sent; the reason says so."""
    database = open_database("bank", uri, pool_size=1)
    inner: list[Any] = []
    database.run(new_call(), doing(also=lambda db: inner.append(database.run(new_call(timeout=0.02), NOTE))))
    database.close()
    assert (inner[0].word, "no connection became free" in inner[0].reason) == (Word.NOT_DONE, True)


def test_a_server_that_is_not_there_is_not_done() -> None:
    """Refused at the door: nothing was sent."""
    from troth.testing.servers.process import free_port

    database = open_database("bank", f"postgresql://postgres@127.0.0.1:{free_port()}/x")
    reply = database.run(new_call(), NOTE)
    assert (reply.word, "CannotConnect" in reply.reason) == (Word.NOT_DONE, True)


def test_event_loops_may_come_one_after_the_other(database: Guarded) -> None:
    """Each has connections of its own; those of a loop that has ended are closed by the next, or by close."""

    async def note(db: Any, stored: Raw | None) -> Raw:
        await db.execute("INSERT INTO note VALUES (1)")
        return Raw(b"1")

    async def some() -> list[Word]:
        replies = await asyncio.gather(*(database.arun(new_call(), note) for _ in range(6)))
        return [reply.word for reply in replies]

    for _ in range(3):
        assert asyncio.run(some()) == [Word.DONE] * 6
    database.close()
    assert notes(database) == 18


def test_a_step_cancelled_while_it_waits_for_a_lock_leaves_nothing(database: Guarded, uri: str) -> None:
    """The connection is not given to anybody else, and the lock it waited for goes to the next."""

    async def scene() -> None:
        holder = await psycopg.AsyncConnection.connect(uri)
        await holder.execute("LOCK TABLE note")
        inside = asyncio.Event()

        async def waiting(db: Any, stored: Raw | None) -> Raw:
            inside.set()
            await db.execute("INSERT INTO note VALUES (1)")
            return Raw(b"1")

        call = new_call()
        task = asyncio.create_task(database.arun(call, waiting))
        await inside.wait()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'note'::regclass"
        while (await (await holder.execute(waits)).fetchone()) != (1,):
            pass  # the holder's own round trip lets the others run
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await holder.rollback()
        await holder.close()
        assert (await database.arun(call, waiting)).word is Word.DONE
        await database.aclose()

    asyncio.run(scene())
    assert notes(database) == 1
