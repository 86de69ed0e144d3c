"""The parent's hold on one side: a process that is stopped while others are measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]


class SideDied(RuntimeError):
    """A side ended before it answered; the message holds the end of what it wrote to its standard error."""


class Proxy:
    """One side in its own process.

    :param name: the side, e.g. ``troth-declared``.
    :param log: its log's file; a side makes it.
    :param environment: variables of the side's own.
    """

    def __init__(self, name: str, log: Path, **environment: str) -> None:
        self.name = name
        self.log = log
        self._errors = log.with_suffix(f".{name}.{os.urandom(3).hex()}.stderr")
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.sides.side", name, str(log)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env={**os.environ, **environment, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
                text=True,
            )
        self._frozen = False

    def ready(self) -> Self:
        """Wait until it is open."""
        self.answer()
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, what: str, **arguments: Any) -> None:
        """Send an order; `answer` reads what comes of it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._died()

    def answer(self) -> Any:
        """Wait for the answer to the last order."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{"answer"'):
                return json.loads(line)["answer"]
        return self._died()

    def ask(self, what: str, **arguments: Any) -> Any:
        """Send an order, wait for the answer; the side runs only meanwhile if it is frozen otherwise."""
        frozen = self._frozen
        if frozen:
            self.thaw()
        self.tell(what, **arguments)
        answer = self.answer()
        if frozen:
            self.freeze()
        return answer

    def freeze(self) -> None:
        """Stop it: it takes no time from others."""
        os.kill(self.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)
        self._frozen = False

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it in good order; after 60 seconds without."""
        if self._process.poll() is None:
            self.thaw()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _died(self) -> Any:
        self._process.wait()
        told = self._errors.read_text(errors="replace")[-3_000:]
        raise SideDied(f"{self.name} ended with {self._process.returncode}:\n{told}")
