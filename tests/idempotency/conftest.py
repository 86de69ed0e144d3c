"""The databases that everything in this folder is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.idempotency.shop import LIBRARIES, SERVICES, Shop, lent_shop
from troth.participant.fencing import MYSQL_TABLE

KINDS = [
    *LIBRARIES,
    pytest.param("sqlite-sessions", id="sqlalchemy-sessions"),
    pytest.param("async-sessions", id="sqlalchemy-async-sessions", marks=SERVICES),
]


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """Each library."""
    yield from lent_shop(request.param, request, tmp_path, (MYSQL_TABLE,))
