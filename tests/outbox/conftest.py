"""The databases that the outbox is tried on: each library in each colour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.idempotency.shop import LIBRARIES, SERVICES, Shop, lent_shop
from troth.ports.outbox import MYSQL

KINDS = [
    *LIBRARIES,
    pytest.param("sqlite-sessions", id="sqlalchemy-sqlite"),
    pytest.param("mysql-sessions", id="sqlalchemy-mariadb", marks=SERVICES),
    pytest.param("async-sessions", id="sqlalchemy-async-postgres", marks=SERVICES),
]


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """Each library."""
    yield from lent_shop(request.param, request, tmp_path, MYSQL)
