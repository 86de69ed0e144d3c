"""The fence: what makes a lock with a lease safe, in the database that is written to.

A lock that runs out can have two holders: one is paused (a long collection, a stopped process, a slow network), its lock
runs out, the next one gets it, and then the first wakes up and writes. No lock server can prevent that; the place that is
written to can, if each holder shows the number it was given and numbers only rise (M. Kleppmann, *How to do distributed
locking*, 2016; Hazelcast's and Chubby's fencing tokens and sequencers).

`fence` keeps the highest token seen per key in table ``troth_fence``, in the same local transaction as the write: a lower
one is refused, and the row stays locked until that transaction ends, so that nobody slips in between.
"""

from __future__ import annotations

import weakref
from typing import Any, Final

from troth.core import limits
from troth.participant.handles import Handle, aspeak, handle_of, refuse_outside, speak
from troth.ports.database import Answer, Execute, Script, fence_table
from troth.ports.errors import ConfigurationError, LimitExceeded, NotAccepted, PayloadError
from troth.ports.idempotency import StaleToken

RAISE: Final = "UPDATE troth_fence SET token = ? WHERE name = ? AND token <= ?"
LOOK: Final = "SELECT token FROM troth_fence WHERE name = ?"
FIRST: Final = "INSERT INTO troth_fence (name, token) VALUES (?, ?) ON CONFLICT DO NOTHING"
FIRST_MYSQL: Final = "INSERT IGNORE INTO troth_fence (name, token) VALUES (?, ?)"
EXISTS: Final = "SELECT to_regclass('troth_fence') IS NOT NULL"
CREATE: Final = {"sqlite": fence_table(), "postgresql": fence_table('COLLATE "C"')}
ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(8390880603146837)"  # as the barrier's tables: two at once would fail
MYSQL_TABLE: Final = fence_table("CHARACTER SET ascii COLLATE ascii_bin", " ENGINE=InnoDB")
_NO_SUCH_TABLE: Final = 1146
_LOOKS: Final = 4
_MOST: Final = 2**63 - 1

_table_seen: weakref.WeakSet[Any] = weakref.WeakSet()
"""Connections that saw a table that was there before them: the look is spared."""
_table_made: weakref.WeakSet[Any] = weakref.WeakSet()
"""Connections that made it, perhaps in a transaction that is rolled back yet: they look each time."""


class Fence:
    """`fence`, and its awaitable spelling ``fence.aio``."""

    def __call__(self, db: Any, key: str, token: int) -> None:
        """Let the holder of this token write, and no earlier one ever after.

        Call it first in the local transaction that writes.

        :param db: the connection that writes: a step's ``db``, or one of your own with its transaction open.
        :param key: what is locked, as in ``locks.hold(key)``; 1 to 255 ASCII characters.
        :param token: ``held.token``.
        :raises StaleToken: if a later holder was here: nothing may be written.
        :raises ConfigurationError: outside of a transaction, or where the table is missing and can't be made here.
        """
        handle = handle_of(db)
        refuse_outside(handle, "fence")
        speak(handle, _fencing(handle, checked_lock(key), checked_token(token)), "fence.aio")

    async def aio(self, db: Any, key: str, token: int) -> None:
        """As calling it, for a connection that is awaited."""
        handle = handle_of(db)
        refuse_outside(handle, "fence")
        await aspeak(handle, _fencing(handle, checked_lock(key), checked_token(token)), "fence")


fence: Final = Fence()


def checked_lock(key: object) -> str:
    """A lock's key, if it is one.

    :raises PayloadError: if it isn't.
    :raises LimitExceeded: if it is too long.
    """
    if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable():
        raise PayloadError("key", f"{key!r} names no lock", "Use printable ASCII characters, e.g. transfer:acc-1")
    if len(key) > limits.KEY_LENGTH:
        raise LimitExceeded("KEY_LENGTH", len(key), limits.KEY_LENGTH, "Use a shorter key, or a hash of it")
    return key


def checked_token(token: object) -> int:
    """A token, if it is one.

    :raises PayloadError: if it isn't.
    """
    if isinstance(token, bool) or not isinstance(token, int) or not 0 < token <= _MOST:
        raise PayloadError("token", f"{token!r} is no fencing token", "Pass held.token")
    return token


def _fencing(handle: Handle, key: str, token: int) -> Script[None]:
    """The update first: it waits for, and then shuts out, every other transaction that shows a token for the key."""
    if handle.family == "postgresql":
        yield from _made_on_postgres(handle)
    mysql = handle.family == "mysql"
    for _ in range(_LOOKS):
        raised: Answer = yield from _raise(handle, key, token)
        if raised.changed:
            return
        found: Answer = yield Execute(LOOK + " FOR UPDATE" if handle.family != "sqlite" else LOOK, (key,))
        if found.rows:
            seen = int(found.rows[0][0])
            if seen > token:
                raise StaleToken(key, token, seen)
            if seen == token:  # MySQL counts a row that stays as it was as not changed; it is locked all the same
                return
            continue
        first: Answer = yield Execute(FIRST_MYSQL if mysql else FIRST, (key, token))
        if first.changed:
            return
    raise NotAccepted(f"the fence of {key} kept changing")


def _raise(handle: Handle, key: str, token: int) -> Script[Answer]:
    request = Execute(RAISE, (token, key, token))
    try:
        answer: Answer = yield request
    except Exception as error:
        if handle.family == "mysql" and _NO_SUCH_TABLE in error.args:  # creating it would commit what is open
            raise ConfigurationError(f"the table of fences is missing. Create it once: {MYSQL_TABLE}") from error
        if handle.family != "sqlite" or "no such table: troth_fence" not in str(error):
            raise
    else:
        return answer
    yield Execute(CREATE["sqlite"])
    answer = yield request
    return answer


def _made_on_postgres(handle: Handle) -> Script[None]:
    """Create the table if it isn't there; a failing statement would spoil the transaction, so it is looked for."""
    db = handle.db
    if db in _table_seen:
        return
    found: Answer = yield Execute(EXISTS)
    if not found.rows[0][0]:
        yield Execute(ONE_AT_A_TIME)
        yield Execute(CREATE["postgresql"])
        _remember(db, _table_made)
    elif db not in _table_made:
        _remember(db, _table_seen)


def _remember(db: Any, where: weakref.WeakSet[Any]) -> None:
    try:
        where.add(db)
    except TypeError:
        pass  # a pool's proxy that can't be remembered: it looks each time
