"""Lock servers: one module per library. `open_locks` finds the one for a target."""

from __future__ import annotations

import importlib.util
from typing import Any

from troth.ports.errors import ConfigurationError
from troth.ports.locks import LockServer

TARGETS = "redis://host:6379/0, rediss://…, unix://path or memory://"


def open_locks(target: str, **options: Any) -> LockServer:
    """The lock server for a target. Nothing is opened.

    :param target: ``redis://…``, ``rediss://…`` or ``unix://…`` as redis-py has them (Redis 6 and Valkey), or ``memory://``.
    :param options: for Redis ``prefix`` of its keys, and what redis-py's ``from_url`` takes.
    :raises ConfigurationError: if the target is none that we know, or its library isn't installed.
    """
    scheme = target.partition("://")[0].lower() if "://" in target else ""
    if scheme == "memory" and not options:
        from troth.adapters.locks.memory import MemoryLocks

        return MemoryLocks()
    if scheme in ("redis", "rediss", "unix"):
        if importlib.util.find_spec("redis") is None:
            raise ConfigurationError("locks on redis:// need redis-py 5 or newer: pip install 'troth[redis]'")
        from troth.adapters.locks.redis import RedisLocks

        return RedisLocks(target, **options)
    raise ConfigurationError(f"the lock server {target!r} is none that troth knows. Use {TARGETS}.")
