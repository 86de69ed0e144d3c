"""Graphs: sagas that are declared step by step, with parallel steps, before they run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar, cast

from msgspec import Raw

from troth.app.host import Host, Options
from troth.app.naming import checked_aliases, checked_gid, checked_name, checked_seconds
from troth.app.reference import Ref, parts
from troth.app.step import Step
from troth.app.verbs import BlockingForm
from troth.app.weave import weave
from troth.core import limits
from troth.core.plan import Plan
from troth.ports.errors import DefinitionError
from troth.wire.codec import Codec, codec_of
from troth.wire.shapes import Unencodable
from troth.wire.splice import fields

I = TypeVar("I")  # noqa: E741 - the input
R = TypeVar("R")
T = TypeVar("T")
GraphRole = Literal["compensable", "pivot", "retriable"]


class GraphStep(Generic[T]):
    """One use of a step in a graph.

    :ivar name: the step's name, from the second use on with ``#2``.
    :ivar step: the step.
    :ivar occurrence: which use of it this is, from 1.
    :ivar result: a reference to what it will return.
    """

    def __init__(
        self,
        graph: Graph[Any, Any],
        step: Step[Any, T],
        occurrence: int,
        after: tuple[GraphStep[Any] | str, ...],
        role: GraphRole | None,
        arguments: Mapping[str, Any],
    ) -> None:
        self.graph = graph
        self.step = step
        self.occurrence = occurrence
        self.name = step.name if occurrence == 1 else f"{step.name}#{occurrence}"
        self.after = after
        self.role = role
        self.arguments = arguments
        self.result: Ref[T] = Ref(self, step.signature.returns, f"{self.name}.result")

    def __repr__(self) -> str:
        return f"<step {self.name} of graph {self.graph.name}>"


class Graph(BlockingForm[[I], R], Generic[I, R]):
    """A declared saga. It is checked and frozen at its first use, at node start, or by `check`.

    :ivar name: the name it is stored by.
    :ivar input: a reference to what it will be called with.
    """

    is_async = False

    def __init__(
        self,
        host: Host,
        name: str,
        input_type: Any,
        *,
        module: str = "",
        gid: Callable[[I], str] | None = None,
        aliases: tuple[str, ...] = (),
        timeout: float | None = None,
    ) -> None:
        """Make and register a graph without steps; see `DefinesGraphs.graph`."""
        super().__init__(host, self, "own", Options())
        self.name = checked_name(name, "graph")
        self.what = f"graph {name}"
        self.source = (module, f"graph {name}")
        self.aliases = checked_aliases(aliases, self.what)
        self._gid = gid
        self._seconds = None if timeout is None else checked_seconds(timeout, self.what, "timeout")
        try:
            self._codec: Codec = codec_of(input_type)
        except Unencodable as error:
            raise DefinitionError(f"{self.what}: its input: {error.problem}. {error.cure}.") from error
        self.input: Ref[I] = Ref(None, input_type, "input")
        self._steps: list[GraphStep[Any]] = []
        self._returns: Ref[Any] | None = None
        self._plan: Plan | None = None
        host.register_graph(self)

    def step(
        self,
        step: Step[..., T],
        *,
        after: GraphStep[Any] | str | Iterable[GraphStep[Any] | str] = (),
        role: GraphRole | None = None,
        args: Mapping[str, Any] | None = None,
        **references: Any,
    ) -> GraphStep[T]:
        """Add a step.

        A parameter that is not given is taken by name from the input's fields; one annotated with the input's type gets
        it whole.

        :param after: steps, or names of steps, also of later ones, that it waits for; those whose results it is given
            need not be named.
        :param role: ``compensable``, ``pivot`` or ``retriable``; default: the step's own.
        :param args: arguments for parameters that are named as those of this method.
        :param references: arguments by parameter name: references, or constants.
        :raises DefinitionError: if the graph is frozen, or what was given is no step.
        """
        self._open()
        if not isinstance(step, Step):
            raise DefinitionError(f"{self.what}: {step!r} is no step. Decorate it with @troth.step first.")
        if role not in (None, "compensable", "pivot", "retriable"):
            raise DefinitionError(
                f"{self.what}: step {step.name}: role={role!r} is none. Say compensable, pivot or retriable."
            )
        if len(self._steps) >= limits.BRANCHES:
            raise DefinitionError(
                f"{self.what}: step {step.name} is one more than BRANCHES ({limits.BRANCHES}). Split the saga."
            )
        twice = [name for name in args or () if name in references]
        if twice:
            raise DefinitionError(f"{self.what}: step {step.name}: {twice[0]} is given twice. Leave it out of args=.")
        occurrence = 1 + sum(used.step.name == step.name for used in self._steps)
        waited = (after,) if isinstance(after, (str, GraphStep)) else tuple(after)
        used = GraphStep(self, step, occurrence, waited, role, {**(args or {}), **references})
        self._steps.append(used)
        return used

    def returns(self, ref: Ref[T]) -> Graph[I, T]:
        """Say what the graph returns; without it, an object of its results by step name.

        :param ref: a reference to a step's result, or to a member of one, or of the input.
        :return: the same graph, typed so.
        :raises DefinitionError: if the graph is frozen, or the reference is none of its own.
        """
        self._open()
        given: Any = ref
        source = parts(given)[0] if isinstance(given, Ref) else None
        if not isinstance(given, Ref) or (source is not None and source.graph is not self):
            raise DefinitionError(f"{self.what}: returns({ref!r}) is no reference of this graph. Pass e.g. a.result.")
        self._returns = ref
        return cast("Graph[I, T]", self)

    def check(self) -> None:
        """Check the graph and freeze it.

        :raises DefinitionError: naming the step, what is wrong, and the cure.
        """
        if self._plan is None:
            kind = parts(self.input)[2]
            self._plan = weave(self.name, kind, self._steps, self._returns, self._seconds)

    @property
    def plan(self) -> Plan:
        """The definition as the rules see it; checks and freezes it."""
        if self._plan is None:
            self.check()
        return cast("Plan", self._plan)

    @property
    def timeout(self) -> float:
        """Seconds for its undecided part: as given, else the larger of 30 and the sum of its steps' budgets."""
        return self.plan.timeout

    @property
    def steps(self) -> tuple[GraphStep[Any], ...]:
        """Its steps as they were declared."""
        return tuple(self._steps)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Raw:
        """The encoded input of a call.

        :raises TypeError: if it isn't called with exactly one value.
        :raises PayloadError: if that isn't what the input's type says; names the field.
        """
        if len(args) != 1 or kwargs:
            raise TypeError(f"{self.what}: takes exactly one argument, its input")
        return self._codec.encode(args[0], "input")

    def gid_of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Options) -> str | None:
        """As `Saga.gid_of`."""
        if options.gid is not None:
            return checked_gid(options.gid)
        return None if self._gid is None else checked_gid(self._gid(*args))

    def decode_result(self, raw: Raw | bytes) -> Any:
        """The graph's value: what `returns` says, else its results by step name."""
        if self._returns is not None:
            return codec_of(parts(self._returns)[2]).decode(raw, "result")
        found = fields(raw)
        return {
            used.name: used.step.signature.decode_result(found[used.name]) for used in self._steps if used.name in found
        }

    def _open(self) -> None:
        if self._plan is not None:
            raise DefinitionError(f"{self.what}: it was checked or used and can't change any more. Make another graph.")

    def __repr__(self) -> str:
        return f"<graph {self.name}>"


