"""Worker processes as a test holds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.app.patience import until

ROOT = Path(__file__).resolve().parents[2]


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a child needs to find the code and its files."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return {**os.environ, "MARKET_HOME": str(home), "PYTHONPATH": path, "PYTHONWARNINGS": "error", **more}


class Worker:
    """One process, and what it has said.

    :ivar said: its lines, in order.
    """

    def __init__(self, home: Path, module: str, *args: str, **env: str) -> None:
        self.said: list[list[Any]] = []
        self._by_word: dict[str, list[list[Any]]] = {}
        self.over = False
        self.errors = (home / f"errors-{os.urandom(4).hex()}.txt").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment(home, **env),
            cwd=home,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            words = json.loads(line)
            self.said.append(words)
            self._by_word.setdefault(words[0], []).append(words)
        self.over = True

    def heard(self, word: str) -> list[list[Any]]:
        """Its lines that begin with that word."""
        return list(self._by_word.get(word, ()))

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something; what it printed to stderr tells why it never came."""
        until(lambda: condition() or self.over, what)
        assert condition(), f"{what} never came:\n{self.told()}"

    def open(self) -> set[str]:
        """The gids that it began and was not told the end of."""
        return {line[1] for line in self.heard("begun")} - {line[1] for line in self.heard("ended")}

    def kill(self) -> None:
        """SIGKILL; returns when it is dead and all that it had said is read."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Until it is gone."""
        code = self.process.wait(60)
        self._reader.join(30)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        return code

    def leave(self) -> int:
        """Ask it to end, and wait."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.wait()

    def told(self) -> str:
        """What it wrote to its standard error."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def close(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.kill()
        self.errors.close()
