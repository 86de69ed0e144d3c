"""Writing a message into the local transaction of the change that it tells of."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.idempotency.shop import Shop, aexecute, execute
from troth import ConfigurationError, LimitExceeded, PayloadError, Refused, WrongColour, outbox
from troth.adapters.databases.mysql import settings_of
from troth.participant.outbox import Waiting


class Gone(Exception):
    """Leaves a local transaction."""


@dataclass
class Order:
    """A payload."""

    number: str
    total: Decimal


def waiting(shop: Shop) -> list[Waiting]:
    """What a transaction of its own sees."""
    found: list[Waiting] = shop.plain(outbox.waiting, outbox.awaiting)
    return found


def insert(shop: Shop, name: str) -> tuple[str, tuple[Any, ...]]:
    """A change."""
    return f"INSERT INTO orders (id, state, n) VALUES ({shop.mark}, {shop.mark}, 0)", (name, "created")


def test_a_message_is_there_if_and_only_if_its_transaction_committed(shop: Shop) -> None:
    """With its change, by every library; what is rolled back leaves no message, also where the table was made meanwhile."""
    sql, params = insert(shop, "one")

    def work(db: Any, fail: bool) -> str:
        execute(db, sql, *params)
        sent = outbox.send(db, "order.created", {"id": "one", "sum": 3}, key="one", business_id="o-1")
        outbox.send(db, "order.counted", [1, "zwei", None])
        if fail:
            raise Gone
        return sent

    async def awork(db: Any, fail: bool) -> str:
        await aexecute(db, sql, *params)
        sent = await outbox.asend(db, "order.created", {"id": "one", "sum": 3}, key="one", business_id="o-1")
        await outbox.asend(db, "order.counted", [1, "zwei", None])
        if fail:
            raise Gone
        return sent

    with pytest.raises(Gone):
        shop.plain(lambda db: work(db, True), lambda db: awork(db, True))
    assert (waiting(shop), shop.order("one")) == ([], None)
    sent = shop.plain(lambda db: work(db, False), lambda db: awork(db, False))
    first, second = waiting(shop)
    assert first == Waiting("order.created", {"id": "one", "sum": 3}, "one", "o-1", sent)
    assert (second.topic, second.content, len(second.message_id)) == ("order.counted", [1, "zwei", None], 32)


def test_a_savepoint_that_is_rolled_back_takes_its_message_along(shop: Shop) -> None:
    """No ghost of it, and none of the others is lost."""

    def work(db: Any) -> None:
        outbox.send(db, "kept", 1, key="k")
        execute(db, "SAVEPOINT part")
        outbox.send(db, "ghost", 2, key="k")
        execute(db, "ROLLBACK TO SAVEPOINT part")
        outbox.send(db, "kept", 3, key="k")

    async def awork(db: Any) -> None:
        await outbox.asend(db, "kept", 1, key="k")
        await aexecute(db, "SAVEPOINT part")
        await outbox.asend(db, "ghost", 2, key="k")
        await aexecute(db, "ROLLBACK TO SAVEPOINT part")
        await outbox.asend(db, "kept", 3, key="k")

    shop.plain(work, awork)
    assert [(each.topic, each.content) for each in waiting(shop)] == [("kept", 1), ("kept", 3)]


def test_a_refused_step_sends_nothing(shop: Shop) -> None:
    """Its effect is undone by a savepoint while its barrier row is kept; the message is a part of the effect."""
    if shop.colour == "async":

        async def atell(db: Any, n: int) -> None:
            await outbox.asend(db, "told", n)
            if n > 1:
                raise Refused("too many")

        step: Any = shop.troth.step(on=shop.database, name="tell", compensate=None)(atell)

        async def function(n: int) -> None:
            await step(n)

    else:

        def tell(db: Any, n: int) -> None:
            outbox.send(db, "told", n)
            if n > 1:
                raise Refused("too many")

        step = shop.troth.step(on=shop.database, name="tell", compensate=None)(tell)

        def function(n: int) -> None:  # type: ignore[misc]
            step(n)

    saga = shop.troth.saga(name="telling")(function)

    def outcomes() -> list[str]:
        with shop.troth:
            return [shop.troth.run(saga, n).state for n in (1, 2)]

    async def aoutcomes() -> list[str]:
        async with shop.troth:
            return [(await shop.troth.aio.run(saga, n)).state for n in (1, 2)]

    assert (shop.runner.run(aoutcomes()) if shop.runner else outcomes()) == ["confirmed", "cancelled"]
    assert [each.content for each in waiting(shop)] == [1]


def test_payloads_are_what_their_classes_say(tmp_path: Path) -> None:
    """A dataclass, a struct or a model is encoded by its annotations; delays and headers are checked."""
    db = sqlite3.connect(tmp_path / "own.db")
    outbox.send(db, "order", Order("o-1", Decimal("1.10")), headers={"traceparent": "00-1"}, delay=timedelta(hours=1))
    assert outbox.waiting(db)[0].content == {"number": "o-1", "total": "1.10"}
    assert db.execute("SELECT status, headers FROM troth_outbox").fetchone() == ("delayed", '{"traceparent":"00-1"}')
    for topic, payload, more, told in (
        ("order", {"sum": Decimal(1)}, {}, "payload.sum"),
        ("two words", 1, {}, "names no topic"),
        ("troth:start", 1, {}, "within=db"),
        ("order", 1, {"key": 7}, "key"),
        ("order", 1, {"delay": -1}, "no delay"),
        ("order", 1, {"headers": {"troth-id": "x"}}, "header of yours"),
    ):
        with pytest.raises(PayloadError, match=told):
            outbox.send(db, topic, payload, **more)
    with pytest.raises(LimitExceeded, match="KEY_LENGTH"):
        outbox.send(db, "order", 1, key="k" * 256)
    db.close()


def test_outside_of_a_transaction_it_is_refused(tmp_path: Path, postgres_uri: str) -> None:
    """The message would go whatever became of the change."""
    own = sqlite3.connect(tmp_path / "own.db", isolation_level=None)
    with pytest.raises(ConfigurationError, match="outside of a local transaction"):
        outbox.send(own, "order", 1)
    with pytest.raises(WrongColour, match=r"outbox\.send"):
        own.execute("BEGIN")
        asyncio.run(outbox.asend(own, "order", 1))
    own.close()
    with psycopg.connect(postgres_uri, autocommit=True) as db:
        with pytest.raises(ConfigurationError, match="outside of a local transaction"):
            outbox.send(db, "order", 1)
        with db.transaction():
            outbox.send(db, "order", 1)
        assert len(outbox.waiting(db)) == 1


def test_missing_tables_that_would_commit_what_is_open_are_named(mariadb_server: Any) -> None:
    """On MariaDB and MySQL no table is made inside of a transaction."""
    url = mariadb_server.new_database()
    shop = Shop(url, "sync", "%s", table=False)
    with pytest.raises(ConfigurationError, match=r"troth\.outbox\.create"):
        shop.plain(lambda db: outbox.send(db, "order", 1), outbox.awaiting)
    assert waiting(shop) == []
    with pymysql.connect(**settings_of(url)) as db:
        outbox.create(db)
    shop.plain(lambda db: outbox.send(db, "order", 1), outbox.awaiting)
    assert len(waiting(shop)) == 1
    shop.close()


def test_a_prepared_transaction_sends_too(postgres_server: Any) -> None:
    """PostgreSQL prepares none that has a NOTIFY in it; with wake=False there is none."""
    with psycopg.connect(postgres_server.new_schema()) as db:
        outbox.create(db)
        db.commit()
        outbox.send(db, "order", 1, key="k", wake=False)
        db.execute("PREPARE TRANSACTION 'outbox-test'")
        db.commit()
        assert outbox.waiting(db) == []
        db.commit()
        db.autocommit = True
        db.execute("COMMIT PREPARED 'outbox-test'")
        assert [each.key for each in outbox.waiting(db)] == ["k"]
