"""An open two-phase transaction, as the code inside its block sees it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from troth.app.current import Current
from troth.app.outcome import Outcome
from troth.app.two_phase_votes import Tasks
from troth.core import limits
from troth.core.quick import Op, State
from troth.core.reply import NULL
from troth.core.xid import Xid
from troth.engine.branches import as_args, id_of, name_of
from troth.engine.node import Node
from troth.engine.votes import Part, Votes
from troth.ports.caller import Call
from troth.ports.database import Database
from troth.ports.errors import Cancelled, DefinitionError, WrongColour
from troth.ports.resource import Resource

if TYPE_CHECKING:
    from troth.app.troth import Troth

COMMITTED: Final = (State.CONFIRMING, State.CONFIRMED)
NO_RESOURCE: Final = "it can't take part in two-phase transactions"


class Transaction:
    """What both colours have: what is enlisted, and what it is called.

    :ivar parts: what is enlisted, in order.
    :ivar spoiled: why it can only be rolled back, although no exception may leave the block; "" if it isn't so.
    """

    def __init__(self, troth: Troth, node: Node, votes: Votes) -> None:
        self._troth = troth
        self._node = node
        self._votes = votes
        self._uid = votes.live.saga.doc.uid
        self._gid = votes.live.gid
        self._pid = os.getpid()
        self._outcome: Outcome[Any] | None = None
        self.parts: list[Part] = []
        self.spoiled = ""
        self.ended = False

    @property
    def gid(self) -> str:
        """The transaction's id, the generated one included."""
        return self._gid

    @property
    def outcome(self) -> Outcome[Any] | None:
        """What became of it; None before the block was left, or where that could not be told."""
        return self._outcome

    @property
    def committed(self) -> bool:
        """It is decided, durably, to commit everywhere; False before the block was left, and where all is rolled back."""
        return self._outcome is not None and self._outcome.state in COMMITTED

    @property
    def rollback_only(self) -> bool:
        """It can only be rolled back any more: a database could not be enlisted, or its time is over."""
        return bool(self.spoiled) or self._votes.live.saga.doc.phase is State.CANCELLING

    def current(self) -> Current:
        """What `troth.current` gives inside."""
        return Current(self._gid, "", Op.PREPARE, 1, f"{self._uid.hex()}/prepare")

    # --- enlisting

    def _resource(self, database: Any, colour: str) -> Resource:
        """The database as a branch, if it can be enlisted now.

        :raises DefinitionError: naming the cure.
        :raises Cancelled: the transaction's time is over, or its node is gone.
        """
        name = getattr(database, "name", "")
        if self.ended:
            raise DefinitionError(f"{name} is enlisted after the block of {self._gid} was left. Open another transaction.")
        if self._pid != os.getpid():
            raise DefinitionError(f"{name} is enlisted in a forked process: {self._gid} is the parent's. Open one in the child.")
        resource = self._known(database, name)
        if colour not in resource.colours:
            other = "async with" if colour == "sync" else "with"
            raise DefinitionError(
                f"database {name} can't be enlisted here: its library is {'async only' if colour == 'sync' else 'blocking'}. "
                f"Write `{other} troth.two_phase(…)`, or name a URL of another library."
            )
        self._check_last(resource)
        doc = self._votes.live.saga.doc
        if self._votes.live.gone or doc.phase is not State.TRYING:
            raise Cancelled(self._gid, None, doc.reason or "its node no longer drives it")
        return resource

    def _known(self, database: Any, name: str) -> Resource:
        if self._troth.databases.get(name) is not database:
            raise DefinitionError(
                f"tx.enlist takes a database of this Troth object, not {database!r}: recovery finds it by its name. "
                'Make one: troth.database("bank", "postgresql://…").'
            )
        resource: Resource | None = getattr(database, "resource", None)
        if resource is None:
            raise DefinitionError(f"database {name}: {NO_RESOURCE}.")
        return resource

    def _check_last(self, resource: Resource) -> None:
        others = [part.database for part in self.parts if not part.prepares]
        if others and not resource.prepares:
            raise DefinitionError(
                f"database {resource.name} can't prepare, nor can {others[0]}, which is enlisted already: only one such database "
                "can take part, for it commits last and decides. Use a database that can prepare, or a saga."
            )
        if len(self.parts) >= limits.BRANCHES:
            raise DefinitionError(f"{self._gid}: {limits.BRANCHES} databases are enlisted, which is all a transaction can have.")

    def _enlisted(self, name: str) -> Any:
        """The connection of a database that is enlisted, or None."""
        for part in self.parts:
            if part.database == name:
                return part.enlisted.connection
        return None

    def _branch(self, name: str) -> tuple[Xid, Call]:
        """The next branch's name, and the call that begins it."""
        node, doc = self._node, self._votes.live.saga.doc
        xid = Xid(node.log_id, doc.incarnation, doc.uid, len(self.parts), doc.vote_by)
        call = Call(
            doc.uid, doc.gid, id_of(name), Op.PREPARE, name_of(name), 1, NULL, None, doc.begun, node.mark, node.log_id,
            limits.PARTICIPANT_TIMEOUT,
        )  # fmt: skip
        return xid, call

    def _joined(self, resource: Resource, xid: Xid, enlisted: Any) -> Any:
        self.parts.append(Part(resource.name, resource.prepares, as_args(xid), enlisted))
        return enlisted.connection

    def _spoil(self, name: str, error: BaseException) -> None:
        self.spoiled = self.spoiled or f"{name} could not be enlisted: {error}"


