"""Processes that work on one SQLite log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


class Process:
    """An actor in a process of its own."""

    def __init__(self, path: Path) -> None:
        environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        self.popen = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/stores/actor.py"), str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip

    def tell(self, deed: str, *arguments: Any) -> None:
        """Say what to do, and don't wait."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps([deed, arguments]) + "\n")
        self.popen.stdin.flush()

    def line(self) -> dict[str, Any]:
        """The next line it says; empty when it is gone."""
        assert self.popen.stdout is not None
        said = self.popen.stdout.readline()
        return json.loads(said) if said.endswith("\n") else {}

    def ask(self, deed: str, *arguments: Any) -> Any:
        """Do it and return the answer; an error is a failure of the test."""
        self.tell(deed, *arguments)
        said = self.line()
        assert "answer" in said, said
        return said["answer"]

    def fail(self, deed: str, *arguments: Any) -> tuple[str, str]:
        """Do what must fail; the error's type and words."""
        self.tell(deed, *arguments)
        said = self.line()
        assert "error" in said, said
        return said["error"], said["message"]

    def end(self, number: int) -> None:
        """Send a signal that ends it, and see it gone."""
        self.popen.send_signal(number)
        self.popen.wait()

    def dispose(self) -> None:
        """Kill it if it still lives."""
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts actors on ``log.db`` in the test's directory, or on the path given."""
    started: list[Process] = []

    def start(path: Path = tmp_path / "log.db") -> Process:
        started.append(Process(path))
        return started[-1]

    yield start
    for each in started:
        each.dispose()
