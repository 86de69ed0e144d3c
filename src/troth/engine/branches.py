"""Databases as participants of two-phase transactions: what can be asked about a branch from any thread, at any time.

The connection that a branch was made on is asked first (`troth.engine.votes`). Whatever comes later, a second attempt or a
recovery, goes to the database itself, which knows prepared branches by their names.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from troth.core import limits
from troth.core.ids import ROOT, branch_id
from troth.core.quick import Op, Word
from troth.core.reply import Reply
from troth.core.retry import micros
from troth.core.xid import Xid, from_text
from troth.ports.caller import Call
from troth.ports.resource import Resource

NAMESPACE: Final = "database:"
"""What the names of such participants begin with: a step may be called as a database is."""
GONE: Final = "its connection is gone: what was not prepared is rolled back"


def name_of(database: str) -> str:
    """The participant's name."""
    return NAMESPACE + database


def database_of(name: str) -> str:
    """The database's name, or "" if the participant is something else."""
    return name.removeprefix(NAMESPACE) if name.startswith(NAMESPACE) else ""


def id_of(database: str) -> str:
    """The branch id: a database is enlisted once."""
    return branch_id(ROOT, name_of(database), 1)


def as_args(xid: Xid) -> Raw:
    """The branch's name as its arguments, so that the log and every call carry it."""
    return Raw(msgspec.json.encode(xid.to_text()))


def xid_of(call: Call) -> Xid:
    """The branch's name, back from its arguments.

    :raises ValueError: they hold none.
    """
    xid = from_text(msgspec.json.decode(call.args, type=str))
    if xid is None:
        raise ValueError(f"{call.branch} of {call.gid} has no name of a branch in its arguments")
    return xid


class DatabaseParticipant:
    """Ends the branches of one database."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.name = self.destination = name_of(resource.name)
        self.timeout = limits.PARTICIPANT_TIMEOUT
        self.timeout_micros = micros(self.timeout)
        self._async = "sync" not in resource.colours
        self.most = limits.CALLS_PER_DESTINATION if self._async else limits.SYNC_THREADS_PER_STEP

    def is_async(self, op: Op) -> bool:
        """A library that does both is called in a thread: threads outlive loops."""
        return self._async

    def call(self, call: Call) -> Reply:
        """Ask about a branch, in a thread."""
        resource, xid = self.resource, xid_of(call)
        if call.op is Op.COMMIT:
            return resource.commit(xid, call)
        if call.op is Op.ROLLBACK:
            return resource.rollback(xid, call)
        return resource.seal(xid, call) if call.op is Op.SEAL else lost(call)

    async def acall(self, call: Call) -> Reply:
        """`call` on the loop."""
        resource, xid = self.resource, xid_of(call)
        if call.op is Op.COMMIT:
            return await resource.acommit(xid, call)
        if call.op is Op.ROLLBACK:
            return await resource.arollback(xid, call)
        return await resource.aseal(xid, call) if call.op is Op.SEAL else lost(call)


def lost(call: Call) -> Reply:
    """A vote that can't be asked for any more."""
    return Reply(Word.UNKNOWN, reason=GONE, retry=False)
