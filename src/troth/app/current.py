"""Where the running code is: in a step, in a saga's function, or outside."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from troth.core import limits
from troth.core.words import Op
from troth.ports.caller import Call
from troth.ports.errors import DefinitionError, LimitExceeded

if TYPE_CHECKING:
    from troth.engine.participants import Host
    from troth.engine.tries import Nest


@dataclass(frozen=True, slots=True)
class Current:
    """The call that a step, or a method of a TCC class, is running for.

    :param gid: the transaction.
    :param branch: the branch id, ``place/name#occurrence``; "" in a two-phase transaction, which is one whole.
    :param op: ``action``, ``compensate`` or ``check`` of a step; ``try``, ``confirm`` or ``cancel`` of a TCC class;
        ``prepare`` in a two-phase transaction.
    :param attempt: from 1: which call of this branch it is, whatever the op, in the life of the node that drives it.
    :param idempotency_key: the same for every attempt of this op on this branch and different for all others: hand it to
        payment gateways and the like.
    """

    gid: str
    branch: str
    op: Op
    attempt: int
    idempotency_key: str


FORKED = object()
"""The owner of a scope that a forked child inherited."""


class FunctionScope:
    """A task or thread of a saga's function that may call steps.

    :ivar place: which task: ``0`` is the function itself, ``0.1_0`` the first part of its first gather.
    :ivar owner: the asyncio task or thread that it belongs to.
    :ivar collectors: lists of branch indexes, one for each inner saga that is open.
    :ivar slot: where a thread waits for answers; None in a coroutine.
    """

    __slots__ = ("collectors", "gathers", "host", "owner", "place", "slot")

    def __init__(
        self,
        host: Host,
        place: str,
        owner: Any,
        slot: SimpleQueue[Any] | None = None,
        collectors: tuple[list[int], ...] = (),
    ) -> None:
        self.host = host
        self.place = place
        self.owner = owner
        self.slot = slot
        self.collectors = collectors
        self.gathers = 0

    def check_owner(self, what: str) -> None:
        """Raise unless the running task or thread is this scope's own."""
        here: Any = threading.get_ident() if self.slot is not None else running_task()
        if here is not self.owner and here != self.owner:
            if self.owner is FORKED:
                raise DefinitionError(
                    f"{what} is called in a forked process, inside of a saga that its parent runs. Fork outside of sagas, or begin "
                    "a saga of the child's own from a fresh context."
                )
            spelling = "troth.parallel(*thunks)" if self.slot is not None else "troth.gather(*awaitables)"
            raise DefinitionError(
                f"{what} is called from a task or thread that the saga's function made itself, so its place in the saga can't be "
                f"told apart from others'. Run the parts side by side with {spelling}, or call the step in the function."
            )

    def parts(self, count: int) -> list[str]:
        """The places of the parts of the next gather.

        :raises LimitExceeded: it is nested too deeply: each level makes branch ids longer.
        """
        depth = self.place.count(".") + 1
        if depth > limits.PLACE_DEPTH:
            raise LimitExceeded("PLACE_DEPTH", depth, limits.PLACE_DEPTH, "Nest fewer gathers into each other")
        self.gathers += 1
        return [f"{self.place}.{self.gathers}_{number}" for number in range(count)]

    def collect(self, index: int) -> None:
        """Note a branch for the inner sagas that are open."""
        for indexes in self.collectors:
            indexes.append(index)


SCOPE: ContextVar[FunctionScope | Call | None] = ContextVar("troth_scope", default=None)
"""A `FunctionScope` in a saga's function, the `Call` in a step, None outside."""


class Inside(NamedTuple):
    """A two-phase transaction that is open here.

    :param scope: where it was opened: what runs deeper inside, a step of a saga say, has another.
    """

    current: Current
    scope: FunctionScope | Call | None


TWO_PHASE: ContextVar[Inside | None] = ContextVar("troth_two_phase", default=None)
"""The innermost two-phase transaction that is open here, or None."""


class Nesting:
    """One run of a try, as far as it calls further participants of its transaction.

    :ivar nest: made at its first such call.
    :ivar over: the run has ended; nothing can be called for it any more.
    """

    __slots__ = ("nest", "over")

    def __init__(self) -> None:
        self.nest: Nest | None = None
        self.over = False

    @property
    def children(self) -> tuple[str, ...]:
        """The ids of the branches that it called."""
        return () if self.nest is None else tuple(self.nest.children)


NEST: ContextVar[Nesting | None] = ContextVar("troth_nest", default=None)
"""The present run of a TCC class's method, or None."""


def disown() -> None:
    """In a forked child: the saga whose function was running here is the parent's; no call of it can be made here."""
    scope = SCOPE.get()
    if isinstance(scope, FunctionScope):
        scope.owner = FORKED


def current() -> Current:
    """The call that the running step is for; inside a two-phase transaction, the transaction as a whole.

    :raises DefinitionError: outside a step that a saga called.
    """
    scope, inside = SCOPE.get(), TWO_PHASE.get()
    if inside is not None and inside.scope is scope:
        return inside.current
    if not isinstance(scope, Call):
        raise DefinitionError(
            "troth.current() is known only inside a step that a saga called, a method of a TCC class, or a two-phase transaction"
        )
    return Current(scope.gid, scope.branch, scope.op, scope.attempt, scope.idempotency_key)


def running_task() -> asyncio.Task[Any] | None:
    """The asyncio task that runs here, or None."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def in_loop() -> bool:
    """Is an event loop running in this thread?"""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
