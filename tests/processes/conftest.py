"""Processes that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.crew import Worker


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers in the test's own folder."""
    made: list[Worker] = []

    def start(module: str, *args: str, **env: str) -> Worker:
        made.append(Worker(tmp_path, module, *args, **env))
        return made[-1]

    yield start
    for each in made:
        each.close()
