"""Holding locks: waiting, renewing, losing, giving back, in both colours."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.idempotency import holder, racer
from troth import Busy, ConfigurationError, LockLost, LockUnavailable, PayloadError, Troth, WrongColour
from troth.adapters.locks.memory import MemoryLocks
from troth.participant.holding import Locks
from troth.ports.locks import Lease, Taken
from troth.testing.servers.valkey import ValkeyServer

ROOT = Path(__file__).resolve().parents[2]


class Server(MemoryLocks):
    """A server whose clock a test moves, that counts renewals, and can fail."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(lambda: self.now)
        self.renewals = threading.Semaphore(0)
        self.down = False
        self.step = 0.0

    def look_at_the_clock(self) -> float:
        """The time; each look takes a step of it, so that nobody has to wait for it to pass."""
        self.now += self.step
        return self.now

    def take(self, lease: Lease) -> Taken:
        """A take, unless it is down."""
        self._answering()
        return super().take(lease)

    def renew(self, lease: Lease) -> bool:
        """A renewal, counted."""
        self.renewals.release()
        self._answering()
        return super().renew(lease)

    def release(self, lease: Lease) -> bool:
        """A release, unless it is down."""
        self._answering()
        return super().release(lease)

    def _answering(self) -> None:
        if self.down:
            raise LockUnavailable("down")


@pytest.fixture
def server() -> Server:
    """See above."""
    return Server()


@pytest.fixture
def locks(server: Server) -> Locks:
    """Locks whose own clock is the server's."""
    return Locks(server, clock=server.look_at_the_clock)


def test_it_is_given_back_when_it_is_left(locks: Locks) -> None:
    """By its end or by an exception; meanwhile anybody else is told to come again, and when."""
    with locks.hold("a", ttl=30) as held:
        assert (held.token, held.lost, held.check()) == (1, False, 30)
        with pytest.raises(Busy, match=r"Try again later, e\.g\. in 30 s") as told, locks.hold("a"):
            pass
        assert told.value.retry_after == 30
        with locks.hold("b") as other:
            assert other.token == 2
    with pytest.raises(KeyError), locks.hold("a"):
        raise KeyError
    with locks.hold("a") as again:
        assert again.token == 4


def test_it_is_given_back_when_it_is_left_by_a_task(locks: Locks) -> None:
    """The same, awaited."""

    async def program() -> None:
        async with locks.hold("a", ttl=30) as held:
            assert (held.token, held.lost, await held.check()) == (1, False, 30)
            with pytest.raises(Busy):
                async with locks.hold("a"):
                    pass
            with pytest.raises(WrongColour, match="async with"), locks.hold("b"):
                pass
        async with locks.hold("a") as again:
            assert again.token == 2

    asyncio.run(program())


def test_one_that_ran_out_is_noticed(locks: Locks, server: Server) -> None:
    """By our own clock without asking; and by asking, should the server have given it to another."""
    with locks.hold("a", ttl=30, renew=False) as held:
        server.now += 31
        assert held.lost
        with pytest.raises(LockLost, match="ran out"):
            held.check()
        with locks.hold("a") as other:
            assert other.token > held.token
    with locks.hold("b", renew=False) as held:
        server._leases.clear()
        assert not held.lost
        with pytest.raises(LockLost):
            held.check()
        assert held.lost


