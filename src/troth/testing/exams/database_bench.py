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


class Bench:
    """One database under examination, in one colour.

    :param make: makes a new `Database` object for the same place; nothing may open before it is used.
    :param colour: ``sync`` or ``async``.
    :param mark: the placeholder of the library's parameters.
    :param conflict: makes an error that stands for a serialization failure or a busy lock.
    :param forbidden: by name, what a step may not do with its connection.
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
        uncommittable: Deed | None = None,
    ) -> None:
        self.make = make
        self.colour = colour
        self.conflict = conflict
        self.forbidden = forbidden
        self.uncommittable = uncommittable
        self.insert = f"INSERT INTO exam_note VALUES ({mark}, {mark})"
        self.select = f"SELECT note FROM exam_note WHERE branch = {mark}"
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
            db.execute(self.insert, (call.branch, deed.note))
            for statement in deed.sql:
                db.execute(statement)
            return self._end(db, deed, left)

        return run

    def async_effect(self, call: Call, deed: Deed) -> Callable[[Any, Raw | None], Any]:
        """A deed as an async effect."""
        left = list(deed.fails)

        async def run(db: Any, stored: Raw | None) -> Raw:
            self._seen(stored)
            await db.execute(self.insert, (call.branch, deed.note))
            for statement in deed.sql:
                await db.execute(statement)
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
        runner = self.runner
        if runner is None:
            return self.database.plain(lambda db: _rows(db.execute(sql, params)))

        async def ask(db: Any) -> list[Any]:
            cursor = await db.execute(sql, params)
            return await cursor.fetchall() if cursor.description else []

        return runner.run(self.database.aplain(ask))

    def notes(self, call: Call) -> list[str]:
        """The notes that effects left for the call's branch."""
        return [row[0] for row in self.plain(self.select, (call.branch,))]

    def barrier_rows(self) -> int:
        """How many barrier rows there are."""
        return int(self.plain("SELECT count(*) FROM troth_barrier")[0][0])


def _rows(cursor: Any) -> list[Any]:
    return list(cursor.fetchall()) if cursor.description else []


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
