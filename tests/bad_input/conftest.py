"""A shop for each test, and processes that have one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.shop import Shop

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop whose node runs."""
    made = Shop(tmp_path)
    with made.app:
        yield made


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that any user may search."""
    folder = Path(tempfile.mkdtemp(prefix="troth-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


class Process:
    """An actor in a process of its own."""

    def __init__(self, path: Path) -> None:
        environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        self.popen = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/bad_input/actor.py"), str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip

    def _said(self, deed: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
        assert self.popen.stdin is not None and self.popen.stdout is not None
        self.popen.stdin.write(json.dumps([deed, arguments]) + "\n")
        self.popen.stdin.flush()
        line = self.popen.stdout.readline()
        if not line.endswith("\n"):
            raise AssertionError(f"{deed}: the process is gone: {self.popen.communicate()[1][-2000:]}")
        said: dict[str, Any] = json.loads(line)
        return said

    def ask(self, deed: str, *arguments: Any) -> Any:
        """Do it and return the answer; an error is a failure of the test."""
        said = self._said(deed, arguments)
        assert "answer" in said, said
        return said["answer"]

    def fail(self, deed: str, *arguments: Any) -> tuple[str, str]:
        """Do what must fail; the error's type and words."""
        said = self._said(deed, arguments)
        assert "error" in said, said
        return said["error"], said["message"]

    def kill(self) -> None:
        """SIGKILL."""
        self.popen.kill()
        self.popen.communicate()


@pytest.fixture
def process() -> Iterator[Callable[[Path], Process]]:
    """Starts actors on a log."""
    started: list[Process] = []

    def start(path: Path) -> Process:
        started.append(Process(path))
        return started[-1]

    yield start
    for each in started:
        each.kill()
