"""From ``--store`` to a log that can be read, beside the nodes that work on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from troth.adapters.stores.sqlite import SqliteStore, SqliteViewer
from troth.cli.asked import Asked, No

SCHEME = "sqlite:///"


def path_of(how: Asked) -> Path:
    """The log's file.

    :raises click.UsageError: no store was named, or it is not the URL of a SQLite file.
    """
    url = how.store
    if not url:
        raise click.UsageError("which log? Say --store sqlite:///shop-log.db, or set TROTH_STORE")
    if url.startswith("memory:"):
        raise click.UsageError("a memory log lives in its own process: nothing outside can read it. Use a SQLite file")
    if not url.startswith(SCHEME) or url == SCHEME:
        hint = f" Did you mean --store {SCHEME}{url}?" if "://" not in url else ""
        raise click.UsageError(f"--store {url!r} is not the URL of a SQLite file (sqlite:///shop-log.db).{hint}")
    return Path(url.removeprefix(SCHEME))


def existing(how: Asked) -> Path:
    """The log's file, which is there.

    :raises No: it is not.
    """
    path = path_of(how)
    if not path.exists():
        raise No(
            f"there is no log at {path} (seen from {Path.cwd()}). A log is made when the first node starts; "
            "check the path in --store.",
            "no_store",
        )
    return path


@contextmanager
def reader_of(how: Asked) -> Iterator[SqliteViewer]:
    """The log, opened for reading and for leaving wishes; no node is started."""
    reader = SqliteStore(str(existing(how))).open_reader()
    try:
        yield reader
    finally:
        reader.close()