def test_leaving_one_that_was_lost_is_no_error(locks: Locks, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """What was done behind the fence is done: an exception would make callers do it again. It is logged, and seen."""
    with locks.hold("a", ttl=30, renew=False) as held:
        server.now += 31
        other = locks.hold("a")
        other.__enter__()
    assert held.lost
    assert "the lock on a was lost" in caplog.text
    other.__exit__(None, None, None)
    with locks.hold("c") as held:
        server.down = True
    server.down = False
    assert "it runs out by itself" in caplog.text


def test_it_is_renewed_while_it_is_held(locks: Locks, server: Server) -> None:
    """Long past its time."""
    server.step = 10.0
    with locks.hold("a", ttl=30) as held:
        for _ in range(12):
            assert server.renewals.acquire(timeout=60)
        assert not held._over
    assert server.now >= 1100


def test_it_is_renewed_while_a_task_holds_it(locks: Locks, server: Server) -> None:
    """The same, in a task; until it is lost."""
    server.step = 10.0

    async def program() -> None:
        async with locks.hold("a", ttl=30) as held:
            for _ in range(6):
                assert await asyncio.to_thread(server.renewals.acquire, timeout=60)
            server._leases.clear()
            while not held._over:
                await asyncio.sleep(0)
            with pytest.raises(LockLost):
                await held.check()

    asyncio.run(program())


def test_a_renewal_that_fails_is_tried_again_soon(locks: Locks, server: Server) -> None:
    """As long as there is time; one that is answered no loses the lock."""
    with locks.hold("a", ttl=30, renew=False) as held:
        server.now += 10
        held.renew()
        assert held.due == 1020
        server.down, server.now = True, 1020.0
        held.renew()
        assert (held.due, held.lost) == (1023, False)
        server.down = False
        held.renew()
        assert (held.due, held.lost) == (1030, False)
        server.down, server.now = True, 1051.0
        held.renew()
        assert held.lost
        server.down = False
    with locks.hold("b", ttl=30, renew=False) as other:
        server._leases.clear()
        other.renew()
        assert other.lost


def test_one_waits_for_it_as_long_as_asked(locks: Locks, server: Server) -> None:
    """With `wait` the next one has it when it is given back; else it is told that it is busy."""
    real = Locks(MemoryLocks())
    leave, waiting = threading.Event(), threading.Event()

    def first() -> int:
        with real.hold("a") as held:
            waiting.set()
            leave.wait(30)
            return held.token

    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(first)
        waiting.wait(30)
        with pytest.raises(Busy), real.hold("a", wait=0.05):
            pass
        leave.set()
        with real.hold("a", wait=30) as held:
            assert held.token > one.result()


def test_wrong_arguments_are_named(locks: Locks) -> None:
    """Before anything is asked."""
    for options, said in (({"ttl": 0}, "ttl=0 is no time"), ({"wait": -1}, "wait=-1 is no time"), ({"ttl": True}, "ttl")):
        with pytest.raises(ConfigurationError, match=said):
            locks.hold("a", **options)  # type: ignore[arg-type]
    with pytest.raises(PayloadError, match="names no lock"):
        locks.hold("")
    hold = locks.hold("a")
    with hold:
        pass
    with pytest.raises(ConfigurationError, match="entered before"):
        hold.__enter__()
    for target in ("http://x", "redis"):
        with pytest.raises(ConfigurationError, match="none that troth knows"):
            Troth("memory://").locks(target)
    with pytest.raises(ConfigurationError, match="redis-py can't read"):
        Troth("memory://").locks("redis://localhost:no-port/0")


# -- on a real server ------------------------------------------------------------------------------------------------


@pytest.fixture
def real(valkey_server: ValkeyServer) -> Iterator[Troth]:
    """A Troth object that closes its locks."""
    troth = Troth("memory://")
    yield troth
    troth.close()


@pytest.mark.services
def test_a_paused_holder_can_not_write(valkey_server: ValkeyServer, real: Troth, tmp_path: Path) -> None:
    """Stopped until its lock ran out and another had it: awake again it knows, and the fence refuses it all the same."""
    file = tmp_path / "bank.db"
    database = real.database("bank", f"sqlite:///{file}")
    database.plain(lambda db: db.execute("CREATE TABLE note (who TEXT)"))
    child = start(holder, valkey_server.uri, str(file))
    assert child.stdout and child.stdin
    token = int(child.stdout.readline().split()[1])
    os.kill(child.pid, signal.SIGSTOP)
    with real.locks(valkey_server.uri).hold("acc-1", wait=60) as held:
        assert held.token > token

        def write(db: sqlite3.Connection) -> None:
            held.fence(db)
            db.execute("INSERT INTO note VALUES ('next')")

        database.plain(write)
    os.kill(child.pid, signal.SIGCONT)
    said, _ = child.communicate("go on\n", timeout=60)
    assert said.split() == ["lost", "stale", str(held.token)]
    assert database.plain(lambda db: db.execute("SELECT who FROM note").fetchall()) == [("next",)]


@pytest.mark.services
def test_processes_that_race_lose_no_update(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    """Each reads, then writes what it read plus one."""
    file = tmp_path / "counter.db"
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE counter (n)")
    db.execute("INSERT INTO counter VALUES (0)")
    db.commit()
    children = [start(racer, valkey_server.uri, str(file), "8") for _ in range(3)]
    for child in children:
        assert (child.communicate(timeout=120), child.returncode) == (("", None), 0)
    assert db.execute("SELECT n FROM counter").fetchone() == (24,)
    db.close()


@pytest.mark.services
def test_a_lock_outlives_a_killed_server(valkey_server: ValkeyServer) -> None:
    """Killed and started again: the holder's lock is still its own, renewals go on, the next token is higher."""
    own = ValkeyServer()
    troth = Troth("memory://")
    locks = troth.locks(own.uri)
    try:
        with locks.hold("a", ttl=60) as held:
            own.crash()
            with pytest.raises(LockUnavailable):
                held.check()
            own.start()
            assert held.check() > 0
            with pytest.raises(Busy), locks.hold("a"):
                pass
        with locks.hold("a") as again:
            assert again.token > held.token
    finally:
        troth.close()
        own.close()


@pytest.mark.services
def test_a_task_that_is_cancelled_leaves_no_lock_behind(valkey_server: ValkeyServer) -> None:
    """At whichever await: afterwards the key is free, and every connection answers its own request."""
    troth = Troth("memory://")
    locks = troth.locks(valkey_server.uri)

    async def hold(key: str) -> None:
        async with locks.hold(key) as held:
            await held.check()

    async def cancelled_after(turns: int) -> bool:
        key = f"cancelled-{turns}"
        task = asyncio.ensure_future(hold(key))
        for _ in range(turns):
            await asyncio.sleep(0)
        finished = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with locks.hold(key, wait=20) as held:
            await held.check()
        return finished

    async def program() -> None:
        async with troth:
            turns = 0
            while not await cancelled_after(turns):
                turns += 1
            assert turns > 5

    asyncio.run(program())


@pytest.mark.services
def test_a_forked_child_leaves_its_parents_lock_alone(valkey_server: ValkeyServer, real: Troth) -> None:
    """It doesn't hold it, doesn't renew it, and doesn't give it back."""
    locks = real.locks(valkey_server.uri)
    with locks.hold("forked") as held:
        hold = locks.hold("in-child")
        child = os.fork()
        if not child:
            verdict = 1
            try:
                hold.__enter__()
                hold.__exit__(None, None, None)
                verdict = 0 if held.lost else 2
            finally:
                os._exit(verdict)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert held.check() > 0


def start(module: object, *words: str) -> subprocess.Popen[str]:
    """One of this folder's programs, with pipes."""
    program = str(module.__file__)  # type: ignore[attr-defined]
    return subprocess.Popen(
        [sys.executable, "-W", "error", program, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
    )  # fmt: skip


