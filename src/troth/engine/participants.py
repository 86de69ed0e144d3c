"""How the engine sees the code it calls: participants by step name, and hosts that run functions."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from typing import Protocol

from troth.core.plan import Plan
from troth.core.reply import Reply
from troth.core.words import Op
from troth.engine.live import Live
from troth.engine.runs import FunctionRun
from troth.ports.caller import Call
from troth.ports.resource import Resource


class Participant(Protocol):
    """Does the ops of one step.

    :ivar name: the step's name today.
    :ivar timeout: seconds one call may take.
    :ivar destination: what its calls are limited by.
    :ivar most: calls in flight to it, at most.
    """

    name: str
    timeout: float
    timeout_micros: int
    destination: str
    most: int

    def is_async(self, op: Op) -> bool:
        """Does `acall` do this op, on the loop? Otherwise `call` does, in a thread."""
        ...

    def call(self, call: Call) -> Reply: ...
    async def acall(self, call: Call) -> Reply: ...


class Host(FunctionRun):
    """A run of a function by a shell.

    Shells override these; a graph has none.

    :ivar used: it was started once; another run needs another host.
    """

    used = False

    def start(self) -> None:
        """Launch the function, from its beginning."""
        raise TypeError("a host launches its function")

    def context(self, index: int) -> Context | None:
        """The caller's context for a call's step, or None."""
        return None

    def paused(self, index: int) -> None:
        """A call that the function waits for will not be answered soon."""

    def take(self, index: int, call: Call, participant: Participant) -> bool:
        """Run a sync call in the function's own thread, if it waits there; True if it will, and will report."""
        return False


class Registry(Protocol):
    """Names to code."""

    def participant(self, name: str) -> Participant | None:
        """The step of that stored name, aliases included."""
        ...

    def plan(self, definition: str, form: str) -> Plan | None:
        """The saga of that stored name, aliases included."""
        ...

    def host(self, live: Live) -> Host:
        """A host for a function that has no caller here: recovered, or started."""
        ...

    def resources(self) -> Sequence[Resource]:
        """The databases whose prepared branches a node looks after."""
        ...
