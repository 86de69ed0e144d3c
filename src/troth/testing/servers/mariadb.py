"""A private MariaDB: from a directory that ``scripts/servers/mariadb.sh`` filled, else what is installed."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

from troth.testing.servers.process import (
    PrivateServer,
    ServerProcess,
    ServerUnavailableError,
    free_port,
    private_directory,
    remove,
)


def find_files(fetched: Path | None) -> Path:
    """The folder above ``usr`` that holds the server's files.

    :raises ServerUnavailableError: if there is none.
    """
    for root in (fetched, Path("/")):
        if root is not None and (root / "usr/sbin/mariadbd").exists() and (root / "usr/bin/mariadb-install-db").exists():
            return root
    raise ServerUnavailableError("no MariaDB server: run scripts/servers/mariadb.sh .servers/mariadb, or install one")


class MariadbServer(PrivateServer):
    """One MariaDB with a data directory and a port of its own, for the life of the object.

    :param fetched: where the server's files may be; see `find_files`.
    """

    def __init__(self, fetched: Path | None = None) -> None:
        self._root = find_files(fetched)
        if not hasattr(os, "geteuid"):
            raise ServerUnavailableError("a private MariaDB needs a POSIX system")
        self._directory = private_directory("tmy-")
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        try:
            self._initialise()
            self.port = free_port()
            self.process = ServerProcess(
                self._argv(), self._directory, self._answers, environment=self._environment(), demote=False
            )
            self.process.start()
        except BaseException:
            remove(self._directory)
            raise
        self._numbers = itertools.count(1)

    def _environment(self) -> dict[str, str]:
        """Temporary files of its own (two that share a directory take each other's), and the libraries it came with."""
        own = {"TMPDIR": str(self._directory)}
        if self._root == Path("/"):
            return own
        places = [*self._root.glob("usr/lib/*-linux-gnu*"), *self._root.glob("lib/*-linux-gnu*")]
        return {**own, "LD_LIBRARY_PATH": ":".join(str(place) for place in places)}

    def _base(self) -> list[str]:
        usr = self._root / "usr"
        return ["--no-defaults", f"--basedir={usr}", f"--datadir={self._directory / 'data'}", *self._user]

    def _initialise(self) -> None:
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        done = subprocess.run(
            [str(self._root / "usr/bin/mariadb-install-db"), *self._base(), *options],
            check=False,
            capture_output=True,
            text=True,
            cwd=self._directory,
            env={**os.environ, **self._environment()},
        )
        if done.returncode:
            raise ServerUnavailableError(f"mariadb-install-db failed: {done.stderr.strip() or done.stdout.strip()}")

    def _argv(self) -> list[str]:
        usr = self._root / "usr"
        settings = {
            "lc-messages-dir": str(usr / "share/mysql"),
            "bind-address": "127.0.0.1",
            "port": str(self.port),
            "socket": str(self._directory / "s"),
            "pid-file": str(self._directory / "pid"),
            "innodb-buffer-pool-size": "32M",
            "innodb-log-file-size": "8M",
            "innodb-use-native-aio": "0",
            "innodb-flush-log-at-trx-commit": "2",  # a killed process loses nothing that it wrote; only a power cut would
            "character-set-server": "utf8mb4",
            "collation-server": "utf8mb4_general_ci",  # the usual one, which takes A for a
        }
        return [
            str(usr / "sbin/mariadbd"),
            *self._base(),
            "--skip-name-resolve",
            *(f"--{key}={value}" for key, value in settings.items()),
        ]

    def _answers(self) -> None:
        self.execute("SELECT 1")

    def url(self, database: str) -> str:
        """Where to connect to, as ``mysql://…``."""
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str, database: str | None = None) -> list[tuple[object, ...]]:
        """Run one statement outside any transaction; returns its rows."""
        import pymysql

        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True, connect_timeout=2
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def new_database(self) -> str:
        """Create an empty database; returns its ``mysql://…``."""
        name = f"t{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)
