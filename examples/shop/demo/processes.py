"""The shop's processes, as their parent holds them: it keeps the sockets that they listen on, so it can start them again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[3]
OPENS = aiohttp.ClientTimeout(90)
"""Until a process must answer."""


class Process:
    """One process of the shop, through all of its lives.

    :param name: what people call it: ``stock``, ``gateway-2``.
    :param service: what it runs.
    :param env: what it is told.
    """

    def __init__(self, name: str, service: str, home: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.service = service
        self.home = home
        self.env = env
        self.told = home / f"{name}.log"
        self.ready = False
        self.born = 0.0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        host, port = self.listener.getsockname()
        self.url = f"http://{host}:{port}"
        self.popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0: it doesn't run."""
        return self.popen.pid if self.popen is not None else 0

    def start(self) -> None:
        """Start it; it is ready later."""
        self.ready = False
        self.born = time.monotonic()
        fd = self.listener.fileno()
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT), str(ROOT / "src"))))
        with self.told.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "examples.shop.serve", self.service, "--fd", str(fd)], stdin=subprocess.PIPE,
                stdout=log, stderr=log, pass_fds=[fd], cwd=self.home, env={**os.environ, **self.env, "PYTHONPATH": path},
                process_group=0,
            )  # fmt: skip

    async def answers(self, session: aiohttp.ClientSession) -> None:
        """Wait until it answers. What asks before that waits in the socket's queue."""
        async with session.get(f"{self.url}/", timeout=OPENS):
            self.ready = True

    def freeze(self) -> bool:
        """Stop it between two instructions; False if it has just ended by itself."""
        assert self.popen is not None
        os.kill(self.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        return False

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait()
            self._forget()

    def leave(self) -> None:
        """Ask it to finish what it is at, and go."""
        if self.popen is not None and self.popen.stdin is not None:
            self.popen.stdin.close()

    def words(self) -> str:
        """The last of what it has said."""
        return self.told.read_text(encoding="utf-8", errors="replace").strip()[-2000:]

    def gone(self) -> bool:
        """Has it ended by itself?"""
        return self.popen is not None and self.popen.poll() is not None

    def close(self) -> None:
        """End it at once, and give its socket up."""
        self.kill()
        self.listener.close()

    def _forget(self) -> None:
        if self.popen is not None and self.popen.stdin is not None:
            self.popen.stdin.close()
        self.ready = False
