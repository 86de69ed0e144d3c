"""Beginning messages: what runs on a node's loop, and what is checked before."""

from __future__ import annotations

import asyncio
import secrets
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Raw

from troth.app.current import SCOPE, FunctionScope
from troth.app.message_participants import PRODUCER, CheckBack, checked_check
from troth.app.naming import checked_gid, checked_name, checked_seconds
from troth.app.transactions import explain, refuse_begun
from troth.core import limits, message
from troth.core.plan import Plan
from troth.core.state import Transaction
from troth.engine.live import Live
from troth.engine.messages import Producer
from troth.engine.node import Node
from troth.participant.database import Guarded
from troth.participant.handles import Handle, handle_of
from troth.participant.producing import identified
from troth.ports.caller import Call
from troth.ports.errors import AlreadyBegun, ConfigurationError, DefinitionError, GidConflict, LimitExceeded
from troth.wire.codec import content_hash
from troth.wire.envelope import Envelope, payload_of

if TYPE_CHECKING:
    from troth.app.troth import Troth

PATTERN = "message"
VERB = "troth.message"


class Sending(NamedTuple):
    """What a message begins with, all checked.

    :param database: whose barrier row tells what became of the local transaction, or None.
    :param handle: the connection that the row is written on; None where we open the local transaction, or there is none.
    """

    plan: Plan
    envelope: Envelope
    input: Raw
    gid: str | None
    delay: float
    how: message.CheckBack
    database: Guarded | None
    check: CheckBack | None
    handle: Handle | None
    to: str


def sending(
    troth: Troth, topic: str, payload: Any, verb: str, *, within: Any = None, on: Guarded | None = None, check: Any = None,
    key: str = "", business_id: str = "", headers: dict[str, str] | None = None, gid: str | None = None, delay: float = 0.0,
    check_after: float = limits.CHECK_BACK_AFTER, check_every: float = limits.CHECK_BACK_EVERY,
    check_times: int = limits.CHECK_BACK_TIMES, to: str = "",
) -> Sending:  # fmt: skip
    """Check what a message is begun with; the options are those of `troth.message`.

    :param verb: how errors call it.
    :raises DefinitionError: naming the option and the cure.
    :raises PayloadError: if the payload can't be encoded; names the field.
    :raises LimitExceeded: if it is too large.
    """
    what = f"{verb}({topic!r})"
    if isinstance(SCOPE.get(), FunctionScope):
        raise DefinitionError(f"{what} is called in a saga's function, which may be run again. Send it from a step.")
    plan = troth.message_plan(checked_name(topic, "topic"))
    if plan is None or not (to or troth.audience(topic)):
        raise DefinitionError(f"{what}: nobody would get it. Write troth.subscribe({topic!r}, …) where the program is set up.")
    envelope = Envelope(topic, payload_of(payload, what), key, business_id, dict(headers or {}))
    encoded = envelope.to_raw()
    if len(bytes(encoded)) > limits.PAYLOAD_BYTES:
        raise LimitExceeded("PAYLOAD_BYTES", len(bytes(encoded)), limits.PAYLOAD_BYTES, "Send where to find it instead")
    after, every = checked_seconds(check_after, what, "check_after"), checked_seconds(check_every, what, "check_every")
    how = message.CheckBack(after, every, times(check_times, what))
    if on is not None and within is None and verb == VERB:
        raise DefinitionError(f"{what}: on= says whose connection within= is. Pass both, or call troth.send_message(…, local=fn).")
    handle = None if within is None else handle_of(connection_of(within))
    database = database_of(troth, on, what) if within is not None or on is not None else None
    return Sending(
        plan, envelope, encoded, None if gid is None else checked_gid(gid), delay_of(delay, what), how, database,
        checked_check(check, troth.check_backs.find, what), handle, to,
    )  # fmt: skip


def times(value: Any, what: str) -> int:
    """The number of check-backs, if it is one."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1_000_000:
        raise DefinitionError(f"{what}: check_times={value!r} is no number of check-backs. Give an int, 1 or more.")
    return value


def delay_of(value: Any, what: str) -> float:
    """The delay, if it is one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= limits.DELAY:
        raise DefinitionError(f"{what}: delay={value!r} is none. Give seconds, 0 to {limits.DELAY:g}.")
    return float(value)


