"""A lock server in this process, for tests and for programs of one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from troth.ports.locks import Lease, Taken


class MemoryLocks:
    """Leases in a dict; see `troth.ports.locks`.

    :param clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._leases: dict[str, tuple[str, int, float]] = {}
        self._last = 0

    def take(self, lease: Lease) -> Taken:
        """Take a key."""
        with self._guard:
            now = self._clock()
            owner, token, until = self._leases.get(lease.key, ("", 0, now))
            if until > now and owner != lease.owner:
                return Taken(0, until - now)
            if until <= now:
                self._last += 1
                token = self._last
            self._leases[lease.key] = (lease.owner, token, now + lease.seconds)
            return Taken(token)

    def renew(self, lease: Lease) -> bool:
        """Start the seconds anew."""
        with self._guard:
            left = self._left(lease)
            if left is not None:
                owner, token, _ = self._leases[lease.key]
                self._leases[lease.key] = (owner, token, self._clock() + lease.seconds)
            return left is not None

    def release(self, lease: Lease) -> bool:
        """Free the key."""
        with self._guard:
            held = self._left(lease) is not None
            if held:
                del self._leases[lease.key]
            return held

    def look(self, lease: Lease) -> float | None:
        """Seconds left."""
        with self._guard:
            return self._left(lease)

    def _left(self, lease: Lease) -> float | None:
        owner, _, until = self._leases.get(lease.key, ("", 0, 0.0))
        left = until - self._clock()
        return left if owner == lease.owner and left > 0 else None

    async def atake(self, lease: Lease) -> Taken:
        """As `take`."""
        return self.take(lease)

    async def arenew(self, lease: Lease) -> bool:
        """As `renew`."""
        return self.renew(lease)

    async def arelease(self, lease: Lease) -> bool:
        """As `release`."""
        return self.release(lease)

    async def alook(self, lease: Lease) -> float | None:
        """As `look`."""
        return self.look(lease)

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""
