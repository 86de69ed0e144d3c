"""The outbox's writing side: a message goes into the local transaction of the change that it tells of.

It is one INSERT on the connection that the user hands in, with no node and no Troth object; so it is committed with the
change, rolled back with it, and undone by a savepoint as everything else is. Moving it to a broker is the relay's.

Before the number is drawn the key is locked until the transaction ends: by an advisory lock on PostgreSQL, by a row of
``troth_outbox_slot`` on MariaDB and MySQL, by nothing on SQLite, which has one writer. So of two transactions that send for
one key the one with the lower number has committed before the other draws its own.
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from troth.core import limits
from troth.core.outbox import CHANNEL, DELAYED, PENDING, SLOTS, START, slot_of
from troth.core.retry import micros
from troth.participant.handles import Handle, aspeak, handle_of, in_transaction, speak
from troth.ports.database import Answer, Execute, Script
from troth.ports.errors import ConfigurationError, LimitExceeded, PayloadError
from troth.ports.outbox import NOW, TABLES
from troth.wire.codec import codec_of

LOCKS: Final = 1953656687
"""The first half of PostgreSQL's advisory locks of ours: "troo" as a number; the second is the slot."""
COLUMNS: Final = (
    "business_id, message_content, destination, status, create_time, message_id, message_key, slot, next_time, headers"
)
_CASTS: Final = (
    "CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS text), {now}, CAST(? AS text), CAST(? AS text),"
    " CAST(? AS integer), {now} + CAST(? AS bigint), CAST(? AS text)"
).format(now=NOW["postgresql"])
LOCKED: Final = f"WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock({LOCKS}, CAST(? AS integer)))"
"""One statement, one way to the server: a row is made of what the lock gives, so the number is drawn after it."""
NOTIFY: Final = f" RETURNING pg_notify('{CHANNEL}', '')"
LOCK_MYSQL: Final = "INSERT INTO troth_outbox_slot (slot) VALUES (?) ON DUPLICATE KEY UPDATE slot = slot"
EXISTS: Final = "SELECT to_regclass('troth_outbox') IS NOT NULL"
WAITING: Final = (
    "SELECT destination, message_content, message_key, business_id, message_id FROM troth_outbox"
    " WHERE status IN ('pending', 'delayed', 'blocked') AND status <> 'sent' ORDER BY id"
)
_NO_SUCH_TABLE: Final = 1146
_HEADER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_PLAIN: Final = (dict, list, tuple, str, int, float, bool, type(None))

_table_seen: weakref.WeakSet[Any] = weakref.WeakSet()
_table_made: weakref.WeakSet[Any] = weakref.WeakSet()
"""As the fence's: the first were there before this connection looked, the second may be rolled back yet."""


class Waiting(NamedTuple):
    """A message that has not left yet, as a connection sees it.

    :param content: the payload, decoded from JSON.
    """

    topic: str
    content: Any
    key: str
    business_id: str
    message_id: str


class Letter(NamedTuple):
    """A message, checked and encoded: the values of its row.

    :param delay: microseconds that it waits at least.
    :param wake: tell PostgreSQL's listeners.
    """

    topic: str
    content: str
    key: str
    business_id: str
    headers: str
    delay: int
    message_id: str
    wake: bool = True


