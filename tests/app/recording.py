"""A host that registers definitions as the Troth object does and records how they are invoked."""

from __future__ import annotations

from typing import Any, NamedTuple

from troth.app.graph import DefinesGraphs
from troth.app.host import Options
from troth.app.naming import Names
from troth.app.saga import DefinesSagas
from troth.app.step import DefinesSteps


class Call(NamedTuple):
    """One invocation as the host saw it."""

    definition: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    verb: str
    spelling: str
    options: Options = Options()


class Recording(DefinesSteps, DefinesSagas, DefinesGraphs):
    """See the module."""

    def __init__(self) -> None:
        self.steps: Names[Any] = Names("step")
        self.sagas: Names[Any] = Names("saga")

    def register_step(self, step: Any) -> None:
        self.steps.add(step)

    def register_saga(self, saga: Any) -> None:
        self.sagas.add(saga)

    def register_graph(self, graph: Any) -> None:
        self.sagas.add(graph)

    def invoke_step(self, step: Any, args: Any, kwargs: Any, spelling: str) -> Any:
        return Call(step, args, kwargs, "call", spelling)

    def invoke_saga(self, definition: Any, args: Any, kwargs: Any, verb: str, spelling: str, options: Options) -> Any:
        return Call(definition, args, kwargs, verb, spelling, options)


class Place:
    """A database that can only be named."""

    def __init__(self, *colours: str) -> None:
        self.name = "stock"
        self.colours = frozenset(colours)
