"""The producer's side of a transactional message: a row in its own local transaction, and whose database that is.

The row is the barrier's, under the message's uid: the check-back seals it, so that one of the two is first. It is the first
statement of the local transaction, so that a check-back that comes later waits for the end instead of wasting the work.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, NamedTuple, NoReturn

from troth.core.barrier import Outcome
from troth.core.words import Op
from troth.participant.barrier import create_tables
from troth.participant.database import Guarded
from troth.participant.handles import Handle, in_transaction
from troth.participant.statements import MARK
from troth.ports.database import Answer, Begin, Commit, Execute, Rollback, Script
from troth.ports.errors import ConfigurationError, MessageGivenUp

IDENTITY: Final = "troth:database"
"""The row of the marks' table that tells one database from another."""
_COLUMNS: Final = "troth_barrier (uid, branch, op, outcome, payload_hash, begun, log)"
_CONCURRENT: Final = "concurrent update"
"""What PostgreSQL says, above read committed, where a row that the snapshot doesn't see was written meanwhile."""


class HalfMessage(NamedTuple):
    """A half message, as its row has it.

    :param branch: the branch that stands for the local transaction.
    :param begun: microseconds, as in the log.
    :param log: the log's id.
    """

    gid: str
    uid: bytes
    branch: str
    begun: int
    log: str


def mark(handle: Handle, half: HalfMessage, identity: int, lock: str) -> Script[None]:
    """Write the row into the local transaction that is open on a user's connection.

    :param identity: of the database that the check-back asks (`identified`): the row must be written there.
    :param lock: what makes a SELECT lock its rows, in this dialect.
    :raises MessageGivenUp: the check-back was first.
    :raises ConfigurationError: the connection is of another database, or commits each statement by itself.
    """
    refuse_autocommit(handle)
    hexed = handle.family == "mysql"  # a connection without binary_prefix would send the bytes as text
    uid: Any = half.uid.hex() if hexed else half.uid
    empty: Any = "" if hexed else b""
    slot = "UNHEX(?)" if hexed else "?"
    before, after = ("INSERT IGNORE INTO ", "") if hexed else ("INSERT INTO ", " ON CONFLICT DO NOTHING")
    insert = f"{before}{_COLUMNS} VALUES ({slot}, ?, ?, ?, {slot}, ?, ?){after}"
    params = (uid, half.branch, Op.ACTION.value, Outcome.DONE.value, empty, half.begun, half.log)
    try:
        answer: Answer = yield Execute(insert, params)
    except Exception as error:
        if _CONCURRENT in str(error):
            raise MessageGivenUp(half.gid) from error
        raise
    if not answer.changed:
        look = f"SELECT outcome, created FROM troth_barrier WHERE uid = {slot} AND branch = ? AND op = ?{lock}"
        found: Answer = yield Execute(look, (uid, half.branch, Op.ACTION.value))
        raise MessageGivenUp(half.gid, _time(found.rows[0][1]) if found.rows else "")
    seen: Answer = yield Execute(MARK, (IDENTITY,))
    if not seen.rows or int(seen.rows[0][0]) != identity:
        another_database()


def another_database() -> NoReturn:
    """Raise: the check-back would look in a database where the row isn't."""
    raise ConfigurationError(
        "within= is a connection of another database than the one that the check-back would ask, so the message could be given "
        "up although its local transaction commits. Say which one it is: on=troth.database(…)."
    )


def refuse_autocommit(handle: Handle) -> None:
    """Raise unless the row becomes part of a local transaction, as far as the library can say."""
    if in_transaction(handle) is False:
        raise ConfigurationError(
            "within= is a connection that is in no local transaction and begins none by itself: the message would be sent "
            "whatever becomes of the work. Begin one first (BEGIN, conn.transaction(), atomic …)."
        )


def identified(database: Guarded, drawn: int, patience: float) -> Script[int]:
    """The database's own number, drawn at first; its tables are made if they aren't there.

    :param drawn: the number if it has none: more than 0, at most 63 bits, by chance.
    """
    driver = database.driver
    try:
        found = yield from _look(patience)
    except Exception as error:
        if not driver.faults.no_table(error):
            raise
        yield from create_tables(driver, patience)
        found = None
    if found is not None:
        return found
    yield Begin(write=True, patience=patience)
    try:
        before, after = ("INSERT IGNORE INTO ", "") if driver.dialect.mysql else ("INSERT INTO ", " ON CONFLICT DO NOTHING")
        yield Execute(f"{before}troth_barrier_mark (log, mark) VALUES (?, ?){after}", (IDENTITY, drawn))
        yield Commit()
    except Exception:
        yield Rollback()
        raise
    found = yield from _look(patience)
    assert found is not None
    return found


def _look(patience: float) -> Script[int | None]:
    yield Begin(write=False, patience=patience)
    try:
        answer: Answer = yield Execute(MARK, (IDENTITY,))
    except Exception:
        yield Rollback()
        raise
    yield Rollback()
    return int(answer.rows[0][0]) if answer.rows else None


def _time(created: Any) -> str:
    """When a row was written, as far as the database has told."""
    return created.isoformat(" ", "seconds") if isinstance(created, dt.datetime) else str(created or "")
