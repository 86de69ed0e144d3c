"""The Troth object's verbs for TCC: open a transaction, run or start a declared one, call on from inside a try."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from troth.app.current import SCOPE, FunctionScope, in_loop
from troth.app.handles import TrothHandle
from troth.app.invoking import child_gid, elsewhere
from troth.app.naming import Names, checked_gid, checked_name, checked_seconds
from troth.app.outcome import Handle, Outcome, Until
from troth.app.tcc_begin import declared
from troth.app.tcc_block import TccBlock
from troth.app.tcc_form import Branch, TccForm
from troth.app.tcc_holds import Holds
from troth.app.tcc_nested import Nested
from troth.app.telling import outcome_of
from troth.app.transactions import Beginning, run, start
from troth.core.plan import Plan, StepSpec
from troth.ports.caller import Call
from troth.ports.errors import DefinitionError, WrongColour

if TYPE_CHECKING:
    from troth.app.troth import Troth

NAME = "tcc"
"""What a transaction is listed as, unless it is given a name."""


class RunsTcc:
    """The part of the Troth object that knows TCC classes and runs their transactions.

    :ivar tcc_classes: the classes by name.
    :ivar block_type: what `transaction` makes.
    """

    block_type: type[TccBlock] = TccBlock

    def __init__(self) -> None:
        self.tcc_classes: Names[TccForm] = Names("tcc class")
        self.holds = Holds(self.tcc_classes.find)
        self._tcc_plans: dict[tuple[str, str], Plan] = {}

    # --- classes

    def register_tcc(self, form: TccForm) -> None:
        """Take a TCC class, or a remote one, once it is made.

        :raises DefinitionError: if another, or a step, has its name.
        """
        troth = cast("Troth", self)
        for name in (form.name, *form.aliases):
            if troth.steps.find(name) is not None:
                raise DefinitionError(f"{form.what}: a step has the name {name} already. Give one of them another name=.")
        self.tcc_classes.add(form)
        troth.forget_participants()

    def check_known(self, form: TccForm) -> None:
        """Raise unless the class is one of this Troth object's.

        :raises DefinitionError: naming the cure.
        """
        if self.tcc_classes.find(form.name) is not form:
            raise DefinitionError(
                f"{form.what} is not (or no longer) known to this Troth object. Decorate it with this object's tcc, and import it "
                "from where it is defined."
            )

    def tcc_plan(self, name: str, form: str) -> Plan:
        """The plan of TCC transactions listed under a name.

        :param form: ``open`` or ``declared``.
        """
        plan = self._tcc_plans.get((name, form))
        if plan is None:
            made = Plan(name, "open" if form == "open" else "declared", lookup=self._tcc_spec, pattern="tcc")
            plan = self._tcc_plans[name, form] = made
        return plan

    def _tcc_spec(self, name: str) -> StepSpec | None:
        form = self.tcc_classes.find(name)
        return None if form is None else form.spec

    # --- opened

    def transaction(
        self, gid: str | None = None, *, timeout: float | None = None, until: Until = "finished", name: str = NAME
    ) -> TccBlock:
        """A TCC transaction that the code of a block opens: ``with`` or ``async with``.

        ``tx(Stock).try_("book", 1)`` calls one participant. Leaving the block confirms, an exception cancels and goes on.

        :param gid: the transaction's id; default: a generated one. A block is never run twice under one gid.
        :param timeout: seconds for its undecided part; default 30.
        :param until: leave the block when it is ``decided``, or ``finished``: when all holds are confirmed or cancelled.
        :param name: what it is listed as.
        :raises AlreadyBegun: at entry: the gid was begun before.
        :raises GidConflict: at entry: the gid belongs to something else.
        :raises NotAccepted: at entry: nothing was written; try again.
        :raises Cancelled: at the end: it could only be cancelled.
        :raises NeedsAttention: at the end: it is decided, but a person is needed.
        """
        gid = checked_tcc(gid, "troth.transaction(…)")
        seconds = None if timeout is None else checked_seconds(timeout, "troth.transaction", "timeout")
        return self.block_type(cast("Troth", self), gid, seconds, checked_until(until), checked_name(name, "troth.transaction"))

    @property
    def nested(self) -> Nested:
        """Inside a ``try_``: its transaction. ``troth.nested(Seats).try_("12A")`` calls a further participant of it.

        The branch is a child of the try that calls it: if the try is run again, it must call the same children with the
        same arguments, else all is cancelled.

        :raises DefinitionError: anywhere else.
        """
        return Nested(cast("Troth", self))

    # --- declared

    def run_tcc(
        self, gid: str | None, branches: Sequence[Branch], *, timeout: float | None = None, until: Until = "finished",
        name: str = NAME,
    ) -> Outcome[list[Any]]:  # fmt: skip
        """Try all branches side by side; confirm if every try is done, else cancel; say what became of it.

        A business no is not raised. The outcome's result is the list of the holds.

        :param gid: the transaction's id: the same again, with the same branches, is the same transaction. None: generated.
        :param branches: ``Stock.branch("book", 1)`` and so on.
        :param timeout: seconds for its undecided part; default 30, or what the longest try may take with all its attempts.
        :param until: return when it is ``decided``, or ``finished``.
        :param name: what it is listed as.
        :raises GidConflict: the gid belongs to something else.
        :raises NotAccepted: nothing was written; try again.
        """
        troth = cast("Troth", self)
        refuse_blocking("run_tcc")
        what = begun(troth, gid, branches, timeout, name)
        node = troth.runtime.started()
        seen = troth.runtime.call(run(node, what, checked_until(until)), node.loop)
        return outcome_of(seen.doc, self.holds)

    def start_tcc(
        self, gid: str | None, branches: Sequence[Branch], *, timeout: float | None = None, name: str = NAME
    ) -> Handle[list[Any]]:
        """Begin a declared transaction, durably, and don't wait for it; as `run_tcc`."""
        troth = cast("Troth", self)
        refuse_blocking("start_tcc")
        what = begun(troth, gid, branches, timeout, name)
        node = troth.runtime.started()
        return TrothHandle(troth, troth.runtime.call(start(node, what), node.loop), self.holds)


