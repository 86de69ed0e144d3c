"""Real servers as fixtures, one per worker; without its server a test is skipped, or fails where all are required."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FETCHED = Path(__file__).resolve().parents[1] / ".servers"
"""Where scripts/setup.sh puts the servers that no package index has."""


def lent(what: str, needed: dict[str, str], make: Callable[[], Any]) -> Iterator[object]:
    """A server for as long as the fixture lasts.

    :param what: how the skip names it.
    :param needed: modules that its tests import, and what to install for each.
    :param make: imports and starts it.
    """
    for module, package in needed.items():
        pytest.importorskip(module, reason=f"{what}: {package} isn't installed")
    from troth.testing.servers.process import ServerUnavailableError

    try:
        server = make()
    except ServerUnavailableError as error:
        pytest.skip(f"{what}: {error}")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[object]:
    """A private PostgreSQL for the session. Its databases are the tests' own: `PostgresServer.new_database`."""

    def make() -> Any:
        from troth.testing.servers.postgres import PostgresServer

        return PostgresServer()

    yield from lent("PostgreSQL", {"psycopg": "psycopg", "psutil": "psutil"}, make)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[object]:
    """A private MariaDB for the session; its databases are the tests' own."""

    def make() -> Any:
        from troth.testing.servers.mariadb import MariadbServer

        return MariadbServer(FETCHED / "mariadb")

    yield from lent("MariaDB", {"pymysql": "PyMySQL", "asyncmy": "asyncmy"}, make)


@pytest.fixture(scope="session")
def postgres_uri(postgres_server: object) -> str:
    """An empty database on it, shared by tests that keep to tables or keys of their own."""
    uri: str = postgres_server.new_database()  # type: ignore[attr-defined]
    return uri


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[object]:
    """A private Valkey for the session; tests keep to keys of their own. One that is killed is a test's own."""

    def make() -> Any:
        from troth.testing.servers.valkey import ValkeyServer

        return ValkeyServer()

    yield from lent("Valkey", {"redis": "redis-py", "psutil": "psutil"}, make)


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[object]:
    """A private RabbitMQ for the session: it takes seconds to start, so tests share it, and few kill it."""

    def make() -> Any:
        from troth.testing.servers.rabbitmq import RabbitmqServer

        return RabbitmqServer(FETCHED / "rabbitmq")

    yield from lent("RabbitMQ", {"aio_pika": "aio-pika", "psutil": "psutil"}, make)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[object]:
    """A private NATS server with JetStream for the session; one that is killed is a test's own."""

    def make() -> Any:
        from troth.testing.servers.nats import NatsServer

        return NatsServer()

    yield from lent("NATS", {"nats": "nats-py", "psutil": "psutil"}, make)