def connection_of(within: Any) -> Any:
    """The connection or session; of Django it may be given by its alias."""
    if not isinstance(within, str):
        return within
    django = sys.modules.get("django.db")
    if django is None:
        raise ConfigurationError(f"within={within!r}: an alias is Django's, and Django isn't in use. Pass a connection or session.")
    return django.connections[within]


def database_of(troth: Troth, on: Any, what: str) -> Guarded:
    """The database whose local transaction it is: the named one, the running step's, or the only one.

    :raises DefinitionError: if that doesn't say which.
    """
    if on is not None:
        if not isinstance(on, Guarded):
            raise DefinitionError(f'{what}: on={on!r} is no database. Make one: on=troth.database("orders", "sqlite:///…").')
        return on
    scope = SCOPE.get()
    if isinstance(scope, Call):
        found: Any = troth.steps.find(scope.name) or troth.tcc_classes.find(scope.name)
        if found is not None and getattr(found, "database", None) is not None:
            return found.database  # type: ignore[no-any-return]
    if len(troth.databases) == 1:
        return next(iter(troth.databases.values()))
    if not troth.databases:
        raise DefinitionError(f'{what}: whose connection is within=? Say where it leads: troth.database("orders", "sqlite:///…").')
    raise DefinitionError(f"{what}: within= may be of any of {', '.join(troth.databases)}. Say which: on=…")


def producer_name(database: Guarded | None, check: CheckBack | None) -> str:
    """The participant that is asked about the local transaction: stored with the message."""
    return f"{PRODUCER}{database.name if database else ''}|{check.name if check else ''}"


# --- whose database


def identity_of(troth: Troth, database: Guarded) -> int:
    """The database's own number, blocking."""
    known = troth.identities.get(database)
    if known is None:
        known = database.driver.drive(identified(database, secrets.randbits(62) + 1, limits.CHECK_BACK_PATIENCE))
        troth.identities[database] = known
    return known


async def aidentity_of(troth: Troth, database: Guarded) -> int:
    """The database's own number, awaited."""
    known = troth.identities.get(database)
    if known is None:
        if "async" not in database.colours:
            return await asyncio.to_thread(identity_of, troth, database)
        known = await database.driver.adrive(identified(database, secrets.randbits(62) + 1, limits.CHECK_BACK_PATIENCE))
        troth.identities[database] = known
    return known


# --- begin


async def begin_message(node: Node, what: Sending) -> Producer:
    """The half message, durably.

    :raises AlreadyBegun: the gid was sent before.
    :raises GidConflict: it belongs to something else.
    :raises NotAccepted: nothing was written.
    """
    content = content_hash(PATTERN, what.plan.name, what.input)
    told_taken = partial(taken, content=content)
    if what.gid is not None:
        await refuse_begun(node, what.gid, content, told_taken)
    future: asyncio.Future[Live] = node.loop.create_future()

    def told(live: Live) -> None:
        if not future.done():
            future.set_result(live)

    node.driver.admit()
    uid = node.new_uid()
    node.counters["transactions"] += 1
    not_before = node.now() + int(what.delay * 1e6) if what.delay else 0
    opening = partial(
        message.begin, producer=producer_name(what.database, what.check), check_back=what.how, to=what.to, not_before=not_before
    )
    live = node.driver.begin(
        what.plan, gid=what.gid or f"msg-{uid.hex()}", uid=uid, content=content, input=what.input, fresh=what.gid is None,
        waiter=("accepted", told), opening=opening,
    )  # fmt: skip
    producer = Producer(node, live)
    try:
        await future
        if live.lost is not None:
            await explain(node, live, content, told_taken)
    except BaseException:
        producer.left("its sender did not wait for its begin")
        raise
    return producer


def taken(doc: Transaction, content: bytes) -> AlreadyBegun | GidConflict:
    """What a sender is told about a gid that is there."""
    if doc.pattern != PATTERN or content_hash(PATTERN, doc.definition, doc.input) != content:
        return GidConflict(doc.gid, f"it is a {doc.pattern}: {doc.definition}" if doc.pattern != PATTERN else "its content differs")
    return AlreadyBegun(doc.gid, str(doc.state) if doc.finished else None)
