"""The fence: who has lost the lock can't write."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec import Raw

from tests.idempotency.shop import Shop
from tests.participant.calls import new_call
from troth import ConfigurationError, LimitExceeded, PayloadError, StaleToken, WrongColour, fence


def show(shop: Shop, key: str, token: int) -> None:
    """Show a token in a local transaction of its own, and commit."""
    shop.plain(lambda db: fence(db, key, token), lambda db: fence.aio(db, key, token))


def seen(shop: Shop, key: str) -> int:
    """The highest token kept for the key."""
    return int(shop.do(f"SELECT token FROM troth_fence WHERE name = {shop.mark}", key)[0][0])


def test_a_later_token_shuts_the_earlier_ones_out(shop: Shop) -> None:
    """The same one again is fine: a holder writes more than once. Keys are apart."""
    for token in (5, 5, 9, 9):
        show(shop, "acc-1", token)
    with pytest.raises(StaleToken, match="token 5 is older than 9") as told:
        show(shop, "acc-1", 5)
    assert (told.value.key, told.value.token, told.value.seen) == ("acc-1", 5, 9)
    show(shop, "acc-2", 1)
    assert (seen(shop, "acc-1"), seen(shop, "acc-2")) == (9, 1)


def test_the_table_is_made_where_it_is_missing(shop: Shop) -> None:
    """Also after it was made in a transaction that was rolled back."""
    class Gone(Exception):
        pass

    def twice(db: Any) -> None:
        fence(db, "acc-1", 3)
        fence(db, "acc-1", 4)
        raise Gone

    async def atwice(db: Any) -> None:
        await fence.aio(db, "acc-1", 3)
        await fence.aio(db, "acc-1", 4)
        raise Gone

    with pytest.raises(Gone):
        shop.plain(twice, atwice)
    show(shop, "acc-1", 2)
    assert seen(shop, "acc-1") == 2


def test_it_is_there_wherever_the_barrier_is(shop: Shop) -> None:
    """The barrier's tables and this one are made together."""

    async def effect(db: Any, stored: Any) -> Raw:
        return Raw(b"1")

    if shop.colour == "async":
        shop.run(lambda: shop.database.arun(new_call(), effect))
    else:
        shop.database.run(new_call(), lambda db, stored: Raw(b"1"))
    assert shop.do("SELECT * FROM troth_fence") == []


def test_a_holder_that_writes_keeps_a_later_one_waiting(postgres_server: Any) -> None:
    """Until its local transaction has ended; so no write of an earlier holder comes after one of a later."""
    shop = Shop(postgres_server.new_schema(), "sync", "%s")
    show(shop, "acc", 1)
    inside, leave = threading.Event(), threading.Event()
    order: list[int] = []

    def first(db: Any) -> None:
        fence(db, "acc", 1)
        inside.set()
        leave.wait(30)
        order.append(1)

    def second(db: Any) -> None:
        leave.set()
        fence(db, "acc", 2)
        order.append(2)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(shop.database.plain, first)
        inside.wait(30)
        other = pool.submit(shop.database.plain, second)
        one.result()
        other.result()
    assert order == [1, 2]
    with pytest.raises(StaleToken):
        show(shop, "acc", 1)
    shop.close()


def test_outside_of_a_transaction_it_is_refused(tmp_path: Path, postgres_uri: str) -> None:
    """It would protect nothing. A connection of one's own with a transaction open is fine."""
    own = sqlite3.connect(tmp_path / "own.db", isolation_level=None)
    with pytest.raises(ConfigurationError, match="outside of a local transaction"):
        fence(own, "acc", 1)
    own.execute("BEGIN")
    fence(own, "acc", 1)
    own.close()
    outside = pytest.raises(ConfigurationError, match="outside of a local transaction")
    with psycopg.connect(postgres_uri, autocommit=True) as single, outside:
        fence(single, "acc", 1)
    with psycopg.connect(postgres_uri, row_factory=psycopg.rows.dict_row) as own_rows:
        fence(own_rows, "own-acc", 2)
        with pytest.raises(StaleToken):
            fence(own_rows, "own-acc", 1)


def test_a_table_that_would_commit_what_is_open_is_named(mariadb_server: Any) -> None:
    """On MariaDB and MySQL the fence makes none: the error has the statement. The barrier makes it with its own."""
    shop = Shop(mariadb_server.new_database(), "sync", "%s", table=False)
    with pytest.raises(ConfigurationError, match="Create it once: CREATE TABLE IF NOT EXISTS troth_fence"):
        show(shop, "acc", 1)
    shop.database.run(new_call(), lambda db, stored: Raw(b"1"))
    show(shop, "acc", 1)
    shop.close()


def test_wrong_keys_tokens_and_connections_are_named(tmp_path: Path) -> None:
    """Before anything is asked."""
    db = sqlite3.connect(tmp_path / "own.db")
    with pytest.raises(PayloadError, match="names no lock"):
        fence(db, "kontó", 1)
    with pytest.raises(PayloadError, match=r"Pass held\.token"):
        fence(db, "acc", 0)
    with pytest.raises(LimitExceeded, match="KEY_LENGTH"):
        fence(db, "k" * 256, 1)
    with pytest.raises(ConfigurationError, match="no connection of a library"):
        fence("sqlite:///own.db", "acc", 1)
    with pytest.raises(WrongColour, match="fence"):
        asyncio.run(fence.aio(db, "acc", 1))
    db.close()
