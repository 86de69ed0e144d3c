"""Async libraries on a real PostgreSQL: loops that end, steps that are cancelled, conflicts, connections that died."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from msgspec import Raw
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from tests.participant.calls import TABLE, new_call
from troth.app.databases import open_database
from troth.core.words import Word
from troth.participant.database import Guarded
from troth.ports.errors import ConfigurationError, DefinitionError
from troth.testing.servers.postgres import PostgresServer

pytestmark = pytest.mark.services

TARGETS: dict[str, Callable[[str], Any]] = {
    "asyncpg": lambda url: f"postgresql+asyncpg://{url}",
    "sqlalchemy-asyncpg": lambda url: create_async_engine(f"postgresql+asyncpg://{url}"),
    "sqlalchemy-psycopg": lambda url: async_sessionmaker(create_async_engine(f"postgresql+psycopg://{url}")),
}


@pytest.fixture
def uri(postgres_server: PostgresServer) -> str:
    """A database of its own, with a table of notes."""
    uri = postgres_server.new_database()
    with psycopg.connect(uri) as connection:
        connection.execute(TABLE)
    return uri


@pytest.fixture(params=sorted(TARGETS))
def database(request: pytest.FixtureRequest, uri: str) -> Iterator[Guarded]:
    """The same database behind each library."""
    made = open_database("bank", TARGETS[request.param](uri.partition("://")[2]))
    yield made
    made.close()


async def say(db: Any, sql: str) -> Any:
    """Run a statement, whatever the library."""
    if hasattr(db, "fetch"):
        return [tuple(row) for row in await db.fetch(sql)]
    made = await db.execute(sa.text(sql))
    return [tuple(row) for row in made] if made.returns_rows else []


def doing(*statements: str) -> Callable[[Any, Raw | None], Awaitable[Raw]]:
    """An effect that runs the statements."""

    async def effect(db: Any, stored: Raw | None) -> Raw:
        for statement in statements:
            await say(db, statement)
        return Raw(b"1")

    return effect


NOTE = doing("INSERT INTO note VALUES (1)")


def notes(uri: str) -> int:
    """How many notes effects left."""
    with psycopg.connect(uri) as connection:
        row = connection.execute("SELECT count(*) FROM note").fetchone()
        return int(row[0]) if row else 0


def test_event_loops_may_come_one_after_the_other(database: Guarded, uri: str) -> None:
    """Each has connections of its own; those of a loop that has ended are closed by the next, or by close."""

    async def some() -> list[Word]:
        replies = await asyncio.gather(*(database.arun(new_call(), NOTE) for _ in range(4)))
        return [reply.word for reply in replies]

    for _ in range(3):
        assert asyncio.run(some()) == [Word.DONE] * 4
    database.close()
    assert notes(uri) == 12
    mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(uri, autocommit=True) as connection:
        while connection.execute(mine.encode()).fetchone() != (0,):
            pass  # the server sees a closed socket a little later


def test_a_step_cancelled_while_it_waits_for_a_lock_leaves_nothing(database: Guarded, uri: str) -> None:
    """The connection is not given to anybody else, and the lock it waited for goes to the next."""

    async def scene() -> None:
        holder = await psycopg.AsyncConnection.connect(uri)
        await holder.execute("LOCK TABLE note")
        call = new_call()
        task = asyncio.create_task(database.arun(call, NOTE))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'note'::regclass"
        while (await (await holder.execute(waits)).fetchone()) != (1,):
            pass  # the holder's own round trip lets the others run
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await holder.rollback()
        await holder.close()
        assert (await database.arun(call, NOTE)).word is Word.DONE
        await database.aclose()

    asyncio.run(scene())
    assert notes(uri) == 1


def test_a_real_deadlock_is_retried_inside(database: Guarded, uri: str) -> None:
    """Two steps that lock two rows in opposite order both end done; a lock waited for in vain is not done."""

    async def scene() -> None:
        meeting = asyncio.Barrier(2)

        async def crossing(first: int, second: int) -> tuple[Word, bytes]:
            runs: list[int] = []

            async def effect(db: Any, stored: Raw | None) -> Raw:
                await say(db, f"UPDATE row SET n = n + 1 WHERE k = {first}")
                if not runs:
                    await meeting.wait()
                runs.append(1)
                await say(db, f"UPDATE row SET n = n + 1 WHERE k = {second}")
                return Raw(b"%d" % len(runs))

            reply = await database.arun(new_call(), effect)
            return reply.word, bytes(reply.result)

        await database.aplain(lambda db: say(db, "CREATE TABLE row (k int PRIMARY KEY, n int)"))
        await database.aplain(lambda db: say(db, "INSERT INTO row VALUES (1, 0), (2, 0)"))
        await database.arun(new_call(), doing())  # the barrier's tables are there, and nobody waits for them below
        answers = await asyncio.gather(crossing(1, 2), crossing(2, 1))
        assert sorted(answers) == [(Word.DONE, b"1"), (Word.DONE, b"2")]
        async with await psycopg.AsyncConnection.connect(uri) as holder:
            await holder.execute("LOCK TABLE note")
            assert (await database.arun(new_call(timeout=0.05), NOTE)).word is Word.NOT_DONE
        await database.aclose()

    asyncio.run(scene())


def test_connections_that_died_while_idle_are_replaced(
    database: Guarded, uri: str, postgres_server: PostgresServer
) -> None:
    """However many there are: a server that was restarted costs nobody an attempt."""

    async def scene() -> None:
        meeting = asyncio.Barrier(4)

        async def met(db: Any, stored: Raw | None) -> Raw:
            await say(db, "SELECT 1")
            await meeting.wait()
            return Raw(b"1")

        await database.arun(new_call(), NOTE)  # the tables are there, and nobody waits for them below
        await asyncio.gather(*(database.arun(new_call(), met) for _ in range(4)))
        ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = "
        assert postgres_server.execute(f"{ended}'{uri.rsplit('/', 1)[1]}'") == [(True,)] * 4
        assert (await database.arun(new_call(), NOTE)).word is Word.DONE
        await database.aclose()

    asyncio.run(scene())


def test_a_swallowed_database_error_is_not_done(database: Guarded, uri: str) -> None:
    """PostgreSQL would answer the COMMIT of such a transaction with a rollback, in silence."""

    async def swallowing(db: Any, stored: Raw | None = None) -> Raw:
        await say(db, "INSERT INTO note VALUES (1)")
        try:
            await say(db, "SELECT 1 / 0")
        except Exception:
            pass
        return Raw(b"1")

    async def scene() -> None:
        assert (await database.arun(new_call(), swallowing)).word is Word.NOT_DONE
        with pytest.raises(Exception, match="transaction is aborted"):
            await database.aplain(swallowing)
        with pytest.raises(DefinitionError, match="ended inside"):
            await database.aplain(lambda db: say(db, "COMMIT"))
        await database.aclose()

    asyncio.run(scene())
    assert notes(uri) == 0


def test_a_transaction_block_of_a_step_on_asyncpg_is_a_savepoint(uri: str) -> None:
    """It can't commit the local transaction, and may fail alone."""
    database = open_database("bank", uri.replace("postgresql://", "postgresql+asyncpg://"))

    async def nested(db: Any, stored: Raw | None) -> Raw:
        async with db.transaction():
            await db.execute("INSERT INTO note VALUES (1)")
        with pytest.raises(KeyError):
            async with db.transaction():
                await db.execute("INSERT INTO note VALUES (2)")
                raise KeyError("x")
        return Raw(b"1")

    async def scene() -> None:
        assert (await database.arun(new_call(), nested)).word is Word.DONE
        await database.aclose()

    asyncio.run(scene())
    assert notes(uri) == 1


