"""What must rest while the process forks.

SQLite keeps its locks per process and file, in memory that a child inherits while the kernel's locks stay the parent's. A
connection that is open at a fork therefore leaves a child that believes in locks it hasn't: it finds the file locked for
ever if the parent was writing, and else the last other process to leave deletes the write-ahead log from under it. So
SQLite's rule is *never fork with an open connection*. Here all of ours are closed before a fork, and opened again on both
sides when they are needed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, Protocol

PATIENCE: Final = 5.0
"""Seconds that a fork waits for local transactions under way; one that takes longer is inherited."""
log = logging.getLogger("troth")


class Rests(Protocol):
    """Has connections that a child may not inherit."""

    def rest(self, patience: float) -> Callable[[], None] | None:
        """Wait for what is under way, close, and begin nothing new.

        :param patience: seconds to wait at most.
        :return: what ends the rest; None: it was in use for too long, and is inherited as it is.
        """
        ...


class _Forking(threading.local):
    def __init__(self) -> None:
        self.wakes: list[Callable[[], None]] = []


_known: weakref.WeakSet[Rests] = weakref.WeakSet()
_forking = _Forking()


def rests_at_forks(thing: Rests) -> None:
    """Have it rest at each fork from now on, as long as it lives."""
    _known.add(thing)


def nothing_rested() -> None:
    """What ends the rest of a thing that had nothing open."""


def _before() -> None:
    end = time.monotonic() + PATIENCE
    for thing in list(_known):
        wake = thing.rest(max(0.0, end - time.monotonic()))
        if wake is None:
            log.warning("forked while %s was in use: the child may find it locked", thing)
        else:
            _forking.wakes.append(wake)


def _after() -> None:
    wakes, _forking.wakes = _forking.wakes, []
    for wake in reversed(wakes):
        wake()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
