"""Django's databases: tables by migration or at first use, connections that are not leaked, blocks that are others'."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django", reason="Django isn't installed")
from django.core.checks import run_checks
from django.db import connections, transaction
from django.test import override_settings

from tests.exams.django_aliases import alias_for, postgres_alias, set_up
from troth import ConfigurationError, DefinitionError, Troth
from troth.integrations.django import DjangoTroth, checks, operations
from troth.integrations.django.configuration import read
from troth.testing.servers.postgres import PostgresServer

set_up()

SQLITE_SHAPE = "SELECT name, sql FROM sqlite_master WHERE name LIKE 'troth%' ORDER BY name"
POSTGRES_SHAPE = """SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema = current_schema() AND table_name LIKE 'troth%'
    UNION ALL SELECT tablename, replace(indexdef, schemaname, ''), '', '', '', '' FROM pg_indexes
    WHERE schemaname = current_schema() AND tablename LIKE 'troth%' ORDER BY 1, 2"""


def made(**settings: Any) -> DjangoTroth:
    """The object that these settings make, with its log in memory."""
    with override_settings(TROTH={"store": "memory://", **settings}):
        return DjangoTroth(read())


@pytest.fixture
def alias(tmp_path: Path) -> Any:
    """A SQLite file of its own."""
    name = alias_for(NAME=str(tmp_path / "own.db"))
    yield name
    connections[name].close()


def shape(alias: str) -> list[Any]:
    """What the barrier's tables look like."""
    with connections[alias].cursor() as cursor:
        cursor.execute(SQLITE_SHAPE if connections[alias].vendor == "sqlite" else POSTGRES_SHAPE)
        return list(cursor.fetchall())


def migrate(alias: str, backwards: bool = False) -> None:
    """What `migrate` does."""
    operation = operations.CreateBarrier()
    with connections[alias].schema_editor(atomic=True) as editor:
        run = operation.database_backwards if backwards else operation.database_forwards
        run("troth", editor, None, None)


def buying(troth: DjangoTroth, alias: str, log: list[Any]) -> Callable[[], Any]:
    """A saga of one step that notes the connection it was given."""

    @troth.step(on=alias, name="note", role="pivot")
    def note(db: Any) -> int:
        log.append((db.alias, db.in_atomic_block, threading.current_thread()))
        return 1

    def buy() -> int:
        return note()

    return troth.saga(name="buy")(buy)


def check_agreement(first: str, second: str) -> None:
    """One alias is migrated, the other's tables are made at first use."""
    migrate(first)
    migrate(first)
    with made() as troth:
        buying(troth, second, [])()
    assert shape(first) == shape(second) != []
    migrate(first, backwards=True)
    assert shape(first) == []


def test_the_migration_makes_what_the_first_use_makes_on_sqlite(alias: str, tmp_path: Path) -> None:
    """To the letter; twice is once; and it can be undone."""
    check_agreement(alias_for(NAME=str(tmp_path / "migrated.db")), alias)


@pytest.mark.services
def test_the_migration_makes_what_the_first_use_makes_on_postgres(postgres_server: PostgresServer) -> None:
    """The same columns, collations and indexes."""
    aliases = [postgres_alias(postgres_server.new_schema()) for _ in range(2)]
    check_agreement(*aliases)
    for each in aliases:
        connections[each].close()


@pytest.mark.services
def test_no_connection_is_left_when_the_node_has_stopped(postgres_server: PostgresServer) -> None:
    """Threads of troth keep theirs as CONN_MAX_AGE says, and the end of the node ends them; the caller's own stays."""
    alias = postgres_alias(postgres_server.new_database(), CONN_MAX_AGE=60)
    log: list[Any] = []
    with made() as troth:
        buy: Any = buying(troth, alias, log)
        handles = [buy.options(gid=f"buy-{n}").start() for n in range(8)]
        assert [handle.result() for handle in handles] == [1] * 8
    assert {each[:2] for each in log} == {(alias, True)}
    assert threading.current_thread() not in {each[2] for each in log}
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        assert cursor.fetchone() == (0,)
    connections[alias].close()


def test_a_connection_that_was_closed_before_a_step_is_closed_after_it(alias: str) -> None:
    """As a request's end would, where there is no request; one that was open stays."""
    with made() as troth:
        buy: Any = buying(troth, alias, [])
        buy.options(gid="buy-1")()
        assert connections[alias].connection is None
        connections[alias].ensure_connection()
        own = connections[alias].connection
        buy.options(gid="buy-2")()
        assert connections[alias].connection is own


