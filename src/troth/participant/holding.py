"""Holding a lock: waiting for it, renewing it while it is held, noticing that it was lost, giving it back.

A lease is renewed at a third of its time. Its holder believes in it until that time is over by its own clock, counted
from before the request was sent, so never longer than the server. Nothing here makes writing safe: `troth.fence` does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final

from troth.core import limits
from troth.participant.fencing import checked_lock, fence
from troth.participant.watch import Watch
from troth.ports.errors import ConfigurationError, WrongColour
from troth.ports.idempotency import Busy, LockLost, LockUnavailable
from troth.ports.locks import Lease, LockServer, Taken

SHORTEST: Final = 0.05
"""Seconds a lease must at least have: less is over before anything is done."""
FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
"""Seconds between two tries while waiting: doubled from the first, and shortened by chance."""
_log = logging.getLogger(__name__)


class Locks:
    """Locks with fencing tokens: ``with locks.hold("transfer:acc-1", ttl=30) as held: … held.token``.

    :param server: who grants them.
    :param clock: seconds that never go back.
    :param chance: so many random bytes.
    """

    def __init__(
        self,
        server: LockServer,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.server = server
        self.clock = clock
        self.chance = chance
        self.watch = Watch(clock)

    def hold(self, key: str, *, ttl: float = limits.LOCK_SECONDS, wait: float = 0.0, renew: bool = True) -> Hold:
        """A lock to be entered, by ``with`` or by ``async with``.

        :param key: what is locked, e.g. ``transfer:acc-1``; 1 to 255 printable ASCII characters.
        :param ttl: seconds after which it is free if its holder is gone.
        :param wait: seconds to wait for it; 0: not at all.
        :param renew: whether it is renewed while it is held; else the work must be done within `ttl`.
        :raises PayloadError: if the key is none.
        :raises ConfigurationError: if a time is none. Entering raises `Busy`, or `LockUnavailable`.
        """
        checked_lock(key)
        lease = Lease(key, self.chance(12).hex(), _seconds(ttl, f"lock {key}: ttl", SHORTEST))
        return Hold(self, lease, _seconds(wait, f"lock {key}: wait", 0.0), renew)

    def pause(self, number: int, free_in: float, remaining: float) -> float:
        """Seconds until the next try: by chance, so that many who wait don't come at once."""
        most = min(FIRST_PAUSE * float(1 << min(number, 10)), LONGEST_PAUSE, max(free_in, 0.001))
        return min(most * (0.5 + self.chance(1)[0] / 510), remaining)

    def close(self) -> None:
        """Close idle connections; use opens them again."""
        self.server.close()

    async def aclose(self) -> None:
        """Close idle connections, the running event loop's included."""
        await self.server.aclose()


class _Holding:
    """What both colours of a held lock are made of.

    :ivar key: what is locked.
    :ivar token: its fencing token: higher than every earlier holder's.
    """

    def __init__(self, locks: Locks, lease: Lease, token: int, since: float) -> None:
        self.key: Final = lease.key
        self.token: Final = token
        self._locks = locks
        self._lease = lease
        self._until = since + lease.seconds
        self._over = False
        self._pid = os.getpid()
        self.due = since + lease.seconds / 3

    @property
    def lost(self) -> bool:
        """True if it is known to be lost, without asking: it ran out by our clock, or the server said so."""
        return self._over or self._locks.clock() >= self._until or os.getpid() != self._pid

    def renewed(self, since: float, yes: bool) -> None:
        """What a renewal that was sent at *since* was answered."""
        if yes:
            self._until = since + self._lease.seconds
            self.due = since + self._lease.seconds / 3
        else:
            self._lose()

    def not_renewed(self, error: Exception) -> None:
        """A renewal got no answer: try again soon, as long as there is time."""
        now = self._locks.clock()
        self.due = now + self._lease.seconds / 10
        if now >= self._until:
            self._lose()
        _log.warning("renewing the lock on %s failed: %s", self.key, error)

    def _lose(self) -> None:
        if not self._over:
            _log.warning("the lock on %s was lost", self.key)
        self._over = True

    def _judged(self, left: float | None) -> float:
        if left is None or self.lost:
            self._lose()
            raise LockLost(self.key)
        return left

    def __repr__(self) -> str:
        return f"<lock on {self.key!r}, token {self.token}{', lost' if self.lost else ''}>"


