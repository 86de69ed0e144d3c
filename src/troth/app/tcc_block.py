"""``with troth.transaction(gid) as tx``: call one participant after the other; leaving confirms, an exception cancels."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from msgspec import Raw

from troth.app.current import in_loop
from troth.app.outcome import Outcome, Until
from troth.app.reasons import why
from troth.app.tcc_begin import ended, open_block
from troth.app.tcc_calls import CallsTries
from troth.app.tcc_form import TccForm
from troth.app.tcc_tries import Opened, Waited, post
from troth.app.telling import cause_of, open_branches, outcome_of
from troth.app.transactions import Seen
from troth.core.ids import ROOT
from troth.core.words import State
from troth.engine.node import Node
from troth.engine.tries import Initiator
from troth.engine.waited import Answered
from troth.ports.errors import Cancelled, DefinitionError, NeedsAttention, TrothError, WrongColour

if TYPE_CHECKING:
    from troth.app.troth import Troth

GONE = "its initiator's code was left by "
LOST = "its node stopped driving it before it was decided; another one, or the next start, cancels it"


class TccBlock(CallsTries):
    """One transaction, opened by this code. Made by `Troth.transaction`; calls may come from several threads or tasks.

    Leaving the block without an exception confirms all its holds, once every try is done; an exception cancels them, and
    goes on. A try that was not answered ``done`` makes it rollback-only, whatever became of the exception.
    """

    def __init__(self, troth: Troth, gid: str | None, timeout: float | None, until: Until, name: str) -> None:
        self._troth = troth
        self._asked = gid
        self._timeout = timeout
        self._until: Until = until
        self._name = name
        self._host: Opened | None = None
        self._pid = 0
        self._left = False
        self._outcome: Outcome[Any] | None = None

    # --- what it says

    @property
    def gid(self) -> str:
        """The transaction's id, the generated one included."""
        if self._host is not None:
            return self._host.live.gid
        if self._asked is None:
            raise DefinitionError("tx.gid is known once the block is entered; give a gid to know it before")
        return self._asked

    @property
    def outcome(self) -> Outcome[Any] | None:
        """What became of it; None before the block was left, or where nobody waited for it."""
        return self._outcome

    @property
    def rollback_only(self) -> bool:
        """It can only be cancelled any more: a try was not done, or its deadline has passed. `reason` says why."""
        return bool(self._host is not None and not self._confirmed and (self._doc.phase is State.CANCELLING or self._gone))

    @property
    def reason(self) -> str:
        """Why it is rollback-only, or was cancelled, in words; "" if it isn't."""
        if self._host is None:
            return ""
        return self._doc.reason or (LOST if self._gone and not self._confirmed else "")

    @property
    def _doc(self) -> Any:
        assert self._host is not None
        return self._host.live.saga.doc

    @property
    def _gone(self) -> bool:
        return self._host is not None and self._host.live.gone

    @property
    def _confirmed(self) -> bool:
        return self._doc.phase is State.CONFIRMING or self._doc.state is State.CONFIRMED

    # --- calling (see `troth.app.tcc_calls.Caller`)

    def spelled(self, form: TccForm) -> str:
        """How code calls the class."""
        return f"tx({form.short})"

    def ready(self, form: TccForm) -> Node:
        """The node that drives it.

        :raises DefinitionError: the block is not entered, was left, or came here by a fork.
        :raises Cancelled: its node no longer drives it.
        """
        self._troth.check_known(form)
        host = self._usable(f"{form.what} is called")
        self._check_driven(host)
        return host.node

    def host(self) -> Waited:
        """The transaction's host."""
        assert self._host is not None
        return self._host

    def call(self, host: Waited, form: TccForm, args: Raw, answered: Answered) -> int:
        """Register a branch of the initiator's own."""
        assert isinstance(host, Initiator)
        return host.call(ROOT, form.name, args, answered)

    def _usable(self, what: str) -> Opened:
        if self._host is None:
            raise DefinitionError(f"{what} before its block is entered. Write: with troth.transaction(…) as tx:")
        if self._left:
            raise DefinitionError(f"{what} after its block was left: {self.gid} is decided. Open another transaction.")
        if self._pid != os.getpid():
            raise DefinitionError(f"{what} in a forked process: {self.gid} belongs to the parent. Open one in the child.")
        return self._host

    def _check_driven(self, host: Opened) -> None:
        """Raise if its node stopped or was declared dead before the end: as with a dead initiator, another one cancels it."""
        if host.live.gone and host.live.saga.doc.phase is State.TRYING:
            raise Cancelled(self.gid, None, LOST)

    def _fresh(self) -> None:
        if self._host is not None:
            raise DefinitionError(f"{self.gid} was opened before: one block is one transaction. Call troth.transaction(…) again.")

    # --- blocking

    def __enter__(self) -> Self:
        if in_loop():
            raise WrongColour(
                "`with troth.transaction(…)` would block the event loop that runs here. Write: async with troth.transaction(…)"
            )
        self._fresh()
        runtime = self._troth.runtime
        node = runtime.started()
        self._opened(runtime.call(self._open(node), node.loop))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        host = self._leave(error)
        if host is None:
            return
        if error is not None and not isinstance(error, Exception):
            post(host.node, host.abort, GONE + type(error).__name__)
            return
        runtime = self._troth.runtime
        try:
            seen = runtime.call(ended(host, self._end(host, error), self._until), host.node.loop)
        except (TrothError, TimeoutError) as problem:
            if error is None:
                raise
            error.add_note(f"{self.gid} is being cancelled; that could not be waited for: {problem}")
            return
        self._told(host, seen, error)

    # --- awaited

    async def __aenter__(self) -> Self:
        self._fresh()
        node = await self._troth.runtime.anywhere()
        opening = self._open(node)
        here = node.loop is asyncio.get_running_loop()
        self._opened(await (opening if here else self._troth.elsewhere(node, opening)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        host = self._leave(error)
        if host is None:
            return
        here = host.node.loop is asyncio.get_running_loop()
        if error is not None and not isinstance(error, Exception):
            if here:
                host.abort(GONE + type(error).__name__)
            else:
                post(host.node, host.abort, GONE + type(error).__name__)
            return
        ending = ended(host, self._end(host, error), self._until)
        try:
            seen = await (ending if here else self._troth.elsewhere(host.node, ending))
        except (TrothError, TimeoutError) as problem:
            if error is None:
                raise
            error.add_note(f"{self.gid} is being cancelled; that could not be waited for: {problem}")
            return
        self._told(host, seen, error)

    # --- both

    async def _open(self, node: Node) -> Opened:
        return await open_block(node, self._troth.tcc_plan(self._name, "open"), self._asked, self._timeout)

    def _opened(self, host: Opened) -> None:
        self._host = host
        self._pid = os.getpid()

    def _leave(self, error: BaseException | None) -> Opened | None:
        """The host, if this is where the transaction ends; in a forked child it isn't."""
        try:
            host = self._usable("its end comes")
        except DefinitionError:
            if error is None:
                raise
            return None
        self._left = True
        if error is None:
            self._check_driven(host)
        return host

    def _end(self, host: Opened, error: BaseException | None) -> Callable[[], None]:
        if error is None:
            return host.submit
        host.live.error = error
        reason, step = why(error)
        return lambda: host.abort(reason, step)

    def _told(self, host: Opened, seen: Seen, error: BaseException | None) -> None:
        """Keep the outcome; raise what the block's own code can't know: that all was cancelled, or a person is needed."""
        doc = seen.doc
        self._outcome = outcome_of(doc, self._troth.holds)
        if error is not None:
            return
        if doc.state is State.FAILED:
            raise NeedsAttention(doc.gid, open_branches(doc), doc.reason)
        if doc.phase is State.CANCELLING or doc.state is State.CANCELLED:
            raise Cancelled(doc.gid, doc.step or None, doc.reason) from seen.cause or cause_of(host.live)
