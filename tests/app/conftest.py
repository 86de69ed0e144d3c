"""What tests of the front door stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.shelves import Shelves


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def shelves(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelves]:
    """Shelves in each database; the log is a file."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_server").new_schema()
    else:
        url = f"sqlite:///{tmp_path}/shelves.db"
    made = Shelves(url, f"sqlite:///{tmp_path}/log.db")
    with made.troth:
        yield made
    made.close()


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Shelves]:
    """Shelves in SQLite; the log is memory."""
    made = Shelves(f"sqlite:///{tmp_path}/shelves.db")
    with made.troth:
        yield made
    made.close()
