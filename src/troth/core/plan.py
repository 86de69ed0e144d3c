"""What a saga is made of, as the rules see it: plain values that the application's definitions are turned into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Raw

from troth.core import limits
from troth.core.words import Role

if TYPE_CHECKING:
    from troth.core.state import Branch

Bind = Callable[[Raw, Sequence[Raw]], Raw]
"""(encoded input, encoded results by step index) -> encoded arguments. Pure."""


class StepSpec(msgspec.Struct, frozen=True):
    """One step as the rules see it.

    :param guarded: safe to repeat and safe to compensate without having run.
    :param sealable: it has a barrier of ours, so it can be made impossible and asked about.
    :param undoable: it has a compensation (False: waived, or none is possible).
    :param checkable: it has a ``check``.
    :param timeout: seconds one call may take.
    :param attempts: calls before the decision, the first included.
    :param interval: seconds of the first pause between calls.
    :param waived: it was said that nothing has to undo it.
    """

    name: str
    role: Role = Role.COMPENSABLE
    guarded: bool = False
    sealable: bool = False
    undoable: bool = True
    checkable: bool = False
    timeout: float = limits.PARTICIPANT_TIMEOUT
    attempts: int = limits.MAX_RETRY_COUNT
    interval: float = limits.RETRY_INTERVAL
    waived: bool = False


class Node(msgspec.Struct, frozen=True):
    """One step of a graph.

    :param id: the branch id: ``name#occurrence`` at the root place.
    :param after: indexes of the steps it waits for (direct dependencies, references included).
    :param needs: indexes of the steps whose results its arguments use.
    :param before: indexes of the steps that wait for it (direct).
    :param bind: makes its arguments; called once, the bytes are stored.
    """

    id: str
    spec: StepSpec
    after: tuple[int, ...] = ()
    needs: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    bind: Bind | None = None


class Plan(msgspec.Struct, frozen=True):
    """A transaction's definition.

    :param form: of a saga ``graph`` or ``function``, of a tcc ``declared`` (all branches at the begin) or ``open``;
        of a two-phase transaction ``two_phase``, of a message ``message``.
    :param steps: the graph's nodes in an order where each stands after those it waits for; empty for other forms.
    :param pivot: index of the pivot, or -1.
    :param retriables: True if any node is retriable.
    :param lookup: but for a graph: the step of that (stored) name, aliases included, or None if there is no code for it.
    :param same: for a function: whether two encoded argument sets of the named step are equal after decoding.
    :param returns: for a graph: makes the saga's result; None: an object of the results by step name.
    :param recover: after a crash, run the function again (``run``) or cancel.
    :param pattern: whose rules it follows.
    :param idle: of a graph: its branches at the beginning; see `troth.core.smooth.prepared`.
    :param forced: of a graph, by step: whether its intent must be durable before its first call.
    :param audience: of a message: the participants of those who subscribe to its topic now.
    """

    name: str
    form: Literal["graph", "function", "declared", "open", "two_phase", "message"]
    steps: tuple[Node, ...] = ()
    pivot: int = -1
    retriables: bool = False
    lookup: Callable[[str], StepSpec | None] | None = None
    same: Callable[[str, Raw, Raw], bool] | None = None
    returns: Bind | None = None
    timeout: float = limits.COORDINATOR_TIMEOUT
    recover: Literal["run", "cancel"] = "run"
    pattern: Literal["saga", "tcc", "two_phase", "message"] = "saga"
    idle: tuple[Branch, ...] = ()
    forced: tuple[bool, ...] = ()
    audience: Callable[[], Sequence[str]] | None = None
