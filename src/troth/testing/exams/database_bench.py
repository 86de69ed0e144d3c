"""What the exam of databases works at: one database, one colour, and effects that leave notes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Raw

from troth.core.reply import Reply
from troth.core.words import Op
from troth.participant.meaning import PROGRAMMING_ERRORS
from troth.ports.caller import Call
from troth.ports.database import Database

OPEN: Final = "CREATE TABLE IF NOT EXISTS exam_note (branch TEXT NOT NULL, note TEXT NOT NULL)"


class BusinessError(Exception):
    """A user's own business no, for ``refuse_on``."""


class Deed(NamedTuple):
    """What an effect does: leave its note, run statements, and end.

    :param fails: errors raised one per run, each used up; then it returns.
    :param also: called with the connection.
    """

    note: str = "did"
    result: bytes = b"null"
    fails: Sequence[BaseException] = ()
    sql: Sequence[str] = ()
    also: Callable[[Any], Any] | None = None


Speak = Callable[[Any, str, Sequence[Any]], Any]
"""(connection, statement, parameters) -> the rows; awaitable in the async colour."""


def spoken(db: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """How sqlite3's and psycopg's connections are spoken to."""
    cursor = db.execute(sql, params)
    return list(cursor.fetchall()) if cursor.description else []


async def aspoken(db: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """How psycopg's async connections are spoken to."""
    cursor = await db.execute(sql, params)
    return await cursor.fetchall() if cursor.description else []


class Bench:
    """One database under examination, in one colour.

    :param make: makes a new `Database` object for the same place; nothing may open before it is used.
    :param colour: ``sync`` or ``async``.
    :param mark: the placeholder of the library's parameters; ``$`` for numbered ones.
    :param conflict: makes an error that stands for a serialization failure or a busy lock.
    :param forbidden: by name, what a step may not do with its connection.
    :param speak: runs a statement on the library's connection; the rows.
    :param uncommittable: a deed after which COMMIT fails, or None where that can't be arranged from inside.
    """

    def __init__(
        self,
        make: Callable[[], Database],
        colour: str,
        *,
        mark: str,
        conflict: Callable[[], BaseException],
        forbidden: Mapping[str, Callable[[Any], Any]],
        speak: Speak | None = None,
        uncommittable: Deed | None = None,
    ) -> None:
        self.speak: Speak = speak or (spoken if colour == "sync" else aspoken)
        self.make = make
        self.colour = colour
        self.conflict = conflict
        self.forbidden = forbidden
        self.uncommittable = uncommittable
        first, second = (mark, mark) if mark != "$" else ("$1", "$2")
        self.insert = f"INSERT INTO exam_note VALUES ({first}, {second})"
        self.select = f"SELECT note FROM exam_note WHERE branch = {first}"
        self.database = make()
        self.runner = asyncio.Runner() if colour == "async" else None
        self.stored: list[bytes | None] = []
        self.runs = 0

    def prepare(self) -> None:
        """Make the table of notes."""
        self.plain(OPEN)

    def close(self) -> None:
        """Close what the bench opened."""
        if self.runner is not None:
            self.runner.run(self.database.aclose())
            self.runner.close()
        self.database.close()

    def ask(self, call: Call, deed: Deed = Deed(), database: Database | None = None) -> Reply:  # noqa: B008
        """Call the database in the bench's colour."""
        subject = database or self.database
        no_retry = PROGRAMMING_ERRORS
        if self.runner is None:
            return subject.run(call, self.effect(call, deed), refuse_on=(BusinessError,), no_retry=no_retry)
        effect = self.async_effect(call, deed)
        return self.runner.run(subject.arun(call, effect, refuse_on=(BusinessError,), no_retry=no_retry))

    def effect(self, call: Call, deed: Deed) -> Callable[[Any, Raw | None], Raw]:
        """A deed as a sync effect."""
        left = list(deed.fails)

        def run(db: Any, stored: Raw | None) -> Raw:
            self._seen(stored)
            self.speak(db, self.insert, (call.branch, deed.note))
            for statement in deed.sql:
                self.speak(db, statement, ())
            return self._end(db, deed, left)

        return run

    def async_effect(self, call: Call, deed: Deed) -> Callable[[Any, Raw | None], Any]:
        """A deed as an async effect."""
        left = list(deed.fails)

        async def run(db: Any, stored: Raw | None) -> Raw:
            self._seen(stored)
            await self.speak(db, self.insert, (call.branch, deed.note))
            for statement in deed.sql:
                await self.speak(db, statement, ())
            return self._end(db, deed, left)

        return run

    def _seen(self, stored: Raw | None) -> None:
        self.runs += 1
        self.stored.append(None if stored is None else bytes(stored))

    def _end(self, db: Any, deed: Deed, left: list[BaseException]) -> Raw:
        if deed.also is not None:
            deed.also(db)
        if left:
            raise left.pop(0)
        return Raw(deed.result)

    def plain(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """One statement in an ordinary local transaction; its rows."""
        if self.runner is None:
            rows: list[Any] = self.database.plain(lambda db: self.speak(db, sql, params))
            return rows
        return self.runner.run(self.database.aplain(lambda db: self.speak(db, sql, params)))

    def notes(self, call: Call) -> list[str]:
        """The notes that effects left for the call's branch."""
        return [row[0] for row in self.plain(self.select, (call.branch,))]

    def barrier_rows(self) -> int:
        """How many barrier rows there are."""
        return int(self.plain("SELECT count(*) FROM troth_barrier")[0][0])


def call_of(
    branch: str,
    op: Op = Op.ACTION,
    *,
    args: bytes = b'{"n":1}',
    result: bytes | None = None,
    begun: int = 1_000,
    low_water: int = 0,
    log: str = "log-a",
    timeout: float = 5.0,
) -> Call:
    """A call to a branch of the exam's one transaction."""
    told = None if result is None else Raw(result)
    return Call(b"exam-transaction", "exam", branch, op, "step", 1, Raw(args), told, begun, low_water, log, timeout)
