"""Calling further participants from inside a try: their branches join the same transaction, as its children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw

from troth.app.current import NEST, SCOPE, Nesting
from troth.app.tcc_calls import CallsTries
from troth.app.tcc_form import TccForm
from troth.app.tcc_tries import Waited, waited_of
from troth.core.words import Op
from troth.engine.node import Node
from troth.engine.tries import Nest
from troth.engine.waited import Answered
from troth.ports.caller import Call
from troth.ports.errors import Cancelled, DefinitionError

if TYPE_CHECKING:
    from troth.app.troth import Troth


class Nested(CallsTries):
    """The transaction of the try that is running here. Made by `Troth.nested`."""

    def __init__(self, troth: Troth) -> None:
        self._troth = troth
        scope, nesting = SCOPE.get(), NEST.get()
        if not isinstance(scope, Call) or nesting is None or scope.op is not Op.TRY:
            raise DefinitionError(
                "troth.nested() is known only inside the try_ of a TCC class that a transaction called. Elsewhere open one: "
                "with troth.transaction(…) as tx:"
            )
        self._call = scope
        self._nesting: Nesting = nesting

    def spelled(self, form: TccForm) -> str:
        """How code calls the class."""
        return f"troth.nested({form.short})"

    def ready(self, form: TccForm) -> Node:
        """The node that drives the transaction.

        :raises DefinitionError: the try has ended, or would wait for itself.
        """
        self._troth.check_known(form)
        if self._nesting.over:
            raise DefinitionError(f"{form.what} is called for the try {self._call.branch}, which has ended")
        self._check_apart(form)
        node = self._troth.runtime.node
        if node is None or self._call.uid not in node.driver.open:
            raise DefinitionError(
                f"{form.what} is called by {self._call.branch}, but {self._call.gid} is driven by another process: a try can call "
                "further participants only in the process of its coordinator. Have the initiator call them."
            )
        return node

    def _check_apart(self, form: TccForm) -> None:
        """A database with one writer at a time is held by the try that is running: a second try there would wait for it."""
        own: Any = self._troth.tcc_classes.find(self._call.name)
        outer: Any = getattr(own, "database", None)
        inner: Any = getattr(form, "database", None)
        if outer is not None and outer is inner and not outer.driver.dialect.lock:
            raise DefinitionError(
                f"{form.what} is called inside of a try on the same database, {outer.name}, which takes one writer at a time: it "
                "would wait for itself. Have the initiator call both, or do both in one try."
            )

    def host(self) -> Waited:
        """The transaction's host.

        :raises Cancelled: it is no longer driven here.
        """
        node = self._troth.runtime.node
        live = None if node is None else node.driver.open.get(self._call.uid)
        if node is None or live is None:
            raise Cancelled(self._call.gid, self._call.branch, "its node no longer drives it")
        return waited_of(node, live)

    def call(self, host: Waited, form: TccForm, args: Raw, answered: Answered) -> int:
        """Register a child; its id is derived, so that another run of the try finds it again."""
        if self._nesting.nest is None:
            self._nesting.nest = Nest(host, self._call.branch)
        return self._nesting.nest.call(form.name, args, answered)