class Outbox:
    """What ``troth.outbox`` is."""

    def __init__(self) -> None:
        self.heard: set[Callable[[], None]] = set()
        """Called whenever something was written here, though not yet committed: relays of this process."""

    def send(
        self, db: Any, topic: str, payload: Any, *, key: str = "", business_id: str = "", delay: float | timedelta = 0,
        headers: Mapping[str, str] | None = None, wake: bool = True,
    ) -> str:  # fmt: skip
        """Write a message into the local transaction that is open: it is sent if and only if that commits.

        :param db: the connection or session that writes the change: a step's ``db``, or one of your own with its
            transaction open; of Django ``connections[alias]`` inside ``transaction.atomic``.
        :param topic: where it goes; 1 to 255 printable ASCII characters.
        :param payload: what it says: plain JSON values, or a dataclass, msgspec struct or pydantic model.
        :param key: messages of one key are delivered in the order of their commits, whatever their topics; "": no order.
            Until your transaction ends, other transactions that send for this key wait.
        :param business_id: what it is about, e.g. the order's number: shown to people, and a header.
        :param delay: seconds (or a timedelta) that it waits at least; it takes its place in the key's order then.
        :param headers: further headers, e.g. ``traceparent``.
        :param wake: False in a transaction that will be prepared (two-phase commit): PostgreSQL allows no NOTIFY there, and
            the relay finds the message a little later.
        :returns: the message's id, 32 hexadecimal digits: the same however often it is delivered.
        :raises PayloadError: if the payload can't be encoded, or a name is none. Nothing was written.
        :raises LimitExceeded: if something is too long.
        :raises ConfigurationError: outside of a transaction, or where the table is missing and can't be made here.
        :raises WrongColour: if the connection is awaited: ``await troth.outbox.asend(…)``.
        """
        handle = opened(db)
        return self.put(handle, letter(topic, payload, key, business_id, delay, headers, wake))

    async def asend(
        self, db: Any, topic: str, payload: Any, *, key: str = "", business_id: str = "", delay: float | timedelta = 0,
        headers: Mapping[str, str] | None = None, wake: bool = True,
    ) -> str:  # fmt: skip
        """As `send`, for a connection or session that is awaited."""
        handle = opened(db)
        return await self.aput(handle, letter(topic, payload, key, business_id, delay, headers, wake))

    def put(self, handle: Handle, what: Letter) -> str:
        """Write a checked message."""
        speak(handle, writing(handle, what), "troth.outbox.asend")
        self._tell()
        return what.message_id

    async def aput(self, handle: Handle, what: Letter) -> str:
        """`put`, awaited."""
        await aspeak(handle, writing(handle, what), "troth.outbox.send")
        self._tell()
        return what.message_id

    def _tell(self) -> None:
        for heard in tuple(self.heard):
            heard()

    # -- tables, and tests ----------------------------------------------------------------------------------------

    def create(self, db: Any) -> None:
        """Create the outbox's tables on a connection. On MariaDB and MySQL that commits what is open; elsewhere, commit it.

        Seldom needed: on SQLite and PostgreSQL the first message does it, and the barrier, a relay and Django's migrations do.
        """
        handle = handle_of(db)
        speak(handle, creating(handle.family), "troth.outbox.acreate")

    async def acreate(self, db: Any) -> None:
        """`create`, for a connection that is awaited."""
        handle = handle_of(db)
        await aspeak(handle, creating(handle.family), "troth.outbox.create")

    def waiting(self, db: Any) -> list[Waiting]:
        """What has not left yet, in order, as this connection sees it, its own uncommitted messages included: for tests."""
        handle = handle_of(db)
        return speak(handle, seeing(handle), "troth.outbox.awaiting")

    async def awaiting(self, db: Any) -> list[Waiting]:
        """`waiting`, for a connection that is awaited."""
        handle = handle_of(db)
        return await aspeak(handle, seeing(handle), "troth.outbox.waiting")

    def __repr__(self) -> str:
        return "<troth.outbox>"


outbox: Final = Outbox()


def opened(db: Any) -> Handle:
    """What is known of a connection that has a local transaction open, as far as its library can say.

    :raises ConfigurationError: if it has none.
    """
    handle = handle_of(db)
    if in_transaction(handle) is False:
        raise ConfigurationError(
            "outbox.send is called outside of a local transaction: the message would be sent whatever becomes of the change "
            "that it tells of. Call it in the transaction that writes the change: in a step, inside transaction.atomic(), or "
            "after BEGIN."
        )
    if handle.family not in TABLES:
        raise ConfigurationError(f"the outbox knows no {handle.family}. It works in PostgreSQL, MariaDB, MySQL and SQLite.")
    return handle


def letter(
    topic: str, payload: Any, key: str = "", business_id: str = "", delay: float | timedelta = 0,
    headers: Mapping[str, str] | None = None, wake: bool = True,
) -> Letter:  # fmt: skip
    """A message, checked.

    :raises PayloadError: naming the field, what is wrong, and the cure.
    :raises LimitExceeded: naming the limit.
    """
    name, named, about = checked_topic(topic), checked_text("key", key), checked_text("business_id", business_id)
    micro = checked_delay(delay)
    content = bytes(payload if isinstance(payload, Raw) else encoded(payload)).decode()
    given = msgspec.json.encode(checked_headers(headers or {})).decode()
    return Letter(name, content, named, about, given, micro, os.urandom(16).hex(), wake)


def checked_topic(topic: object) -> str:
    """A topic, if it names one.

    :raises PayloadError: if it doesn't.
    :raises LimitExceeded: if it is too long.
    """
    if topic == START:
        raise PayloadError("topic", f"{START} is troth's own", "Write troth.start(saga, …, within=db)")
    if not isinstance(topic, str) or not topic or not topic.isascii() or not topic.isprintable() or " " in topic:
        raise PayloadError("topic", f"{topic!r} names no topic", "Use printable ASCII without spaces, e.g. order.created")
    return checked_text("topic", topic)


def checked_text(name: str, value: object) -> str:
    """A key or the like, if it is a text that people can read.

    :raises PayloadError: if it isn't.
    :raises LimitExceeded: if it is too long.
    """
    if not isinstance(value, str) or not value.isprintable():
        raise PayloadError(name, f"{value!r} is no printable text", f'Use a text, e.g. {name}="order-1"')
    if len(value) > limits.KEY_LENGTH:
        raise LimitExceeded("KEY_LENGTH", len(value), limits.KEY_LENGTH, f"Use a shorter {name}, or a hash of it")
    return value