def test_a_server_that_is_not_there_is_not_done() -> None:
    """Refused at the door: nothing was sent."""
    from troth.testing.servers.process import free_port

    async def scene(make: Callable[[str], Any]) -> None:
        database = open_database("bank", make(f"postgres@127.0.0.1:{free_port()}/x"))
        reply = await database.arun(new_call(), NOTE)
        assert (reply.word, "CannotConnect" in reply.reason) == (Word.NOT_DONE, True)
        await database.aclose()

    for make in TARGETS.values():
        asyncio.run(scene(make))


def test_an_engine_without_transactions_is_refused(uri: str) -> None:
    """AUTOCOMMIT would keep an effect without its row; told at the first call, with the cure."""
    plain = uri.replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(plain, isolation_level="AUTOCOMMIT")
    reply = open_database("bank", engine).run(new_call(), lambda db, stored: Raw(b"1"))
    assert (reply.word, reply.retry, isinstance(reply.cause, ConfigurationError)) == (Word.NOT_DONE, False, True)
    engine.dispose()
    engine = create_async_engine(uri.replace("postgresql://", "postgresql+asyncpg://"), isolation_level="AUTOCOMMIT")

    async def scene() -> None:
        database = open_database("bank", engine)
        assert isinstance((await database.arun(new_call(), NOTE)).cause, ConfigurationError)
        await database.aclose()

    asyncio.run(scene())


def test_a_forked_child_opens_connections_of_its_own(database: Guarded, uri: str) -> None:
    """It neither uses nor closes its parent's, whether it is told of the fork or not."""

    async def once() -> Word:
        return (await database.arun(new_call(uid=os.urandom(16)), NOTE)).word

    async def scene() -> None:
        assert await once() is Word.DONE
        child = os.fork()
        if child == 0:
            code = 9
            try:
                asyncio._set_running_loop(None)
                code = 0 if asyncio.run(once()) is Word.DONE else 1
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert await once() is Word.DONE
        await database.aclose()

    asyncio.run(scene())
    assert notes(uri) == 3
