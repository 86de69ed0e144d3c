"""A log of this process, with a node that lives as long as the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.logs import Log


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """An empty log and its node."""
    made = Log(tmp_path / "shop-log.db")
    yield made
    made.store.close()
