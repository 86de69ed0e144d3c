"""A database in memory that can be enlisted: it sits the exam of resources, and fails when told to.

For tests of what stands above a resource. Several `FakeDatabase`s on one `FakeServer` are what several processes are to
one database: a branch that one prepared is listed to, and can be ended by, any other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec

from troth.core.reply import Reply
from troth.core.words import Word
from troth.core.xid import Xid
from troth.ports.caller import Call
from troth.ports.errors import ConfigurationError, DefinitionError
from troth.ports.resource import HEURISTIC, READ_ONLY, EnlistFailed, Finding

Key = tuple[bytes, str]
GONE: Final = object()
"""A change that deletes its row."""


class Witness(msgspec.Struct):
    """A witness row, or a tombstone in its place."""

    sealed: bool
    begun: int
    log: str


class FakeServer:
    """What is durable: it outlives every `FakeDatabase` on it.

    :param slots: branches that may be prepared at a time; 0 as where the setting is off.
    """

    def __init__(self, *, slots: int = 64) -> None:
        self.slots = slots
        self.rows: dict[str, Any] = {}
        self.branches: dict[Xid, dict[str, Any]] = {}
        """The prepared ones, with the changes that wait."""
        self.witnesses: dict[Key, Witness] = {}
        self.marks: dict[str, int] = {}
        """By log: rows of transactions begun before may have been purged."""
        self.down = False
        """True: nobody can connect, and open connections are dead."""
        self.before: Callable[[str, Xid], Reply | None] = lambda op, xid: None
        """Asked before each op; a reply is answered instead of doing it. It may raise, too."""
        self.after: Callable[[str, Xid, Reply], Reply] = lambda op, xid, reply: reply
        """Asked after each op: what is answered."""
        self.lock = threading.RLock()

    def purge(self, log: str, mark: int) -> None:
        """Delete a log's rows below its mark."""
        with self.lock:
            self.marks[log] = mark
            old = [key for key, row in self.witnesses.items() if row.log == log and row.begun < mark]
            for key in old:
                del self.witnesses[key]

    def apply(self, changes: dict[str, Any]) -> None:
        """Commit changes."""
        for key, value in changes.items():
            if value is GONE:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


class FakeConnection:
    """What the user gets: rows by key, seen with the branch's own changes."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self.changes: dict[str, Any] = {}
        self.broken = ""
        """Why the local transaction can't be prepared any more."""

    def get(self, key: str, default: Any = None) -> Any:
        """A row."""
        value = self.changes.get(key, self._server.rows.get(key, default))
        return default if value is GONE else value

    def put(self, key: str, value: Any) -> None:
        """Write a row."""
        self.changes[key] = value

    def delete(self, key: str) -> None:
        """Delete a row."""
        self.changes[key] = GONE

    def fail(self) -> None:
        """Run a statement that fails, as a swallowed error leaves a transaction."""
        self.broken = "an error of the database was swallowed: nothing can be kept"

    def end(self) -> None:
        """Send COMMIT behind our back."""
        self._server.apply(self.changes)
        self.changes = {}
        self.broken = "the local transaction was ended inside the block"

    def commit(self) -> NoReturn:
        """Refused: troth ends the local transaction."""
        raise DefinitionError("commit: leave it out, troth commits")

    def rollback(self) -> NoReturn:
        """Refused: troth ends the local transaction."""
        raise DefinitionError("rollback: raise instead")

    def close(self) -> NoReturn:
        """Refused: troth ends the local transaction."""
        raise DefinitionError("close: leave it out, the connection is troth's")

    def __enter__(self) -> NoReturn:
        """Refused: troth ends the local transaction."""
        raise DefinitionError("with db: leave it out, the local transaction is open already")


