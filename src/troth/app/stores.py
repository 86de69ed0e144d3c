"""Which store a URL names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from troth.ports.errors import ConfigurationError
from troth.ports.store import Store


def open_store(url: str) -> Callable[[], Store]:
    """What makes the store of a URL; nothing is opened.

    :raises ConfigurationError: naming the URLs that work.
    """
    scheme, found, rest = url.partition("://")
    if scheme == "memory" and found:
        return _memory()
    if scheme == "sqlite" and found and rest.startswith("/") and len(rest) > 1:
        path = rest[1:]
        return lambda: _sqlite(path)
    raise ConfigurationError(
        f"the store {url!r} is none that troth knows: say sqlite:///relative.db, sqlite:////absolute.db or memory://"
    )


def _memory() -> Callable[[], Store]:
    from troth.adapters.stores.memory import MemoryLog, MemoryStore

    log: Any = MemoryLog()
    return lambda: MemoryStore(log)


def _sqlite(path: str) -> Store:
    from troth.adapters.stores.sqlite import SqliteStore

    return SqliteStore(path)
