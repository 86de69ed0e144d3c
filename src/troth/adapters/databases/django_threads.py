"""What Django's connections, one per thread and alias, need where no request begins and ends: in troth's own threads."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any, Final

from django.db import connections

OURS: Final = "troth-"
"""How the names of troth's own threads begin."""


class Kept:
    """The connections that idle threads of troth keep open, as long as ``CONN_MAX_AGE`` allows.

    :ivar ageless: keep none, whatever ``CONN_MAX_AGE`` says (a test database can't be dropped while one is open).
    """

    def __init__(self) -> None:
        self.ageless = False
        self._guard = threading.Lock()
        self._idle: dict[threading.Thread, list[Any]] = {}
        self._depth = threading.local()

    def take_up(self) -> None:
        """This thread begins a piece of work: nobody else may close its connections; what has grown old is closed.

        Pieces may be nested.
        """
        depth = getattr(self._depth, "value", 0)
        self._depth.value = depth + 1
        if depth or not in_our_thread():
            return
        with self._guard:
            idle = self._idle.pop(threading.current_thread(), [])
        for connection in idle:
            put_down(connection)

    def put_down(self) -> None:
        """It has ended the piece; after the outermost, what is too old or broken is closed, the rest kept for the next."""
        self._depth.value -= 1
        if self._depth.value or not in_our_thread():
            return
        known = connections.all(initialized_only=True)
        for connection in known:
            put_down(connection, close=self.ageless)
        here = threading.current_thread()
        with self._guard:
            open_ones = [each for each in known if each.connection is not None and not each.in_atomic_block]
            if open_ones:
                self._idle[here] = open_ones
            left = [self._idle.pop(thread) for thread in list(self._idle) if not thread.is_alive()]
        for connection in (each for some in left for each in some):
            close_elsewhere(connection)

    def close(self) -> None:
        """Close what idle threads keep, from whichever thread."""
        with self._guard:
            idle, self._idle = self._idle, {}
        for connection in (each for some in idle.values() for each in some):
            close_elsewhere(connection)

    def forget(self) -> None:
        """In a forked child: those threads and their connections are the parent's."""
        self._guard = threading.Lock()
        inherited, self._idle = self._idle, {}
        for connection in (each for some in inherited.values() for each in some):
            keep_for_ever(connection)


def put_down(connection: Any, *, close: bool = False) -> None:
    """Close a connection that is too old or broken, or at any rate; not in the middle of a transaction."""
    if connection.in_atomic_block:
        return
    if close:
        connection.close()
    else:
        connection.close_if_unusable_or_obsolete()


def drop_if_broken(connection: Any) -> None:
    """Close a connection on which an error was met, if it doesn't work any more; the next use opens it again."""
    if connection.connection is not None and connection.errors_occurred:
        if connection.is_usable():
            connection.errors_occurred = False
        else:
            connection.close()


def close_elsewhere(connection: Any) -> None:
    """Close a connection that another thread made and doesn't use now."""
    connection.inc_thread_sharing()
    try:
        connection.close()
    finally:
        connection.dec_thread_sharing()


def keep_for_ever(connection: Any) -> None:
    """In a forked child: never close the connection, not even at the interpreter's end, which would end the parent's.

    Its socket, if it has one, is closed here alone: an open copy would keep the server from seeing that the parent has
    died.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
    fileno = getattr(connection.connection, "fileno", None)
    if fileno is not None:
        try:
            os.close(fileno())
        except Exception:  # it was closed already; each library says so in its own way
            return


def in_our_thread() -> bool:
    """Is this a thread of troth's, which no request and no test has opened?"""
    return threading.current_thread().name.startswith(OURS)


def in_block(connection: Any) -> bool:
    """Is a transaction open that somebody else will end? Those that wrap a Django ``TestCase`` don't count."""
    if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
        return True
    return connection.connection is not None and not connection.in_atomic_block and not connection.get_autocommit()


KEPT: Final = Kept()
