"""Kernel locks beside the file: the write turnstile and the proof of a node's life.

``flock`` belongs to the open file description: the kernel frees it when the last descriptor of a process is gone, at
once, however the process ended, and a stopped process keeps it. An inherited descriptor must therefore be closed in a
forked child (the parent keeps its own) and never unlocked there: LOCK_UN would free the parent's lock.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from types import TracebackType

from troth.adapters.stores.sqlite import failures
from troth.ports.errors import ConfigurationError

if sys.platform != "win32":
    import fcntl

    _flock = ctypes.PyDLL(None).flock
    """The system call without giving up the GIL: getting it back from a busy event loop can take 5 ms and more, the
    call takes one microsecond. Only for requests that do not wait."""


def require_flock() -> None:
    """:raises ConfigurationError: this system has no ``flock``."""
    if sys.platform == "win32":
        raise ConfigurationError("the SQLite log needs flock: use it on Linux, macOS or BSD, or another store")


class Turnstile:
    """One writer at a time over all processes of a machine, in the order they came.

    SQLite's own lock would do for safety, but its back-off is unfair: with four processes the slowest waited 440 ms
    where with this it waits 30 ms. Checkpoints go through it too.

    :param path: the lock's file; created if it is not there.
    """

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise failures.opening(error, path) from error

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            if _flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB) != 0:
                fcntl.flock(self._fd, fcntl.LOCK_EX)
        except BaseException:
            self._lock.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if _flock(self._fd, fcntl.LOCK_UN) != 0:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    def rest(self, patience: float) -> bool:
        """Keep this process's other threads out, once none is in; False after ``patience`` seconds. End it by `wake`."""
        return self._lock.acquire(timeout=patience)

    def wake(self) -> None:
        """Let threads in again."""
        self._lock.release()

    def close(self) -> None:
        """Give the descriptor back, without unlocking what a parent may hold."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class NodeFiles:
    """The directory of node files, each locked by its node's process for as long as it lives.

    A node's file is locked before its row can be seen, and is removed only after the node was declared dead; node
    numbers are never reused. So a row that counts as alive and whose file is missing or not locked is dead.

    :param path: the directory.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def _file(self, node: int) -> str:
        return os.path.join(self._path, str(node))

    def hold(self, node: int) -> None:
        """Lock the file of a node that is about to be registered."""
        path = self._file(node)
        try:
            os.makedirs(self._path, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise failures.opening(error, path) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise failures.opening(error, path) from error
        self._fd = fd

    def release(self) -> None:
        """End the proof of life. Only closes: a forked child may call it too."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def is_free(self, node: int) -> bool:
        """Is the process of this node gone? A paused one is not."""
        try:
            fd = os.open(self._file(node), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        except OSError:
            return False
        finally:
            os.close(fd)

    def remove(self, node: int) -> None:
        """Remove the file of a node that was declared dead."""
        try:
            os.unlink(self._file(node))
        except OSError:
            return
