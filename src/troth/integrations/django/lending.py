"""Inside a Django ``TestCase`` there is one connection per alias, in a transaction that is rolled back: steps share it.

A saga's steps run in several threads. The test's own thread waits while they do, so for that time its connections are
lent to them, one step at a time. Django's ``LiveServerTestCase`` shares a connection in the same way.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

Connections = dict[str, Any]


def in_tests() -> bool:
    """May a TestCase be running in this process? Quick, and no in every process that serves."""
    return "django.test.testcases" in sys.modules


def of_test() -> Connections:
    """This thread's connections that are in a transaction of a TestCase and in no other block; none outside tests."""
    if not in_tests():
        return {}
    known = connections.all(initialized_only=True)
    return {
        each.alias: each
        for each in known
        if each.atomic_blocks and all(getattr(block, "_from_testcase", False) for block in each.atomic_blocks)
    }


class Lending:
    """What is lent, and to whom just now."""

    def __init__(self) -> None:
        self._lent: Connections = {}
        self._turn = threading.RLock()
        self._count = threading.Lock()
        self._users = 0

    @contextmanager
    def lend(self, given: Connections) -> Iterator[None]:
        """Lend a test's connections while its thread waits."""
        with self._count:
            self._users += 1
            self._lent = given
        for connection in given.values():
            connection.inc_thread_sharing()
        try:
            yield
        finally:
            with self._turn, self._count:  # whoever has them gives them back before
                self._users -= 1
                if not self._users:
                    self._lent = {}
            for connection in given.values():
                connection.dec_thread_sharing()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Work on what is lent, alone, if anything is."""
        if not self._lent:
            yield
            return
        with self._turn:
            lent = self._lent
            before = {each.alias: each for each in connections.all(initialized_only=True) if each.alias in lent}
            for alias, connection in lent.items():
                connections[alias] = connection
            try:
                yield
            finally:
                for alias in lent:
                    if alias in before:
                        connections[alias] = before[alias]
                    else:
                        del connections[alias]