def only_after_decision(graphs: Iterable[Graph[Any, Any]]) -> set[str]:
    """Names of steps that graphs use, and only ever as pivot or retriable: nothing has to undo them."""
    roles: dict[str, set[str | None]] = {}
    for graph in graphs:
        for used in graph.steps:
            roles.setdefault(used.step.name, set()).add(used.role)
    return {name for name, found in roles.items() if found <= {"pivot", "retriable"}}


class DefinesGraphs:
    """The part of the Troth object that makes graphs."""

    def graph(
        self: Host,
        name: str,
        input: type[I],
        *,
        gid: Callable[[I], str] | None = None,
        aliases: tuple[str, ...] = (),
        timeout: float | None = None,
    ) -> Graph[I, dict[str, Any]]:
        """Make a graph: a saga that is declared step by step.

        :param name: the name it is stored by.
        :param input: the type of the one value it is called with.
        :param gid: makes the transaction's id from the input: the same id again is the same transaction.
        :param aliases: names it had before, so that what was stored by them is found.
        :param timeout: seconds for its undecided part; default: the larger of 30 and the sum of its steps' budgets.
        :raises DefinitionError: if the name is taken, or the input's type can't be encoded.
        """
        module = str(sys._getframe(1).f_globals.get("__name__", ""))
        return Graph(self, name, input, module=module, gid=gid, aliases=aliases, timeout=timeout)
