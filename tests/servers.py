"""Real servers as fixtures, one per worker; without its server a test is skipped, or fails where all are required."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

FETCHED = Path(__file__).resolve().parents[1] / ".servers"
"""Where scripts/setup.sh puts the servers that no package index has."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[object]:
    """A private PostgreSQL for the session. Its databases are the tests' own: `PostgresServer.new_database`."""
    pytest.importorskip("psycopg", reason="PostgreSQL: psycopg isn't installed")
    pytest.importorskip("psutil", reason="PostgreSQL: psutil isn't installed")
    from troth.testing.servers.postgres import PostgresServer
    from troth.testing.servers.process import ServerUnavailableError

    try:
        server = PostgresServer()
    except ServerUnavailableError as error:
        pytest.skip(f"PostgreSQL: {error}")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[object]:
    """A private MariaDB for the session; its databases are the tests' own."""
    pytest.importorskip("pymysql", reason="MariaDB: PyMySQL isn't installed")
    pytest.importorskip("asyncmy", reason="MariaDB: asyncmy isn't installed")
    from troth.testing.servers.mariadb import MariadbServer
    from troth.testing.servers.process import ServerUnavailableError

    try:
        server = MariadbServer(FETCHED / "mariadb")
    except ServerUnavailableError as error:
        pytest.skip(f"MariaDB: {error}")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgres_uri(postgres_server: object) -> str:
    """An empty database on it, shared by tests that keep to tables or keys of their own."""
    uri: str = postgres_server.new_database()  # type: ignore[attr-defined]
    return uri


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[object]:
    """A private Valkey for the session; tests keep to keys of their own. One that is killed is a test's own."""
    pytest.importorskip("redis", reason="Valkey: redis-py isn't installed")
    pytest.importorskip("psutil", reason="Valkey: psutil isn't installed")
    from troth.testing.servers.process import ServerUnavailableError
    from troth.testing.servers.valkey import ValkeyServer

    try:
        server = ValkeyServer()
    except ServerUnavailableError as error:
        pytest.skip(f"Valkey: {error}")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[object]:
    """A private RabbitMQ for the session: it takes seconds to start, so tests share it, and few kill it."""
    pytest.importorskip("aio_pika", reason="RabbitMQ: aio-pika isn't installed")
    pytest.importorskip("psutil", reason="RabbitMQ: psutil isn't installed")
    from troth.testing.servers.process import ServerUnavailableError
    from troth.testing.servers.rabbitmq import RabbitmqServer

    try:
        server = RabbitmqServer(FETCHED / "rabbitmq")
    except ServerUnavailableError as error:
        pytest.skip(f"RabbitMQ: {error}")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def nats_server() -> Iterator[object]:
    """A private NATS server with JetStream for the session; one that is killed is a test's own."""
    pytest.importorskip("nats", reason="NATS: nats-py isn't installed")
    pytest.importorskip("psutil", reason="NATS: psutil isn't installed")
    from troth.testing.servers.nats import NatsServer
    from troth.testing.servers.process import ServerUnavailableError

    try:
        server = NatsServer()
    except ServerUnavailableError as error:
        pytest.skip(f"NATS: {error}")
    try:
        yield server
    finally:
        server.close()