class Held(_Holding):
    """A lock that is held, in a ``with``."""

    def check(self) -> float:
        """Ask whether it is still ours; returns the seconds left. It may be lost a moment later: `fence` is what is safe.

        :raises LockLost: if it isn't.
        :raises LockUnavailable: if nobody can say.
        """
        return self._judged(None if self.lost else self._locks.server.look(self._lease))

    def fence(self, db: Any) -> None:
        """Show the token to the database that is written to; see `troth.fence`.

        :raises StaleToken: if a later holder was there: nothing may be written.
        """
        fence(db, self.key, self.token)

    def renew(self) -> None:
        """Renew it now; called by the watch."""
        since = self._locks.clock()
        try:
            self.renewed(since, not self._over and self._locks.server.renew(self._lease))
        except Exception as error:
            self.not_renewed(error)

    @property
    def over(self) -> bool:
        """Nothing is to be renewed any more."""
        return self._over


class AsyncHeld(_Holding):
    """A lock that is held, in an ``async with``."""

    async def check(self) -> float:
        """As `Held.check`."""
        return self._judged(None if self.lost else await self._locks.server.alook(self._lease))

    async def fence(self, db: Any) -> None:
        """As `Held.fence`, for a connection that is awaited; a sync step's is fenced by ``troth.fence(db, key, token)``."""
        await fence.aio(db, self.key, self.token)

    async def renewing(self) -> None:
        """Renew it whenever it is due, until cancelled or lost."""
        while not self._over:
            await asyncio.sleep(max(self.due - self._locks.clock(), 0))
            since = self._locks.clock()
            try:
                self.renewed(since, await self._locks.server.arenew(self._lease))
            except Exception as error:
                self.not_renewed(error)


class Hold:
    """A lock that is taken when it is entered, and given back when it is left; it can be entered once."""

    def __init__(self, locks: Locks, lease: Lease, wait: float, renew: bool) -> None:
        self._locks = locks
        self._lease = lease
        self._wait = wait
        self._renew = renew
        self._held: Held | AsyncHeld | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- with -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Held:
        """Take it.

        :raises Busy: if somebody else holds it, and did so for all of `wait`.
        :raises LockUnavailable: if the server doesn't answer.
        """
        if _in_loop():
            raise WrongColour("`with locks.hold(…):` would block the event loop that runs here. Write: async with locks.hold(…)")
        self._first()
        begun, number = self._locks.clock(), 0
        while True:
            since = self._locks.clock()
            got = self._locks.server.take(self._lease)
            if got.token:
                break
            time.sleep(self._next(got, begun, number))
            number += 1
        held = self._held = Held(self._locks, self._lease, got.token, since)
        if self._renew:
            self._locks.watch.add(held)
        return held

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        held = self._held
        assert isinstance(held, Held)
        self._locks.watch.remove(held)
        if held._pid != os.getpid():
            return  # a forked child: the lock is the parent's
        try:
            self._returned(self._locks.server.release(self._lease))
        except LockUnavailable as unavailable:
            self._left_behind(unavailable)

    # -- async with -----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> AsyncHeld:
        """As `__enter__`. Cancelled while it is being taken, it is given back."""
        self._first()
        begun, number = self._locks.clock(), 0
        while True:
            since = self._locks.clock()
            taking = self._spawn(self._locks.server.atake(self._lease))
            try:
                got: Taken = await asyncio.shield(taking)
            except asyncio.CancelledError:
                _ = self._spawn(self._give_back(taking))
                raise
            if got.token:
                break
            await asyncio.sleep(self._next(got, begun, number))
            number += 1
        held = self._held = AsyncHeld(self._locks, self._lease, got.token, since)
        if self._renew:
            self._renewal = self._spawn(held.renewing())
        return held

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        await asyncio.shield(self._spawn(self._give_back(None)))

    async def _give_back(self, taking: asyncio.Task[Taken] | None) -> None:
        """Release it, once an attempt that nobody waits for any more has ended."""
        try:
            if taking is not None and not (await taking).token:
                return
            self._returned(await self._locks.server.arelease(self._lease))
        except LockUnavailable as unavailable:
            self._left_behind(unavailable)

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- both -----------------------------------------------------------------------------------------------------

    def _first(self) -> None:
        if self._held is not None:
            raise ConfigurationError(f"lock {self._lease.key}: this hold was entered before. Call locks.hold(…) again.")

    def _next(self, got: Taken, begun: float, number: int) -> float:
        remaining = begun + self._wait - self._locks.clock()
        if remaining <= 0:
            raise Busy(self._lease.key, got.free_in)
        return self._locks.pause(number, got.free_in, remaining)

    def _returned(self, ours: bool) -> None:
        if not ours and self._held is not None:
            self._held._lose()

    def _left_behind(self, error: LockUnavailable) -> None:
        _log.warning("giving the lock on %s back failed; it runs out by itself: %s", self._lease.key, error)


def _seconds(value: Any, what: str, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < 1e9:
        raise ConfigurationError(f"{what}={value!r} is no time. Give seconds, {least:g} or more.")
    return float(value)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