class AwaitsTcc:
    """The awaitable spellings of `RunsTcc`, under ``troth.aio``."""

    _troth: Troth

    async def run_tcc(
        self, gid: str | None, branches: Sequence[Branch], *, timeout: float | None = None, until: Until = "finished",
        name: str = NAME,
    ) -> Outcome[list[Any]]:  # fmt: skip
        """As `RunsTcc.run_tcc`."""
        troth = self._troth
        what = begun(troth, gid, branches, timeout, name)
        node = await troth.runtime.anywhere()
        running = run(node, what, checked_until(until))
        seen = await (running if node.loop is asyncio.get_running_loop() else elsewhere(node, running))
        return outcome_of(seen.doc, troth.holds)

    async def start_tcc(
        self, gid: str | None, branches: Sequence[Branch], *, timeout: float | None = None, name: str = NAME
    ) -> Handle[list[Any]]:
        """As `RunsTcc.start_tcc`."""
        troth = self._troth
        what = begun(troth, gid, branches, timeout, name)
        node = await troth.runtime.anywhere()
        starting = start(node, what)
        begun_gid = await (starting if node.loop is asyncio.get_running_loop() else elsewhere(node, starting))
        return TrothHandle(troth, begun_gid, troth.holds)


def begun(troth: Troth, gid: str | None, branches: Sequence[Branch], timeout: float | None, name: str) -> Beginning:
    """What a declared transaction begins with, all checked."""
    gid = checked_tcc(gid, "run_tcc")
    seconds = None if timeout is None else checked_seconds(timeout, "run_tcc", "timeout")
    return declared(troth, gid, branches, seconds, checked_name(name, "run_tcc"))


def checked_tcc(gid: str | None, what: str) -> str | None:
    """The gid, if it may begin here; inside a step one is derived, so that the step's repeat finds the same transaction.

    :raises DefinitionError: inside a saga's function, which may be run again.
    """
    scope = SCOPE.get()
    if isinstance(scope, FunctionScope):
        raise DefinitionError(
            f"{what} is begun inside a saga's function, which may be run again. Begin it in a step, or outside of the saga."
        )
    if gid is not None:
        return checked_gid(gid)
    return child_gid(scope) if isinstance(scope, Call) else None


def checked_until(until: Any) -> Until:
    """``decided`` or ``finished``.

    :raises DefinitionError: if it is neither.
    """
    if until not in ("decided", "finished"):
        raise DefinitionError(f'until={until!r} is no moment. Say "decided" or "finished".')
    return cast("Until", until)


def refuse_blocking(verb: str) -> None:
    """Raise where the verb would block an event loop."""
    if in_loop():
        raise WrongColour(f"troth.{verb}(…) would block the event loop that runs here. Write: await troth.aio.{verb}(…)")