class FakeEnlisted:
    """A branch in the making, in both colours."""

    def __init__(self, resource: FakeResource, xid: Xid, call: Call) -> None:
        self._resource = resource
        self._server = resource.server
        self._xid = xid
        self._call = call
        self._state = "open"
        self.connection = FakeConnection(self._server)

    def prepare(self) -> Reply:
        """Vote."""
        return self._resource.asked("prepare", self._xid, self._prepare)

    def commit(self) -> Reply:
        """Commit, after `prepare` or alone."""
        return self._resource.asked("commit", self._xid, self._commit)

    def rollback(self) -> Reply:
        """Roll back."""
        return self._resource.asked("rollback", self._xid, self._rollback)

    def release(self) -> None:
        """Give up the connection."""
        if self._state == "open":
            self._state = "ended"

    async def aprepare(self) -> Reply:
        """`prepare` in the other colour."""
        return self.prepare()

    async def acommit(self) -> Reply:
        """`commit` in the other colour."""
        return self.commit()

    async def arollback(self) -> Reply:
        """`rollback` in the other colour."""
        return self.rollback()

    def _refusal(self) -> str:
        """Why the branch can't be kept; "" if it can."""
        if self._state == "ended":
            return "the branch has ended"
        witness = self._server.witnesses.get(self._resource.key(self._xid))
        return self.connection.broken or ("sealed: the branch was rolled back before" if witness else "")

    def _prepare(self) -> Reply:
        server = self._server
        if not self._resource.prepares:
            return self._lost("this database can't prepare: it can only be the last resource")
        if refusal := self._refusal():
            return self._lost(refusal)
        if not self.connection.changes:
            self._state = "ended"
            return Reply(Word.DONE, result=READ_ONLY)
        if len(server.branches) >= server.slots:
            return self._lost("no prepared transaction is free")
        server.branches[self._xid] = self.connection.changes
        self._state = "prepared"
        return Reply(Word.DONE)

    def _lost(self, reason: str) -> Reply:
        self._state = "ended"
        return Reply(Word.REFUSED, reason=reason)

    def _commit(self) -> Reply:
        if self._state == "prepared":
            self._state = "ended"
            return self._resource.ended(self._xid, self._call, commit=True)
        if refusal := self._refusal():
            return self._lost(refusal)
        if self._call.begun < self._server.marks.get(self._call.log, 0):
            return self._lost("evidence purged")
        self._state = "ended"
        self._server.apply(self.connection.changes)
        self._server.witnesses[self._resource.key(self._xid)] = Witness(False, self._call.begun, self._call.log)
        return Reply(Word.DONE)

    def _rollback(self) -> Reply:
        if self._state == "open":
            self._state = "ended"
            return Reply(Word.DONE)
        self._state = "ended"
        return self._resource.ended(self._xid, self._call, commit=False)


