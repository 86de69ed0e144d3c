"""Calls under way in this process: a repetition waits for the answer of the first, and there is an end to how many there are."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from troth.core import limits
from troth.core.reply import Reply
from troth.core.words import Word
from troth.participant.serving import Task
from troth.ports.errors import PayloadError

_log = logging.getLogger("troth.serving")


class Future(Protocol):
    """What `asyncio.Future` and `concurrent.futures.Future` have in common."""

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Call the function once it is done."""
        ...


F = TypeVar("F", bound=Future)


class Flights(Generic[F]):
    """The calls under way, each as a future of its `Reply`.

    A client that gave up asks again while its first call still runs. Behind a barrier the second would hold a thread and a
    connection only to wait for the first one's row; so it waits here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[tuple[str, str], tuple[bytes, F]] = {}
        self._held: Counter[str] = Counter()
        self._all: set[F] = set()
        """Held, since an event loop holds its tasks weakly only."""

    def board(self, task: Task, make: Callable[[], F]) -> tuple[F | None, bool]:
        """(the future of the task's reply, whether it was made now); (None, False) if there are too many."""
        key, args, name = task.key, bytes(task.call.args), task.offered.name
        with self._lock:
            flying = self._by_key.get(key)
            if flying is not None and flying[0] == args and not task.ordinary:
                return flying[1], False
            if len(self._all) >= limits.CALLS_IN_FLIGHT or self._held[name] >= limits.CALLS_PER_DESTINATION:
                return None, False
            future = make()
            self._all.add(future)
            self._held[name] += 1
            if flying is None:  # else: the same key with another payload, which the barrier judges
                self._by_key[key] = (args, future)
        future.add_done_callback(lambda _: self._land(key, name, future))
        return future, True

    def _land(self, key: tuple[str, str], name: str, future: F) -> None:
        with self._lock:
            self._all.discard(future)
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]
            flying = self._by_key.get(key)
            if flying is not None and flying[1] is future:
                del self._by_key[key]


def full(task: Task) -> str:
    """Why a call was turned away."""
    return f"too many calls of {task.offered.name} are under way here"


def told(task: Task, reply: Reply) -> Reply:
    """The reply; what failed here is logged here, with its traceback, for the caller only sees its words."""
    if reply.cause is not None and reply.word in (Word.NOT_DONE, Word.UNKNOWN):
        call = task.call
        trace = None if isinstance(reply.cause, PayloadError) else reply.cause
        whose = call.gid or "no transaction"
        _log.error("%s, asked to %s for %s: %s", task.offered.name, call.op, whose, reply.reason, exc_info=trace)
    return reply


def broken(error: BaseException) -> Reply:
    """What a call that raised instead of replying replied."""
    return Reply(Word.UNKNOWN, reason=f"the call was ended from outside: {type(error).__name__}", cause=error)
