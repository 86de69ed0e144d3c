"""The database port: where effects live, behind the barrier. `troth.testing.exams.database` examines each clause.

A `Database` is what a step is ``on``. It has two halves: `Guarded` (in `troth.participant`), which speaks the barrier's
protocol, and a `Driver` (in `troth.adapters.databases`), which knows one library. The protocol is written once, as
generators that yield `Request`s; a driver answers each in its own colour, as psycopg 3 does inside itself.

1.  Nothing is opened, created or connected at construction; the barrier's tables are made at first use, and two who
    make them at once both succeed.
2.  `run` answers every call exactly once, with a `Reply`, whatever `Exception` the effect or the library raises. Any
    other `BaseException` (`CancelledError`, `KeyboardInterrupt`, `SystemExit`) passes through once the connection is
    discarded; it means unknown.
3.  The effect, the row that remembers it and its result are one local transaction: all of it is there, or nothing.
4.  A duplicate has no effect and gets the first answer: its result, or its reason. The same key with another payload
    is ``conflict``.
5.  `Refused` (or one of ``refuse_on``) undoes the effect, and is remembered for a do; for an undo or a confirm nothing
    is.
6.  Any other exception of the effect undoes everything and is ``not_done``; the next call runs again. One of
    ``no_retry`` says ``retry=False``.
7.  `Ongoing` keeps the effect; the next call runs again, until it is done.
8.  An undo without its do runs nothing, is done, and makes the do impossible; a late do is ``refused``. So does a seal,
    which answers ``sealed``, or what happened if it did. A check only looks.
9.  An undo is given the do's stored result, else the result that came with the call.
10. Two equal calls at once have one effect and get the same answer.
11. An error from COMMIT is ``unknown``, unless the database itself says that it rolled back for another's sake.
12. Serialization failures, deadlocks and busy locks are retried inside, a bounded number of times.
13. Inside a step, what would end the local transaction (commit, rollback, close, ``with db:`` …) raises
    `DefinitionError` naming what to do. Should the transaction be gone all the same, the reply is ``unknown``,
    ``retry=False``, and its reason starts with ``alert:``.
14. A log's rows below its low-water mark are purged now and then, its own only. Then a call older than the mark, with
    no row, is ``unknown: evidence purged`` and runs nothing.
15. `plain` is an ordinary local transaction: it commits on return, else rolls back and passes the exception on.
16. `close` closes what is idle, and what is in use when it is given back; it can be called twice, and use opens again.
    A pool that the user brought along is the user's to close.
17. After `abandon` (in a forked child) the inherited connections are neither used nor closed; use opens new ones.
18. A call cancelled at any await leaves every pooled connection answering its own next query.
19. Branches are told apart byte by byte: case, accents, width and blanks count. So are transactions, whatever bytes
    their uids hold.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from msgspec import Raw

from troth.core.reply import Reply
from troth.ports.caller import Call

T = TypeVar("T")

Effect = Callable[[Any, Raw | None], Raw]
"""(the driver's own connection, the do's stored result or None) -> the encoded result."""
AsyncEffect = Callable[[Any, Raw | None], Awaitable[Raw]]


class Begin(NamedTuple):
    """Start a local transaction on a connection of the pool. Answered with None.

    :param write: take the write lock at once where the database has one lock (SQLite).
    :param patience: seconds to wait for a connection and for any lock.
    """

    write: bool
    patience: float


class Execute(NamedTuple):
    """Run one statement, ``?`` standing for each parameter. Answered with `Answer`."""

    sql: str
    params: Sequence[Any] = ()


class RunEffect(NamedTuple):
    """Run the user's function on the connection. Answered with its encoded result; its exception is thrown in."""

    stored: Raw | None


class Commit(NamedTuple):
    """Commit and give the connection back. Answered with None; an exception means that nobody knows."""


class Rollback(NamedTuple):
    """Roll back and give the connection back. Never fails: a connection that can't roll back is discarded."""


class Discard(NamedTuple):
    """Close the connection without another word, so that the database rolls back. Never fails."""


class Pause(NamedTuple):
    """Wait between nothing and *most* seconds, by chance."""

    most: float


class Answer(NamedTuple):
    """What a statement did.

    :param changed: rows it changed.
    :param rows: rows it returned.
    """

    changed: int
    rows: Sequence[Sequence[Any]] = ()


