"""A gunicorn with sync workers, as a test holds it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def quiet() -> list[str]:
    """Newer ones open a control socket in the home directory."""
    from gunicorn.config import KNOWN_SETTINGS

    flag = "--no-control-socket"
    return [flag] if any(flag in (setting.cli or ()) for setting in KNOWN_SETTINGS) else []


class Gunicorn:
    """A gunicorn on a socket that we bound.

    :param app: ``module:attribute`` of a WSGI application.
    :param env: the whole environment.
    """

    def __init__(self, home: Path, app: str, env: Mapping[str, str], *, workers: int, preload: bool) -> None:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.errors = (home / "gunicorn.txt").open("w+b")
        command = [sys.executable, "-m", "gunicorn", *(["--preload"] if preload else []), "--workers", str(workers)]
        command += ["--bind", f"fd://{self.listener.fileno()}", "--graceful-timeout", "20", *quiet(), app]
        self.process = subprocess.Popen(
            command,
            env={**env, "PYTHONWARNINGS": ""},
            cwd=home,
            stdout=self.errors,
            stderr=self.errors,
            pass_fds=[self.listener.fileno()],
        )

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request on a connection of its own: the status, and the JSON that was answered.

        :raises OSError: or `http.client.HTTPException`, if no answer came.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            said = None if body is None else json.dumps(body)
            connection.request(method, path, said, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in b"{[" else text
        finally:
            connection.close()

    def told(self) -> str:
        """What it logged."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def stop(self) -> int:
        """Gracefully."""
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        """Whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.listener.close()
        self.errors.close()
