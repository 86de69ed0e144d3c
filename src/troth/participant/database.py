"""A database behind the barrier: a driver, and the protocol spoken to it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from troth.core.reply import Reply
from troth.participant.barrier import Conversation, Inspection, purge
from troth.ports.caller import Call
from troth.ports.database import AsyncEffect, Driver, Effect, Script

T = TypeVar("T")
Exceptions = tuple[type[BaseException], ...]

PURGE_EVERY: Final = 256
"""Calls between two purges of a log: often enough that rows don't pile up, rarely enough that nobody pays for it."""
PURGE_ROWS: Final = 1_024
"""Rows deleted at a time: more than arrive in between, few enough that the transaction stays short."""

_log = logging.getLogger(__name__)


class Guarded:
    """A `troth.ports.database.Database`: every call goes through the barrier in its own database.

    :param name: how the user calls it.
    :param driver: the database and its library.
    """

    def __init__(self, name: str, driver: Driver, *, purge_every: int = PURGE_EVERY) -> None:
        self.name = name
        self.driver = driver
        self._purges = _Purges(purge_every)
        self._inspection = Inspection()

    def __repr__(self) -> str:
        return f"<database {self.name!r}>"

    @property
    def colours(self) -> frozenset[str]:
        """``sync``, ``async`` or both."""
        return self.driver.colours

    def run(self, call: Call, effect: Effect, *, refuse_on: Exceptions = (), no_retry: Exceptions = ()) -> Reply:
        """Answer one call; see the port's clauses.

        :param effect: run on the driver's own connection if the barrier says so.
        """
        return self.converse(self.conversation(call, refuse_on, no_retry), effect)

    def converse(self, conversation: Conversation, effect: Effect) -> Reply:
        """Hold a conversation to its end, and purge if it is time."""
        call = conversation.call
        reply = self.driver.drive(conversation.run(), effect)
        if self._purges.due(call):
            try:
                self._purges.done(call, self.driver.drive(self._purge(call)))
            except Exception as error:  # a purge is housekeeping: the call is answered
                _log.warning("purging barrier rows of %s failed: %s", self.name, error)
        return reply

    async def arun(
        self, call: Call, effect: AsyncEffect, *, refuse_on: Exceptions = (), no_retry: Exceptions = ()
    ) -> Reply:
        """`run` in the other colour."""
        return await self.aconverse(self.conversation(call, refuse_on, no_retry), effect)

    async def aconverse(self, conversation: Conversation, effect: AsyncEffect) -> Reply:
        """`converse` in the other colour."""
        call = conversation.call
        reply = await self.driver.adrive(conversation.run(), effect)
        if self._purges.due(call):
            try:
                self._purges.done(call, await self.driver.adrive(self._purge(call)))
            except Exception as error:
                _log.warning("purging barrier rows of %s failed: %s", self.name, error)
        return reply

    def conversation(self, call: Call, refuse_on: Exceptions = (), no_retry: Exceptions = ()) -> Conversation:
        """A conversation about a call, to be held by `converse` or `aconverse`."""
        return Conversation(
            call, self.driver, refuse_on=refuse_on, no_retry=no_retry, inspection=self._inspection
        )

    def _purge(self, call: Call) -> Script[int]:
        return purge(self.driver, call.log, call.low_water, limit=PURGE_ROWS, patience=call.timeout)

    def plain(self, function: Callable[[Any], T]) -> T:
        """Run the function in an ordinary local transaction, without a barrier."""
        return self.driver.plain(function)

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> T:
        """`plain` in the other colour."""
        return await self.driver.aplain(function)

    def close(self) -> None:
        """Close what is idle; use opens it again."""
        self.driver.close()

    async def aclose(self) -> None:
        """Close what is idle, the running loop's connections included."""
        await self.driver.aclose()

    def abandon(self) -> None:
        """In a forked child: forget the inherited connections."""
        self._purges = _Purges(self._purges.every)
        self.driver.abandon()


class _Purges:
    """When a log's rows are to be purged next: counted in calls, so no clock is needed."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._lock = threading.Lock()
        self._calls: dict[str, int] = {}
        self._marks: dict[str, int] = {}

    def due(self, call: Call) -> bool:
        """Count a call; True if its log's mark has moved, or rows were left, and enough calls have passed."""
        with self._lock:
            count = self._calls.get(call.log, 0) + 1
            ripe = count >= self.every and call.low_water > self._marks.get(call.log, 0)
            self._calls[call.log] = 0 if ripe else count
            return ripe

    def done(self, call: Call, rows: int) -> None:
        """Remember a purge; one that filled its batch has left rows, so the same mark is due again."""
        if rows < PURGE_ROWS:
            with self._lock:
                self._marks[call.log] = max(call.low_water, self._marks.get(call.log, 0))
