"""The lock exam: every numbered clause of `troth.ports.locks`, examined on a lock server of yours, in one colour.

```python
class TestMyLocks(LocksExam):
    @pytest.fixture
    def bench(self) -> Iterator[LocksBench]:
        ...
```
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from troth.ports.idempotency import LockUnavailable
from troth.ports.locks import Lease, LockServer, Taken

_NUMBERS = itertools.count(1)


class LocksBench:
    """One lock server under examination, in one colour.

    :param server: the candidate.
    :param colour: ``sync`` or ``async``.
    :param expire: makes a key's lease run out now, as if its seconds had passed.
    :param restart: kills the server and starts it again on its data; None where it can't be.
    :param forget: makes the server lose all its data; None where it can't.
    :param stop: makes the server not answer until `restart`; None where it can't.
    """

    def __init__(
        self,
        server: LockServer,
        colour: str,
        *,
        expire: Callable[[str], Any],
        restart: Callable[[], Any] | None = None,
        forget: Callable[[], Any] | None = None,
        stop: Callable[[], Any] | None = None,
    ) -> None:
        self.server = server
        self.expire = expire
        self.restart = restart
        self.forget = forget
        self.stop = stop
        self.runner = asyncio.Runner() if colour == "async" else None

    def ask(self, request: str, lease: Lease) -> Any:
        """One request in the bench's colour."""
        if self.runner is None:
            return getattr(self.server, request)(lease)
        return self.runner.run(getattr(self.server, f"a{request}")(lease))

    def take(self, lease: Lease) -> Taken:
        """A take."""
        taken: Taken = self.ask("take", lease)
        return taken

    def take_all(self, leases: list[Lease]) -> list[Taken]:
        """Takes at once."""
        if self.runner is None:
            with ThreadPoolExecutor(8) as pool:
                return list(pool.map(self.server.take, leases))

        async def together() -> list[Taken]:
            return await asyncio.gather(*(self.server.atake(lease) for lease in leases))

        return self.runner.run(together())

    def close(self) -> None:
        """Close what the bench opened."""
        if self.runner is not None:
            self.runner.run(self.server.aclose())
            self.runner.close()
        self.server.close()


def lease_of(key: str = "", seconds: float = 60.0) -> Lease:
    """What a new owner asks for; without a key, one that nobody asked for before."""
    number = next(_NUMBERS)
    return Lease(key or f"exam-{number}", f"owner-{number}", seconds)


class LocksExam:
    """Subclass it under a name that begins with ``Test`` and give it the fixture ``bench``."""

    @pytest.fixture
    def bench(self) -> LocksBench:
        """The candidate; overridden."""
        pytest.fail("a candidate for the lock exam must have a fixture `bench`: see LocksBench")

    def test_c01_one_of_many_is_granted_it(self, bench: LocksBench) -> None:
        """The others are told for how long it is leased at most."""
        first = lease_of()
        taken = bench.take_all([first, *(lease_of(first.key) for _ in range(15))])
        assert [bool(one.token) for one in taken].count(True) == 1
        assert all(0 < one.free_in <= 60 for one in taken if not one.token)
        assert [one.free_in for one in taken if one.token] == [0]

    def test_c02_tokens_rise(self, bench: LocksBench) -> None:
        """After a release, after running out, over a restart, and after all data is lost."""
        key = lease_of().key
        tokens: list[int] = []
        for between in (None, bench.restart, bench.forget):
            for ends_by in ("release", "expiry"):
                lease = lease_of(key)
                tokens.append(bench.take(lease).token)
                assert tokens[-1]
                if ends_by == "release":
                    assert bench.ask("release", lease)
                bench.expire(key)
            if between is not None:
                between()
        assert tokens == sorted(set(tokens))

    def test_c03_what_is_not_renewed_runs_out(self, bench: LocksBench) -> None:
        """Then the next one has it, and the former owner doesn't."""
        first = lease_of()
        bench.take(first)
        second = lease_of(first.key)
        assert not bench.take(second).token
        bench.expire(first.key)
        assert bench.take(second).token
        assert (bench.ask("look", first), bench.ask("look", second) is None) == (None, False)

    def test_c04_taking_again_is_the_same_grant(self, bench: LocksBench) -> None:
        """A first answer may have been lost on the way."""
        lease = lease_of()
        token = bench.take(lease).token
        assert bench.take(lease).token == token > 0

    def test_c05_renewing_is_the_holders(self, bench: LocksBench) -> None:
        """It starts the seconds anew; for anybody else, or too late, it is false and changes nothing."""
        short = lease_of(seconds=20.0)
        bench.take(short)
        assert bench.ask("renew", short._replace(seconds=90.0))
        assert 20 < bench.ask("look", short) <= 90
        assert not bench.ask("renew", lease_of(short.key, 500.0))
        assert bench.ask("look", short) <= 90
        bench.expire(short.key)
        assert not bench.ask("renew", short)
        assert bench.ask("look", short) is None

    def test_c06_releasing_is_the_holders(self, bench: LocksBench) -> None:
        """Who lost it can't take it from the next one."""
        first = lease_of()
        bench.take(first)
        bench.expire(first.key)
        second = lease_of(first.key)
        bench.take(second)
        assert not bench.ask("release", first)
        assert bench.ask("look", second)
        assert bench.ask("release", second)
        assert bench.take(first).token

    def test_c07_only_the_holder_is_told_the_seconds(self, bench: LocksBench) -> None:
        """Anybody else is told nothing."""
        lease = lease_of()
        assert bench.ask("look", lease) is None
        bench.take(lease)
        assert 0 < bench.ask("look", lease) <= 60
        assert bench.ask("look", lease_of(lease.key)) is None

    def test_c08_a_server_that_does_not_answer(self, bench: LocksBench) -> None:
        """It is said so; back again, the same object works, and what was held is held."""
        if bench.stop is None or bench.restart is None:
            return
        lease = lease_of()
        token = bench.take(lease).token
        bench.stop()
        with pytest.raises(LockUnavailable, match="doesn't answer"):
            bench.take(lease_of())
        bench.restart()
        assert bench.take(lease).token == token
        assert bench.ask("release", lease)

    def test_c09_a_cancelled_request_leaves_no_answer_behind(self, bench: LocksBench) -> None:
        """Wherever it is cancelled: the next requests get their own answers."""
        if bench.runner is None:
            return
        server = bench.server

        async def cancelled_after(turns: int) -> None:
            mine = lease_of()
            task = asyncio.ensure_future(server.atake(mine))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            one, other = lease_of(), lease_of()
            tokens = await asyncio.gather(server.atake(one), server.atake(other), server.alook(lease_of()))
            assert (tokens[0].token > 0, tokens[1].token > 0, tokens[2]) == (True, True, None)
            assert await server.alook(one) is not None

        for turns in range(25):
            bench.runner.run(cancelled_after(turns))
