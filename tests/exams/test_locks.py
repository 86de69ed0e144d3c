"""Every lock server sits the exam of its port, in each of its colours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from troth.adapters.locks import open_locks
from troth.adapters.locks.memory import MemoryLocks
from troth.testing.exams.locks import LocksBench, LocksExam
from troth.testing.servers.valkey import ValkeyServer


class TestMemory(LocksExam):
    """A dict in this process."""

    @pytest.fixture
    def bench(self) -> Iterator[LocksBench]:
        """A clock that a test moves."""
        now = [1000.0]
        bench = LocksBench(MemoryLocks(lambda: now[0]), "sync", expire=lambda _: now.append(now.pop() + 1000))
        yield bench
        bench.close()


@pytest.fixture(scope="module")
def own_server(valkey_server: ValkeyServer) -> Iterator[ValkeyServer]:
    """A server that is killed."""
    server = ValkeyServer()
    yield server
    server.close()


def redis_bench(server: ValkeyServer, colour: str) -> Iterator[LocksBench]:
    """A client of its own on the server that is killed."""

    def restart() -> None:
        server.crash()
        server.start()

    bench = LocksBench(
        open_locks(server.uri), colour,
        expire=lambda key: server.execute("PEXPIRE", f"troth:lock:{{{key}}}", 0),
        restart=restart, forget=lambda: server.execute("FLUSHALL"), stop=server.crash,
    )  # fmt: skip
    yield bench
    bench.close()


@pytest.mark.services
class TestRedisSync(LocksExam):
    """Valkey through redis-py, in threads."""

    @pytest.fixture
    def bench(self, own_server: ValkeyServer) -> Iterator[LocksBench]:
        """See above."""
        yield from redis_bench(own_server, "sync")


@pytest.mark.services
class TestRedisAsync(LocksExam):
    """Valkey through redis-py, in tasks."""

    @pytest.fixture
    def bench(self, own_server: ValkeyServer) -> Iterator[LocksBench]:
        """See above."""
        yield from redis_bench(own_server, "async")
