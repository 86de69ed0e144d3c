"""The resource port: a database as a branch of a two-phase transaction. `troth.testing.exams.resource` examines each clause.

Each `troth.database` has one `Resource` (`Guarded.resource`). *Ours* are the branches that a connection handed out by
`enlist` carries; whatever others prepare is a stranger's.

1.  Nothing is connected at construction. `enlist` takes a connection, waits for one at most ``call.timeout`` seconds, begins
    a local transaction on it and hands it out: the library's own, in the calling thread or task, and nowhere else.
    `EnlistFailed` if that can't be: then nothing is open.
2.  Before its first branch a resource looks at its server (`preflight`) and makes the barrier's tables; what can't work is
    a `ConfigurationError` with its cure, and is looked at again the next time.
3.  On the connection handed out commit, rollback, close and ``with`` raise `DefinitionError`. Should the local transaction
    have ended all the same, `prepare` is ``refused``.
4.  `prepare` answers ``done`` only if the branch survives everything from now on but a decision; ``refused``: it is rolled
    back and never will be prepared; ``unknown``: it may be either. A failed local transaction is ``refused``.
5.  A ``done`` with the result `READ_ONLY` says that nothing was written and the branch has ended: nothing is owed.
6.  A prepared branch that wrote has its *witness*: the barrier's row (uid, `Xid.witness`, ``prepare``), done, which commits
    with it.
7.  A late `prepare`, after `rollback` or `seal` of the same branch, is ``refused``, or is undone by the next rollback.
8.  `Enlisted.commit` after `prepare` commits on the same connection. Without `prepare` it is one local commit with the
    witness, for the only writer and for the last resource: ``done``, ``refused`` (rolled back) or ``unknown``.
9.  `Enlisted.rollback` rolls back, prepared or not; after an ``unknown`` it does what `Resource.rollback` does.
10. `release` gives the connection back, or closes it; never waits; can be called at any time, more than once. A branch that
    isn't prepared is rolled back by it, one that is prepared stays so.
11. `commit` and `rollback` of the resource work from any thread at any time, as often as wanted, on the branches of any
    process: the second answer is the first one's.
12. A branch that the database doesn't know is committed if its witness is there, rolled back if it is not. A `commit` of
    one that was rolled back, or a `rollback` of one that was committed, is ``refused``, ``heuristic: …`` with the evidence.
    One that is listed but can't be had at the moment is ``unknown``.
13. `rollback` leaves a tombstone at the witness's key, after the branch itself is rolled back.
14. `seal` makes a branch that was never committed impossible: ``sealed``; ``done``: it is committed. It waits within
    ``call.timeout`` for an open local transaction that holds the witness; ``unknown``: that was too short.
15. `prepared` lists the prepared branches that are ours and in this database, and no stranger's.
16. Rows below the log's low-water mark may have been purged: an older call that finds no row is ``unknown: evidence purged``,
    and `Enlisted.commit` without `prepare` is ``refused`` then.
17. A prepared branch outlives its connection, its process and a crash of the server, and can be committed or rolled back
    from another connection afterwards.
18. Every answer is a `Reply`, whatever `Exception` the library raises. Any other `BaseException` passes once the connection
    is closed, which means unknown.
19. Where ``prepares`` is False the resource can only be the last one: `prepare` is ``refused``, `prepared` is empty.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from msgspec import Raw

from troth.core.reply import Reply
from troth.core.xid import Xid
from troth.ports.caller import Call
from troth.ports.errors import TrothError

READ_ONLY: Final = Raw(b'"read_only"')
"""The result of a prepare that found nothing written: the branch has ended and drops out."""
HEURISTIC: Final = "heuristic: "
"""What the reason of a refused commit or rollback starts with: somebody settled the branch otherwise behind our back."""


class EnlistFailed(TrothError):
    """A database could not be enlisted: nothing is open there, and the two-phase transaction can only be rolled back.

    :param database: its name.
    :param reason: why, in words.
    """

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(f"{database} could not be enlisted: {reason}")
        self.database = database
        self.reason = reason


class Finding(NamedTuple):
    """Something about a server that stands in the way of two-phase commit, or may.

    :param kind: a short word for it, e.g. ``max_prepared_transactions``.
    :param message: what is wrong.
    :param cure: what to do.
    :param blocks: False where it works all the same, and only somebody should know.
    """

    kind: str
    message: str
    cure: str
    blocks: bool = True


class Enlisted(Protocol):
    """A branch in the making: a connection with a local transaction open on it, in the thread that enlisted."""

    @property
    def connection(self) -> Any:
        """The library's own connection or session, for the user."""
        ...

    def prepare(self) -> Reply:
        """Vote; see clauses 3 to 7."""
        ...

    def commit(self) -> Reply:
        """Commit; see clause 8."""
        ...

    def rollback(self) -> Reply:
        """Roll back; see clause 9."""
        ...

    def release(self) -> None:
        """Give up the connection; see clause 10."""
        ...


class AsyncEnlisted(Protocol):
    """The same in a task."""

    @property
    def connection(self) -> Any: ...
    async def aprepare(self) -> Reply: ...
    async def acommit(self) -> Reply: ...
    async def arollback(self) -> Reply: ...
    def release(self) -> None: ...


class Resource(Protocol):
    """See the module's clauses. Of a `Call` only uid, begun, low_water, log and timeout are looked at."""

    @property
    def name(self) -> str:
        """The database's name."""
        ...

    @property
    def colours(self) -> frozenset[str]:
        """``sync``, ``async`` or both: which half works."""
        ...

    @property
    def prepares(self) -> bool:
        """False: it can only be the last resource."""
        ...

    def enlist(self, xid: Xid, call: Call) -> Enlisted:
        """Begin a branch.

        :param xid: its name; given to nothing else ever.
        :param call: the call of op ``prepare``; its timeout bounds the wait for the connection and every lock.
        :raises EnlistFailed: if there is no connection, or it can't begin.
        :raises ConfigurationError: if the server can't do it, with the cure.
        """
        ...

    def commit(self, xid: Xid, call: Call) -> Reply:
        """Commit a prepared branch, wherever it was prepared; see clauses 11 and 12."""
        ...

    def rollback(self, xid: Xid, call: Call) -> Reply:
        """Roll a branch back, prepared or not, and make it impossible; see clauses 11 to 13."""
        ...

    def seal(self, xid: Xid, call: Call) -> Reply:
        """Make a branch impossible unless it is committed, and say which; see clause 14."""
        ...

    def prepared(self, timeout: float) -> list[Xid]:
        """The prepared branches that are ours, of any log.

        :param timeout: seconds.
        :raises Exception: the library's own, if the server can't be asked: leave its branches alone then.
        """
        ...

    def preflight(self, timeout: float) -> list[Finding]:
        """Look at the server; what stands in the way first. Nothing is changed.

        :raises Exception: the library's own, if the server can't be asked.
        """
        ...

    async def aenlist(self, xid: Xid, call: Call) -> AsyncEnlisted: ...
    async def acommit(self, xid: Xid, call: Call) -> Reply: ...
    async def arollback(self, xid: Xid, call: Call) -> Reply: ...
    async def aseal(self, xid: Xid, call: Call) -> Reply: ...
    async def aprepared(self, timeout: float) -> list[Xid]: ...
    async def apreflight(self, timeout: float) -> list[Finding]: ...
