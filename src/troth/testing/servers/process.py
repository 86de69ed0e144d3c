"""A server process that belongs to a test: a free port, a reachable directory, an end that takes its children along."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import psutil

NOBODY: Final = 65534
"""The user that servers which refuse root are run as."""
START_SECONDS: Final = 30.0
"""Seconds a server may take until it answers."""


class ServerUnavailableError(RuntimeError):
    """The server isn't installed, or doesn't start; the message says which and why."""


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def private_directory(prefix: str) -> Path:
    """A short-named directory (unix sockets allow about 107 bytes) that the server's user can reach and owns."""
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    directory.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
    return directory


def reachable(path: Path) -> bool:
    """True if any user may go to the path, so that a server without our rights can be started from there."""
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


def demoted() -> dict[str, Any]:
    """What `subprocess.Popen` needs to drop root's rights; nothing for an ordinary user."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


class ServerProcess:
    """One foreground server process.

    :param argv: the server itself, never a launcher that restarts it.
    :param directory: where it runs, and where its output goes.
    :param answers: raises while the server doesn't answer yet.
    :param environment: more environment variables.
    :param demote: False for a server that root may run.
    """

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        answers: Callable[[], None],
        *,
        environment: Mapping[str, str] | None = None,
        demote: bool = True,
    ) -> None:
        self._argv = list(argv)
        self._directory = directory
        self._answers = answers
        self._environment = {**os.environ, **(environment or {})}
        self._demoted = demoted() if demote else {}
        self._process: subprocess.Popen[bytes] | None = None
        self.output = directory / "output.log"

    @property
    def running(self) -> bool:
        """True while the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            raise ServerUnavailableError("the server was not started")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers.

        :raises ServerUnavailableError: if it ends or stays silent; with the end of its output.
        """
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self._argv,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment,
                **self._demoted,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._answers()
            except Exception as error:
                if not self.running or time.monotonic() > deadline:
                    self.kill()
                    raise ServerUnavailableError(f"{self._argv[0]} did not start: {error}\n{self.tail()}") from error
            time.sleep(0.02)

    def tail(self) -> str:
        """The last lines of its output."""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-15:]) if self.output.exists() else ""

    def pause(self) -> None:
        """SIGSTOP: it answers nothing, and closes nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until its children are gone too: one left over would hold what a restart needs."""
        self._end(signal.SIGKILL)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and wait; kill it if it doesn't."""
        self._end(how)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            children = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _, alive = psutil.wait_procs(children, 5)
        for child in alive:
            child.kill()


class PrivateServer:
    """A server with a directory and a port of its own, for the life of the object.

    :ivar process: the server itself.
    """

    process: ServerProcess
    _directory: Path
    _at_once: ClassVar[signal.Signals] = signal.SIGKILL
    """How it is stopped without waiting: nothing of it is kept."""

    def crash(self) -> None:
        """SIGKILL the server and its children."""
        self.process.kill()

    def start(self) -> None:
        """Start it again on the same data and port."""
        self.process.start()

    def close(self) -> None:
        """Stop the server and delete its data; can be called twice."""
        self.process.stop(self._at_once)
        remove(self._directory)


def remove(directory: Path) -> None:
    """Delete a server's directory."""
    shutil.rmtree(directory, ignore_errors=True)
