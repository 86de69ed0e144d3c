"""The example's project under Django's own commands."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("django", reason="Django isn't installed")
from tests.app.patience import until
from tests.integrations.project import FACTS, ROOT, Shop
from troth.adapters.stores.sqlite import SqliteStore
from troth.testing.servers.postgres import PostgresServer


def test_the_examples_own_tests_pass(tmp_path: Path) -> None:
    """Sagas work inside TestCase and TransactionTestCase, sync and async, in any order, without a warning."""
    said = Shop(tmp_path).manage("test", "--shuffle")
    assert "OK" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.services
def test_the_examples_own_tests_pass_on_postgres(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Connections that threads keep stand in nobody's way: the test database can be dropped."""
    settings = {"DJANGO_SETTINGS_MODULE": "tests.integrations.shop_on_postgres", "SHOP_TEST": f"shop_{os.getpid()}"}
    shop = Shop(tmp_path, SHOP_POSTGRES=postgres_server.new_database(), **settings)
    assert "OK" in shop.manage("test", "--shuffle", "--noinput", "shop")


def test_manage_py_troth_is_the_command_line_with_the_log_of_the_settings(tmp_path: Path) -> None:
    """It needs no --store; doctor checks the project's own code; what it says no to is an exit code."""
    shop = Shop(tmp_path)
    shop.prepared(5)
    shop.manage("shell", "-c", "from shop.sagas import place_order as p; p.run(1, 'apple', 2); p.run(2, 'apple', 4)")
    found = json.loads(shop.manage("troth", "list", "--json"))
    assert sorted((each["gid"], each["state"]) for each in found["transactions"]) == [
        ("order-1", "confirmed"),
        ("order-2", "cancelled"),
    ]
    assert "apple is sold out" in {each.get("reason") for each in found["transactions"]}
    assert "can finish all 0 of them" in shop.manage("troth", "doctor")
    assert "no transaction order-9" in shop.manage("troth", "retry", "order-9", code=1)
    assert "manage.py troth node" in shop.manage("troth")


def test_a_node_ends_what_a_killed_process_has_begun(tmp_path: Path) -> None:
    """`manage.py troth node` serves nothing and drives everything, until it is asked to stop."""
    shop = Shop(tmp_path)
    shop.prepared(5)
    die = "import os; from shop.sagas import place_order as p; p.start(1, 'apple', 2); os.kill(os.getpid(), 9)"
    shop.manage("shell", "-c", die, code=-9, SHOP_PACE="30")
    log = SqliteStore(str(tmp_path / "troth-log.db")).open_reader()
    assert log.get("order-1").state == "trying"
    node = subprocess.Popen(shop.command("troth", "node"), env=shop.environment(), stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: log.get("order-1").state == "confirmed" or node.poll() is not None, "the order's end")
        node.terminate()
        said, _ = node.communicate(timeout=60)
    finally:
        node.kill()
        node.wait()
        log.close()
    assert (node.returncode, said.splitlines()[-1]) == (0, "ended")
    assert shop.facts()["paid"] == [[1, 20]]


FORKER = f"exec(open({str(ROOT / 'tests/integrations/django_forker.py')!r}).read())"


def test_a_forked_child_does_not_use_its_parents_connection(tmp_path: Path) -> None:
    """Nor its node: each side goes on with its own."""
    shop = Shop(tmp_path)
    shop.prepared(100)
    said = shop.manage("shell", "-c", f"{FORKER}\n{FACTS}")
    assert "both went on" in said
    assert shop.said(said)["left"] == 100 - 1 - 2 - 4 - 8


@pytest.mark.services
def test_a_forked_child_leaves_its_parents_server_session_alone(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """The same where a connection is a socket."""
    settings = {"DJANGO_SETTINGS_MODULE": "tests.integrations.shop_on_postgres", "SHOP_TEST": "unused"}
    shop = Shop(tmp_path, SHOP_POSTGRES=postgres_server.new_database(), **settings)
    shop.prepared(100)
    said = shop.manage("shell", "-c", f"{FORKER}\n{FACTS}")
    assert "both went on" in said
    assert shop.said(said)["left"] == 100 - 1 - 2 - 4 - 8
