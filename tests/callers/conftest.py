"""What every test of calls over HTTP has: a service that knows nothing of troth, and a transaction manager without a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.callers.stall import Stall, stall
from troth import Troth


@pytest.fixture
def service() -> Iterator[Stall]:
    """A running service."""
    with stall() as made:
        yield made


@pytest.fixture
def troth() -> Iterator[Troth]:
    """A Troth object; whoever used its node finds it closed."""
    made = Troth("memory://")
    yield made
    made.close()
