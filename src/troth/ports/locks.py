"""The lock server port: leases on keys, each with a number that only rises. `troth.testing.exams.locks` examines each clause.

A lease buys efficiency; safety is the fence's (`troth.participant.fencing`), for any lease can run out under its holder.
`troth.participant.holding` waits, renews and releases; a server only knows the four requests below.

1. Of any number of owners that take a key at once, one is granted it; the others are told how long it is leased for.
2. A grant's token is higher than every token granted for that key before: after a release, after it ran out, after the
   server was killed and restarted, and after it lost its data.
3. A lease that isn't renewed runs out after its seconds; then the next owner is granted the key.
4. Taking again what the same owner holds is the same grant, with the same token: the first answer may have been lost.
5. Renewing by the holder starts the seconds anew. Once the lease has run out or belongs to another it is false, and
   changes nothing.
6. Releasing by the holder frees the key. By anybody else it is false, and changes nothing.
7. Looking tells the holder the seconds left, and anybody else None.
8. A server that can't be asked is `LockUnavailable`, in time; once it is back the same object works again.
9. A request cancelled at any await leaves every connection answering its own next request.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Lease(NamedTuple):
    """What is asked for.

    :param key: what is locked.
    :param owner: who asks: drawn for one hold, never used again.
    :param seconds: after which it runs out unless renewed.
    """

    key: str
    owner: str
    seconds: float


class Taken(NamedTuple):
    """The answer to a take.

    :param token: the fencing token, or 0 if somebody else holds the key.
    :param free_in: seconds after which it will be free, unless renewed; 0 if it was granted.
    """

    token: int
    free_in: float = 0.0


class LockServer(Protocol):
    """See the module's clauses. Each request in both colours."""

    def take(self, lease: Lease) -> Taken: ...
    def renew(self, lease: Lease) -> bool: ...
    def release(self, lease: Lease) -> bool: ...
    def look(self, lease: Lease) -> float | None: ...
    async def atake(self, lease: Lease) -> Taken: ...
    async def arenew(self, lease: Lease) -> bool: ...
    async def arelease(self, lease: Lease) -> bool: ...
    async def alook(self, lease: Lease) -> float | None: ...
    def close(self) -> None:
        """Close what is idle; use opens it again."""
        ...

    async def aclose(self) -> None:
        """The same, for the running event loop's too."""
        ...