class SyncTransaction(Transaction):
    """An open two-phase transaction in a thread."""

    def __init__(self, troth: Troth, node: Node, votes: Votes, slot: SimpleQueue[Any]) -> None:
        super().__init__(troth, node, votes)
        self.slot = slot
        self._thread = threading.get_ident()

    def enlist(self, database: Database) -> Any:
        """Let a database take part: its library's own connection or session, in a local transaction that will be prepared.

        Enlisted again, it gives the same connection. Leave commit, rollback and close to troth.

        :param database: a `troth.database`.
        :raises EnlistFailed: there is no connection, or it can't begin: the transaction can only be rolled back.
        :raises ConfigurationError: the server can't do two-phase commit; names the cure.
        :raises DefinitionError: it can't be enlisted here; names the cure.
        :raises Cancelled: the transaction's time is over.
        """
        resource = self._resource(database, "sync")
        if threading.get_ident() != self._thread:
            raise DefinitionError(
                f"database {resource.name} is enlisted in another thread than its block's, where its connection would be ended. "
                "Enlist it in the thread that opened the block."
            )
        known = self._enlisted(resource.name)
        if known is not None:
            return known
        xid, call = self._branch(resource.name)
        try:
            enlisted = resource.enlist(xid, call)
        except BaseException as error:
            self._spoil(resource.name, error)
            raise
        return self._joined(resource, xid, enlisted)


class AsyncTransaction(Transaction):
    """An open two-phase transaction in a task."""

    def __init__(self, troth: Troth, node: Node, votes: Votes, tasks: Tasks) -> None:
        super().__init__(troth, node, votes)
        self.tasks = tasks
        self._lock = asyncio.Lock()

    def enlist(self, database: Database) -> Coroutine[Any, Any, Any]:
        """As `SyncTransaction.enlist`, awaited."""
        return self._enlist(self._resource(database, "async"))

    async def _enlist(self, resource: Resource) -> Any:
        if asyncio.get_running_loop() is not self.tasks.loop:
            raise WrongColour(f"database {resource.name} is enlisted on another loop than its block's. Enlist it on the block's.")
        async with self._lock:  # one at a time, so that each gets its number
            known = self._enlisted(resource.name)
            if known is not None:
                return known
            self._check_last(resource)
            xid, call = self._branch(resource.name)
            try:
                enlisted = await resource.aenlist(xid, call)
            except BaseException as error:
                self._spoil(resource.name, error)
                raise
            if self.ended:
                enlisted.release()
                raise DefinitionError(f"{resource.name} was enlisted after its block was left: {self._gid} has ended.")
            return self._joined(resource, xid, enlisted)
