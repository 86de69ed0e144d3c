"""Calls that someone here waits for: the part that functions, initiators and nested tries have in common."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw

from troth.core import limits
from troth.core.move import Called, Registered
from troth.core.state import Saga
from troth.engine.drive import Driver
from troth.engine.live import Live
from troth.ports.errors import LimitExceeded

Answered = Callable[[Raw | BaseException], None]
"""Gets a call's encoded result, or what it raises."""


class Waited:
    """Who waits for which branch of one transaction. All methods are called where the driver runs.

    :ivar over: no call counts any more.
    """

    def __init__(self, driver: Driver, live: Live) -> None:
        self.driver = driver
        self.live = live
        self.over = False
        self.waiting: dict[int, list[Answered]] = {}
        self.early: set[int] = set()

    def settled_as(self, saga: Saga, index: int) -> Raw | BaseException:
        """What the caller gets for a settled call."""
        raise TypeError("says what its callers get")

    def no_call(self) -> BaseException:
        """Why nothing can be called now."""
        raise TypeError("says why it makes no calls")

    def answer(self, index: int) -> None:
        """A call is settled; the driver asks for this."""
        waiting = self.waiting.pop(index, None)
        if waiting is None:
            self.early.add(index)
            return
        for answered in waiting:
            answered(self._answer(index))

    def new_call(self, event: Called | Registered, answered: Answered, cure: str) -> int:
        """Feed the event of a new call. Returns the branch's index; ``answered`` comes later, or before this returns.

        :param cure: what to do when there are too many branches.
        """
        live = self.live
        if len(live.saga.doc.branches) >= limits.BRANCHES:
            raise LimitExceeded("BRANCHES", limits.BRANCHES + 1, limits.BRANCHES, cure)
        self.driver.feed(live, event)
        index = live.saga.called
        if index < 0:
            raise self.no_call()
        if index in self.early:
            self.early.discard(index)
            answered(self._answer(index))
        else:
            self.waiting.setdefault(index, []).append(answered)
        return index

    def _answer(self, index: int) -> Raw | BaseException:
        answer = self.settled_as(self.live.saga, index)
        if isinstance(answer, BaseException):
            answer.__cause__ = self.live.causes.get(index)
        return answer

    def _still_counts(self) -> None:
        if self.over:
            raise self.no_call()