def test_a_saga_in_a_block_is_begun_apart_where_the_settings_allow_it(alias: str) -> None:
    """Its steps run in threads of troth, on connections of their own, and stay though the block rolls back."""
    log: list[Any] = []
    with made(in_atomic="allow") as troth:
        buy: Any = buying(troth, alias, log)
        with pytest.raises(KeyError), transaction.atomic(using=alias):
            assert buy.options(gid="buy-1")() == 1
            assert buy.options(gid="buy-2").run().state == "confirmed"
            assert buy.options(gid="buy-3").start().result() == 1
            raise KeyError
        assert len(log) == 3
        assert threading.current_thread() not in {each[2] for each in log}


def test_manual_transactions_are_others_too(alias: str) -> None:
    """With autocommit off a transaction may be open, which somebody will end."""
    with made() as troth:
        buy: Any = buying(troth, alias, [])
        transaction.set_autocommit(False, using=alias)
        try:
            with pytest.raises(DefinitionError, match=r"inside transaction\.atomic"):
                buy()
        finally:
            transaction.set_autocommit(True, using=alias)


def test_a_plain_troth_object_is_as_careful(alias: str) -> None:
    """`django://alias` is a target for any Troth object; inside a block its steps are not done."""
    with Troth("memory://") as troth:
        stock = troth.database("stock", f"django://{alias}")

        @troth.step(on=stock, name="note", role="pivot", attempts=1)
        def note(db: Any) -> str:
            return str(db.alias)

        def buy() -> str:
            return note()

        saga = troth.saga(name="buy")(buy)
        assert saga() == alias
        with transaction.atomic(using=alias):
            assert "transaction.atomic() is open" in saga.run().reason
        with pytest.raises(ConfigurationError, match=r"DATABASES has no 'elsewhere'\. It has default"):
            troth.database("other", "django://elsewhere")
        with pytest.raises(DefinitionError, match=r"Write it as def, and await it with \.aio"):

            @troth.step(on=stock, name="anote")
            async def anote(db: Any) -> None: ...


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TROTH": ["sqlite:///x"]}, "is a list, not a dict"),
        ({"TROTH": {"stoer": "memory://"}}, "has no 'stoer'. It may have batch, drain"),
        ({"TROTH": {"in_atomic": "maybe"}}, 'say "refuse" or "allow"'),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_do(settings: dict[str, Any], said: str) -> None:
    """By the object and by `manage.py check`."""
    with override_settings(**settings):
        with pytest.raises(ConfigurationError, match="TROTH") as caught:
            read()
        assert said in str(caught.value)
        assert [(each.id, each.msg) for each in checks.check_settings()] == [("troth.E001", str(caught.value))]
        assert checks.check_definitions() == []


def test_the_log_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No path is guessed: processes of one project start in different directories."""
    monkeypatch.delenv("TROTH_STORE", raising=False)
    with override_settings(TROTH={}):
        assert [each.id for each in checks.check_settings()] == ["troth.E002"]
        with pytest.raises(ConfigurationError, match="no setting says where troth's log is"), DjangoTroth(read()):
            pass
    with override_settings(TROTH_STORE="memory://"):
        assert [each.id for each in checks.check_settings()] == ["troth.W001"]
    monkeypatch.setenv("TROTH_STORE", "sqlite:///here.db")
    assert (read().store, checks.check_settings()) == ("sqlite:///here.db", [])


def test_manage_py_check_looks_at_steps_and_sagas(alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that nothing undoes, and one on a kind of database that has no barrier."""
    troth = made()
    monkeypatch.setattr("troth.integrations.django.troth", troth, raising=False)

    @troth.step(on=alias, name="undoable")
    def undoable(db: Any) -> None: ...

    connections.settings["odd"] = {**connections.settings[alias], "ENGINE": "django.db.backends.dummy"}
    try:
        troth.database("odd")
        found = {each.id: each.msg for each in checks.check_definitions()}
    finally:
        del connections.settings["odd"]
    assert "nothing undoes it" in found["troth.E004"]
    assert "works in PostgreSQL, MariaDB, MySQL and SQLite" in found["troth.E003"]
    assert run_checks() is not None
