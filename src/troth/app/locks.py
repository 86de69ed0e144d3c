"""Locks, as the Troth object gives them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from troth.adapters.locks import open_locks
from troth.participant.holding import Locks


class GivesLocks:
    """The part of the Troth object that gives locks."""

    @cached_property
    def _locks(self) -> list[Locks]:
        return []

    def close_locks(self) -> None:
        """Close the lock servers' idle connections; called by `Troth.close`."""
        for locks in self._locks:
            locks.close()

    async def aclose_locks(self) -> None:
        """The same, awaited."""
        for locks in self._locks:
            await locks.aclose()

    def locks(self, target: str, **options: Any) -> Locks:
        """Locks with fencing tokens, on a Redis or Valkey server. Nothing is opened before first use.

        :param target: ``redis://host:6379/0``, ``rediss://…`` or ``unix://…``; ``memory://`` for one process (tests).
        :param options: ``prefix`` of the keys, and what redis-py's ``from_url`` takes, e.g. ``socket_timeout``.
        :raises ConfigurationError: if the target or an option is none that works, or redis-py isn't installed.
        """
        made = Locks(open_locks(target, **options))
        self._locks.append(made)
        return made
