"""Locks on Redis or Valkey, through redis-py.

Two keys per lock, in one hash slot: ``troth:lock:{key}`` holds ``owner:token`` for as long as the lease runs, and
``troth:lock:{key}:token`` the last token. A token is the server's time in microseconds, or one more than the last one if
that is higher. So tokens rise while Redis has its data (with ``appendonly yes``, ``appendfsync always`` also over a
crash), and, since time does, when it has lost them: a flush, an eviction, a failover that forgot the tail.

Each request is one script, run where nothing else runs meanwhile. redis-py calls scripts by their hash and loads them
again where the server has forgotten them (``NOSCRIPT`` after a restart).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import redis
from redis.asyncio.client import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from troth.ports.errors import ConfigurationError
from troth.ports.idempotency import LockUnavailable
from troth.ports.locks import Lease, Taken

T = TypeVar("T")

ANSWER_SECONDS: Final = 5.0
"""Seconds to wait for a connection and for an answer, unless the target says."""
RETRIES: Final = 2
"""Times that redis-py asks again where a connection was closed, as all are when the server restarts: every request here
may be repeated."""
TOKEN_DAYS: Final = 30
"""Days the last token of an unused key is kept; after that the server's time alone makes the next one higher."""

TAKE: Final = """
local held = redis.call('GET', KEYS[1])
if held then
  local owner, token = string.match(held, '^(.*):(%d+)$')
  if owner ~= ARGV[1] then return {'0', redis.call('PTTL', KEYS[1])} end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {token, 0}
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local token = string.format('%.0f', math.max(last + 1, now))
redis.call('SET', KEYS[2], token, 'EX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. token, 'PX', ARGV[2])
return {token, 0}
"""
_IF_MINE: Final = """
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^(.*):%d+$') ~= ARGV[1] then return -1 end
"""
RENEW: Final = _IF_MINE + "return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
RELEASE: Final = _IF_MINE + "return redis.call('DEL', KEYS[1])"
LOOK: Final = _IF_MINE + "return redis.call('PTTL', KEYS[1])"


class RedisLocks:
    """A Redis or Valkey server; see `troth.ports.locks`.

    :param target: ``redis://…``, ``rediss://…`` or ``unix://…``, as redis-py has them.
    :param prefix: what the keys begin with.
    :param options: what redis-py's ``from_url`` takes.
    :raises ConfigurationError: if redis-py can't read the target.
    """

    def __init__(self, target: str, *, prefix: str = "troth:lock:", **options: Any) -> None:
        self._target = target
        self._prefix = prefix
        self._options = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS, **options}
        self._loops: dict[asyncio.AbstractEventLoop, AsyncRedis] = {}
        self._asking: set[asyncio.Task[Any]] = set()
        try:
            again = Retry(ExponentialBackoff(cap=0.2, base=0.02), RETRIES)
            self._client = redis.Redis.from_url(target, **{"retry": again, **self._options})  # connects at first use
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"locks: redis-py can't read {target.partition('?')[0]!r}: {error}") from None
        self._scripts = {text: self._client.register_script(text) for text in (TAKE, RENEW, RELEASE, LOOK)}

    def _keys(self, lease: Lease) -> list[str]:
        name = f"{self._prefix}{{{lease.key}}}"
        return [name, f"{name}:token"]

    # -- in a thread --------------------------------------------------------------------------------------------

    def _ask(self, script: str, lease: Lease) -> Any:
        return asked(lambda: self._scripts[script](keys=self._keys(lease), args=arguments(lease)))

    def take(self, lease: Lease) -> Taken:
        """Take a key."""
        return taken(self._ask(TAKE, lease))

    def renew(self, lease: Lease) -> bool:
        """Start the seconds anew."""
        return bool(self._ask(RENEW, lease) == 1)

    def release(self, lease: Lease) -> bool:
        """Free the key."""
        return bool(self._ask(RELEASE, lease) == 1)

    def look(self, lease: Lease) -> float | None:
        """Seconds left."""
        return left(self._ask(LOOK, lease))

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    # -- in a task ----------------------------------------------------------------------------------------------

    def _loop_client(self) -> AsyncRedis:
        loop = asyncio.get_running_loop()
        client = self._loops.get(loop)
        if client is None:
            self._loops = {loop: client for loop, client in self._loops.items() if not loop.is_closed()}
            again = AsyncRetry(ExponentialBackoff(cap=0.2, base=0.02), RETRIES)
            client = self._loops[loop] = AsyncRedis.from_url(self._target, **{"retry": again, **self._options})
        return client

    async def _aask(self, script: str, lease: Lease) -> Any:
        """A request, in a task that nobody's cancellation reaches: its answer is always read, so none is left on a connection."""
        call = self._loop_client().register_script(script)
        asking = aasked(lambda: call(keys=self._keys(lease), args=arguments(lease)))
        task = asyncio.get_running_loop().create_task(asking)
        self._asking.add(task)
        task.add_done_callback(self._answered)
        return await asyncio.shield(task)

    def _answered(self, task: asyncio.Task[Any]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more

    async def atake(self, lease: Lease) -> Taken:
        """As `take`."""
        return taken(await self._aask(TAKE, lease))

    async def arenew(self, lease: Lease) -> bool:
        """As `renew`."""
        return bool(await self._aask(RENEW, lease) == 1)

    async def arelease(self, lease: Lease) -> bool:
        """As `release`."""
        return bool(await self._aask(RELEASE, lease) == 1)

    async def alook(self, lease: Lease) -> float | None:
        """As `look`."""
        return left(await self._aask(LOOK, lease))

    async def aclose(self) -> None:
        """Close the running loop's connections, and the threads' idle ones."""
        self.close()
        client = self._loops.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


def arguments(lease: Lease) -> list[Any]:
    """What every script is given."""
    return [lease.owner, max(int(lease.seconds * 1000), 1), TOKEN_DAYS * 86_400]


def taken(answer: Any) -> Taken:
    """The answer of `TAKE`."""
    token, wait = answer
    return Taken(int(token), max(int(wait), 0) / 1000)


def left(answer: int) -> float | None:
    """The answer of `LOOK`."""
    return None if answer < 0 else answer / 1000


def asked(ask: Callable[[], T]) -> T:
    """The answer, or our error.

    :raises LockUnavailable: if there is none.
    """
    try:
        return ask()
    except (RedisError, OSError) as error:
        raise LockUnavailable(f"the lock server doesn't answer: {error}") from error


async def aasked(ask: Callable[[], Awaitable[T]]) -> T:
    """`asked` in the other colour."""
    try:
        return await ask()
    except (RedisError, OSError) as error:
        raise LockUnavailable(f"the lock server doesn't answer: {error}") from error