class FakeResource:
    """A `troth.ports.resource.Resource` on a `FakeServer`, in both colours."""

    colours = frozenset({"sync", "async"})

    def __init__(self, name: str, server: FakeServer, *, prepares: bool = True) -> None:
        self.name = name
        self.server = server
        self.prepares = prepares

    def key(self, xid: Xid) -> Key:
        """Where the branch's witness is."""
        return xid.uid, xid.witness

    def asked(self, op: str, xid: Xid, answer: Callable[[], Reply]) -> Reply:
        """One op, with what `FakeServer.before` and ``after`` make of it."""
        with self.server.lock:
            reply = self.server.before(op, xid)
            if reply is None:
                reply = Reply(Word.UNKNOWN, reason=f"{self.name} is down") if self.server.down else answer()
            return self.server.after(op, xid, reply)

    def enlist(self, xid: Xid, call: Call) -> FakeEnlisted:
        """Begin a branch."""
        if self.server.down:
            raise EnlistFailed(self.name, "the server is down")
        if blocking := [finding for finding in self.preflight(call.timeout) if finding.blocks]:
            raise ConfigurationError(f"{self.name}: {blocking[0].message}. {blocking[0].cure}")
        if (reply := self.server.before("enlist", xid)) is not None:
            raise EnlistFailed(self.name, reply.reason)
        return FakeEnlisted(self, xid, call)

    def commit(self, xid: Xid, call: Call) -> Reply:
        """Commit a prepared branch."""
        return self.asked("commit", xid, lambda: self.ended(xid, call, commit=True))

    def rollback(self, xid: Xid, call: Call) -> Reply:
        """Roll a branch back, and make it impossible."""
        return self.asked("rollback", xid, lambda: self.ended(xid, call, commit=False))

    def seal(self, xid: Xid, call: Call) -> Reply:
        """Make a branch impossible unless it is committed."""
        return self.asked("seal", xid, lambda: self._seal(xid, call))

    def ended(self, xid: Xid, call: Call, *, commit: bool) -> Reply:
        """End a prepared branch; by its witness, where it isn't prepared any more."""
        server = self.server
        changes = server.branches.pop(xid, None)
        if changes is not None and commit:
            server.apply(changes)
            server.witnesses[self.key(xid)] = Witness(False, call.begun, call.log)
            return Reply(Word.DONE)
        if not commit:
            sealed = self._seal(xid, call)
            if sealed.word is Word.DONE:
                return Reply(Word.REFUSED, reason=f"{HEURISTIC}{xid.to_text()} is committed: its witness is there")
            return Reply(Word.DONE) if sealed.word is Word.SEALED else sealed
        witness = server.witnesses.get(self.key(xid))
        if witness is None and self._older(call):
            return Reply(Word.UNKNOWN, reason="evidence purged", retry=False)
        if witness is None or witness.sealed:
            return Reply(Word.REFUSED, reason=f"{HEURISTIC}{xid.to_text()} is rolled back: it has no witness")
        return Reply(Word.DONE)

    def _older(self, call: Call) -> bool:
        return call.begun < self.server.marks.get(call.log, 0)

    def _seal(self, xid: Xid, call: Call) -> Reply:
        if xid in self.server.branches:
            return Reply(Word.UNKNOWN, reason="a local transaction that holds the branch has not ended")
        witness = self.server.witnesses.get(self.key(xid))
        if witness is not None:
            return Reply(Word.SEALED if witness.sealed else Word.DONE)
        if self._older(call):
            return Reply(Word.UNKNOWN, reason="evidence purged", retry=False)
        self.server.witnesses[self.key(xid)] = Witness(True, call.begun, call.log)
        return Reply(Word.SEALED)

    def prepared(self, timeout: float) -> list[Xid]:
        """The prepared branches."""
        if self.server.down:
            raise ConnectionRefusedError(f"{self.name} is down")
        with self.server.lock:
            return list(self.server.branches) if self.prepares else []

    def preflight(self, timeout: float) -> list[Finding]:
        """Only the slots can be wrong."""
        if self.server.slots or not self.prepares:
            return []
        return [Finding("max_prepared_transactions", "prepared transactions are off", "Set FakeServer(slots=64)")]

    async def aenlist(self, xid: Xid, call: Call) -> FakeEnlisted:
        """`enlist` in the other colour."""
        return self.enlist(xid, call)

    async def acommit(self, xid: Xid, call: Call) -> Reply:
        """`commit` in the other colour."""
        return self.commit(xid, call)

    async def arollback(self, xid: Xid, call: Call) -> Reply:
        """`rollback` in the other colour."""
        return self.rollback(xid, call)

    async def aseal(self, xid: Xid, call: Call) -> Reply:
        """`seal` in the other colour."""
        return self.seal(xid, call)

    async def aprepared(self, timeout: float) -> list[Xid]:
        """`prepared` in the other colour."""
        return self.prepared(timeout)

    async def apreflight(self, timeout: float) -> list[Finding]:
        """`preflight` in the other colour."""
        return self.preflight(timeout)


class FakeDatabase:
    """What ``tx.enlist`` is given: a name and a `FakeResource`.

    :param name: as `troth.database` takes it.
    :param server: what is durable; its own if none is given.
    :param prepares: False for one that can only be the last resource.
    """

    colours = FakeResource.colours

    def __init__(self, name: str, server: FakeServer | None = None, *, prepares: bool = True) -> None:
        self.name = name
        self.server = server if server is not None else FakeServer()
        self.resource = FakeResource(name, self.server, prepares=prepares)
