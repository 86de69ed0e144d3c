"""A private RabbitMQ: from a directory that ``scripts/servers/rabbitmq.sh`` filled."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

from troth.testing.servers.process import PrivateServer, ServerProcess, ServerUnavailableError, free_port, private_directory, remove

ALARM = "2GB"
"""Memory at which it would stop publishers: a share of the machine's would depend on the machine."""


def find_files(fetched: Path | None) -> Path:
    """The folder above ``usr`` that holds the server's and Erlang's files.

    :raises ServerUnavailableError: if there is none.
    """
    if fetched is not None and (fetched / "usr/lib/erlang/bin/erl").exists():
        return fetched
    raise ServerUnavailableError("no RabbitMQ server: run scripts/servers/rabbitmq.sh .servers/rabbitmq")


class RabbitmqServer(PrivateServer):
    """One RabbitMQ with a data directory and a port of its own, for the life of the object. It takes seconds to start.

    :param fetched: where the server's files may be.
    """

    def __init__(self, fetched: Path | None = None) -> None:
        self._root = find_files(fetched)
        if not hasattr(os, "geteuid"):
            raise ServerUnavailableError("a private RabbitMQ needs a POSIX system")
        self._directory = private_directory("trq-")
        self._numbers = itertools.count(1)
        try:
            self.port = free_port()
            self._mapper_port = free_port()
            self._distribution = free_port()
            self._configure()
            mapper = next(self._root.glob("usr/lib/erlang/erts-*/bin/epmd"))
            argv = [str(mapper), "-address", "127.0.0.1", "-port", str(self._mapper_port)]
            self.mapper = ServerProcess(argv, self._directory, self._mapped, demote=False)
            program = next(self._root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
            self.process = ServerProcess(
                ["/bin/sh", str(program)], self._directory, self._answers, environment=self._environment(), demote=False
            )
            self.mapper.start()
            self.process.start()
        except BaseException:
            self.close()
            raise

    def _configure(self) -> None:
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}", "log.console = true", "log.file = false", "log.console.level = warning",
            f"vm_memory_high_watermark.absolute = {ALARM}", "disk_free_limit.absolute = 10MB", "heartbeat = 5",
        ]  # fmt: skip
        (self._directory / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self._directory / "enabled_plugins").write_text("[].")

    def _environment(self) -> dict[str, str]:
        """Nothing outside its directory is used, and the process is Erlang itself, not a shell that watches it."""
        erlang, own = self._root / "usr/lib/erlang", self._directory
        return {
            "HOME": str(own), "PATH": f"{erlang / 'bin'}:/usr/bin:/bin", "ERL_ROOTDIR": str(erlang),
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": f"r{self.port}@localhost", "RABBITMQ_DIST_PORT": str(self._distribution),
            "ERL_EPMD_PORT": str(self._mapper_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(own / "mnesia"), "RABBITMQ_LOG_BASE": str(own / "log"),
            "RABBITMQ_CONFIG_FILE": str(own / "rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(own / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(own / "pid"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
        }  # fmt: skip

    def _mapped(self) -> None:
        socket.create_connection(("127.0.0.1", self._mapper_port), 2).close()

    def _answers(self) -> None:
        """It sends its first frame only when the whole node is up."""
        with socket.create_connection(("127.0.0.1", self.port), 2) as probe:
            probe.settimeout(5)
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            if probe.recv(1) != b"\x01":
                raise ConnectionError("it closed the connection")

    @property
    def uri(self) -> str:
        """Where to connect to, as ``amqp://…``."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def close(self) -> None:
        """Stop the server and delete its data; can be called twice."""
        for name in ("process", "mapper"):
            process: ServerProcess | None = getattr(self, name, None)
            if process is not None:
                process.kill()
        remove(self._directory)