Request = Begin | Execute | RunEffect | Commit | Rollback | Discard | Pause
Script = Generator[Request, Any, T]
"""A protocol: yields requests, is sent their answers (or thrown their exceptions), and returns."""


class Dialect(NamedTuple):
    """How the barrier's statements differ between databases.

    :param tables: statements that create the tables, run in one transaction.
    :param mysql: True where a duplicate is passed over by INSERT IGNORE and a DELETE takes a LIMIT, as in MySQL.
    :param inspect: a query that answers a row ``(what is wrong)`` for each flaw of tables that somebody else made; ""
        where they can't be wrong in a way that would go unseen.
    :param lock: what makes a SELECT lock its rows ("" where one writer holds the whole database).
    :param share: what makes the purge mark's SELECT safe from an old snapshot ("" where each statement sees its own).
    :param skip: what makes a purge pass over locked rows ("" as above).
    """

    tables: tuple[str, ...]
    lock: str = ""
    share: str = ""
    skip: str = ""
    mysql: bool = False
    inspect: str = ""


def fence_table(comparison: str = "", engine: str = "") -> str:
    """The statement that creates the table of `troth.fence`, in words that every database knows.

    :param comparison: what makes a text column compare byte by byte, where it doesn't by itself.
    :param engine: what makes the table transactional, where it isn't by itself.
    """
    return (
        "CREATE TABLE IF NOT EXISTS troth_fence "
        f"(name VARCHAR(255) {comparison} NOT NULL PRIMARY KEY, token BIGINT NOT NULL){engine}"
    )


class Faults(Protocol):
    """What one library's exceptions mean."""

    def transient(self, error: BaseException) -> bool:
        """The whole local transaction may be run again: a serialization failure, a deadlock, a busy lock."""
        ...

    def rolled_back(self, error: BaseException) -> bool:
        """Raised by COMMIT: the database itself says that nothing was kept, for another's sake."""
        ...

    def locked_out(self, error: BaseException) -> bool:
        """A lock was waited for in vain."""
        ...

    def lost(self, error: BaseException) -> bool:
        """The connection is gone."""
        ...

    def no_table(self, error: BaseException) -> bool:
        """A table does not exist."""
        ...

    def poisoned(self, error: BaseException) -> bool:
        """An earlier error was swallowed: the transaction can only be rolled back."""
        ...

    def own(self, error: BaseException) -> bool:
        """Raised by the library, or while one of its errors was being handled."""
        ...


class Driver(Protocol):
    """One database behind one library: connections, and answers to a script's requests."""

    @property
    def colours(self) -> frozenset[str]:
        """``sync``, ``async`` or both."""
        ...

    @property
    def dialect(self) -> Dialect:
        """Asked after each `Begin`: some databases tell their isolation level only when they are connected."""
        ...

    @property
    def faults(self) -> Faults: ...
    def drive(self, script: Script[T], effect: Effect | None = None) -> T:
        """Run a script to its end. The effect answers its `RunEffect`."""
        ...

    async def adrive(self, script: Script[T], effect: AsyncEffect | None = None) -> T: ...
    def plain(self, function: Callable[[Any], T]) -> T: ...
    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> T: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...
    def abandon(self) -> None: ...


class Database(Protocol):
    """See the module's clauses."""

    @property
    def name(self) -> str:
        """How the user calls it; in errors and metrics."""
        ...

    @property
    def colours(self) -> frozenset[str]:
        """``sync``, ``async`` or both: which functions may be steps on it."""
        ...

    def run(
        self,
        call: Call,
        effect: Effect,
        *,
        refuse_on: tuple[type[BaseException], ...] = (),
        no_retry: tuple[type[BaseException], ...] = (),
    ) -> Reply:
        """Answer one call; the effect is run if the barrier says so."""
        ...

    async def arun(
        self,
        call: Call,
        effect: AsyncEffect,
        *,
        refuse_on: tuple[type[BaseException], ...] = (),
        no_retry: tuple[type[BaseException], ...] = (),
    ) -> Reply: ...
    def plain(self, function: Callable[[Any], T]) -> T:
        """Run the function on a connection in a local transaction without a barrier."""
        ...

    async def aplain(self, function: Callable[[Any], Awaitable[T]]) -> T: ...
    def close(self) -> None:
        """Close idle connections (those of the sync colour)."""
        ...

    async def aclose(self) -> None:
        """Close idle connections, those of the running event loop included."""
        ...

    def abandon(self) -> None:
        """In a forked child: forget the inherited connections."""
        ...