def checked_delay(delay: object) -> int:
    """A delay in microseconds.

    :raises PayloadError: if it is none.
    """
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= limits.DELAY_SECONDS:
        raise PayloadError("delay", f"{delay!r} is no delay", f"Give seconds from 0 to {limits.DELAY_SECONDS}, or a timedelta")
    return micros(seconds)


def encoded(payload: Any) -> Raw:
    """A payload as JSON: by its class where it has one that says what is in it.

    :raises PayloadError: if it can't be encoded.
    """
    return codec_of(Any if isinstance(payload, _PLAIN) else type(payload)).encode(payload, "payload")


def checked_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """Headers, if all of them can be sent by every broker.

    :raises PayloadError: naming the one that can't.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER.fullmatch(name) or name.lower().startswith("troth-"):
            raise PayloadError(f"headers: {name!r}", "is no name of a header of yours", "Use letters, digits and -, not troth-…")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise PayloadError(f"headers: {name}", f"{value!r} is no printable ASCII text", "Encode it, or put it in the payload")
    return dict(headers)


# -- scripts, the same for every library ------------------------------------------------------------------------------


def row_of(what: Letter) -> tuple[Any, ...]:
    """The values of `COLUMNS` but the time. A message without a key gets a slot by chance, so that relays share them."""
    status = DELAYED if what.delay else PENDING
    slot = slot_of(what.key) if what.key else int(what.message_id[:4], 16) % SLOTS
    return (what.business_id, what.content, what.topic, status, what.message_id, what.key, slot, what.delay, what.headers)


def writing(handle: Handle, what: Letter) -> Script[None]:
    """Lock the key, then write the row."""
    if handle.family == "postgresql":
        yield from _made_on_postgres(handle.db)
        yield from _write_on_postgres(what)
        return
    try:
        yield from _write(handle.family, what)
    except Exception as error:
        if handle.family == "mysql" and _missing_on_mysql(error):
            cure = "; ".join(TABLES["mysql"])
            raise ConfigurationError(
                "the outbox's tables are missing, and creating them here would commit what is open. Create them once, before: "
                f"troth.outbox.create(connection), or {cure}"
            ) from error
        if handle.family != "sqlite" or "no such table: troth_outbox" not in str(error):
            raise
    else:
        return
    yield from creating("sqlite")
    yield from _write("sqlite", what)


def _write(family: str, what: Letter) -> Script[None]:
    row = row_of(what)
    if family == "mysql" and what.key:
        yield Execute(LOCK_MYSQL, (slot_of(what.key),))
    now = NOW[family]
    yield Execute(f"INSERT INTO troth_outbox ({COLUMNS}) VALUES (?, ?, ?, ?, {now}, ?, ?, ?, {now} + ?, ?)", row)


def _write_on_postgres(what: Letter) -> Script[None]:
    row = row_of(what)
    notify = NOTIFY if what.wake else ""
    if what.key:
        sql = f"{LOCKED} INSERT INTO troth_outbox ({COLUMNS}) SELECT {_CASTS} FROM locked{notify}"
        yield Execute(sql, (slot_of(what.key), *row))
    else:
        yield Execute(f"INSERT INTO troth_outbox ({COLUMNS}) SELECT {_CASTS}{notify}", row)


def _missing_on_mysql(error: BaseException) -> bool:
    """MySQL's error 1146, also inside of what SQLAlchemy or Django make of it."""
    inner = getattr(error, "orig", None) or error.__cause__
    return any(_NO_SUCH_TABLE in each.args for each in (error, inner) if isinstance(each, BaseException))


def _made_on_postgres(db: Any) -> Script[None]:
    """Create the tables if they aren't there; a failing statement would spoil the transaction, so they are looked for."""
    if db in _table_seen:
        return
    found: Answer = yield Execute(EXISTS)
    if not found.rows[0][0]:
        yield from creating("postgresql")
        _remember(db, _table_made)
    elif db not in _table_made:
        _remember(db, _table_seen)


def creating(family: str) -> Script[None]:
    """Create what isn't there."""
    for statement in TABLES[family]:
        yield Execute(statement)


def seeing(handle: Handle) -> Script[list[Waiting]]:
    """What has not left yet."""
    if handle.family == "postgresql":
        yield from _made_on_postgres(handle.db)
    try:
        found: Answer = yield Execute(WAITING)
    except Exception as error:
        if _missing_on_mysql(error) or "no such table: troth_outbox" in str(error):
            return []
        raise
    return [Waiting(row[0], msgspec.json.decode(row[1]), row[2], row[3], row[4]) for row in found.rows]


def _remember(db: Any, where: weakref.WeakSet[Any]) -> None:
    try:
        where.add(db)
    except TypeError:
        pass  # a pool's proxy that can't be remembered: it looks each time
