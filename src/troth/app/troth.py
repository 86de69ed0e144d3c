"""The Troth object: what a program makes one of."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from msgspec import Raw

from troth.app import invoking
from troth.app.aio import AioTroth, blocking, options_of
from troth.app.blocks import OpensBlocks
from troth.app.brokers import GivesBrokers
from troth.app.coroutines import AsyncHost, gather
from troth.app.current import SCOPE, Current, FunctionScope, current, in_loop
from troth.app.databases import open_database
from troth.app.graph import DefinesGraphs, Graph, only_after_decision
from troth.app.handles import TrothHandle
from troth.app.host import Options, Spelling, Verb
from troth.app.http_step import HttpStep
from troth.app.locks import GivesLocks
from troth.app.messages import SendsMessages
from troth.app.naming import Names, checked_gid
from troth.app.once import DefinesOnce
from troth.app.operating import Operates
from troth.app.outcome import Handle, Outcome
from troth.app.participant import StepParticipant
from troth.app.remote import DefinesRemote
from troth.app.runtime import Runtime
from troth.app.saga import DefinesSagas
from troth.app.serving.serves import Serves
from troth.app.settings import check_settings
from troth.app.step import DefinesSteps, Step, check_ready
from troth.app.stores import open_store
from troth.app.tcc import DefinesTcc
from troth.app.threads import SyncHost, parallel
from troth.core import limits
from troth.core.plan import Plan, StepSpec
from troth.core.state import Transaction
from troth.engine.live import Live
from troth.engine.node import Node
from troth.engine.participants import Host, Participant
from troth.participant.database import Guarded
from troth.participant.meaning import PROGRAMMING_ERRORS
from troth.ports.errors import ConfigurationError, DefinitionError, WrongColour
from troth.wire.codec import codec_of

T = TypeVar("T")
R = TypeVar("R")


class Troth(
    DefinesSteps, DefinesSagas, DefinesGraphs, DefinesTcc, OpensBlocks, DefinesRemote, Serves, DefinesOnce, GivesLocks,
    GivesBrokers, SendsMessages, Operates,
):  # fmt: skip
    """A transaction manager, embedded in this process; the log is shared with the other processes of this machine.

    :param store: where the log lives: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``memory://``. Nothing is opened
        before first use. Default: the environment's ``TROTH_STORE``, else ``sqlite:///troth.db``.
    :param outside: what a step called outside any saga is: ``call``, an ordinary call, or ``refuse``, an error.
    :param drain: seconds that a graceful stop waits for what is in flight.
    :param no_retry: exceptions of a step after which the same call again can't do better.
    :raises ConfigurationError: if a setting is none that works.
    """

    def __init__(
        self, store: str | None = None, *, outside: Literal["call", "refuse"] = "call", drain: float = limits.DRAIN_SECONDS,
        no_retry: tuple[type[BaseException], ...] = PROGRAMMING_ERRORS,
    ) -> None:
        OpensBlocks.__init__(self)
        check_settings(outside, drain, no_retry)
        self.store_url = store or os.environ.get("TROTH_STORE") or "sqlite:///troth.db"
        self.outside = outside
        self.no_retry = no_retry
        self.steps: Names[Step[Any, Any]] = Names("step")
        self.sagas: Names[Any] = Names("saga")
        self.databases: dict[str, Guarded] = {}
        self._participants: dict[str, Participant] = {}
        self._plans: dict[int, Plan] = {}
        opener = open_store(self.store_url)
        self.runtime = Runtime(opener, self, self.check, drain)

    # --- definitions (app.host.Host)

    def register_step(self, step: Step[Any, Any]) -> None:
        """Take a step; called by its decorator."""
        for name in (step.name, *step.aliases):
            if self.tcc_classes.find(name) is not None:
                raise DefinitionError(f"{step.what}: a TCC class has the name {name} already. Give one of them another name=.")
        self.steps.add(step)
        self.forget_participants()

    def forget_participants(self) -> None:
        """Names have changed: look each up again."""
        self._participants.clear()

    def register_saga(self, saga: Any) -> None:
        """Take a saga; called by its decorator."""
        self.sagas.add(saga)
        self._plans.clear()

    def register_graph(self, graph: Graph[Any, Any]) -> None:
        """Take a graph; called by `graph`."""
        self.sagas.add(graph)
        self._plans.clear()

    def invoke_step(self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], spelling: Spelling) -> Any:
        """Call a step; called by the step itself."""
        return invoking.invoke_step(self, step, args, kwargs, spelling)

    def invoke_saga(
        self, definition: Any, args: tuple[Any, ...], kwargs: dict[str, Any], verb: Verb, spelling: Spelling, options: Options
    ) -> Any:
        """Call, run or start a saga; called by the saga itself."""
        return invoking.invoke_saga(self, definition, args, kwargs, verb, spelling, options)

    def database(self, name: str, target: Any, **options: Any) -> Guarded:
        """A database for steps to run on (``on=``). The barrier lives there too. Nothing is opened before first use.

        :param name: how errors and metrics call it.
        :param target: a URL (``sqlite:///…``, ``postgresql://…``), or SQLAlchemy's engine or session factory.
        :raises ConfigurationError: if the name is taken, or an option is none that works.
        """
        if name in self.databases:
            raise ConfigurationError(f"database {name!r} is defined twice; give one of them another name")
        database = self.databases[name] = open_database(name, target, **options)
        self.runtime.disowned.append(database.abandon)
        return database

    def check(self) -> None:
        """Check all definitions, as a node does when it starts.

        :raises DefinitionError: naming the step and the cure.
        """
        graphs = [each for each in self.sagas if isinstance(each, Graph)]
        for graph in graphs:
            graph.check()
        check_ready(self.steps, only_after_decision(graphs))

    def definition(self, name: str) -> Any:
        """The saga or graph of a stored name, aliases included, or None."""
        return self.sagas.find(name)

    def reader(self, doc: Transaction) -> Any:
        """What can read a stored transaction's result, or None if its code isn't here."""
        return self.holds if doc.pattern == "tcc" else self.sagas.find(doc.definition) if doc.pattern == "saga" else None

    # --- the engine's registry

    def participant(self, name: str) -> Participant | None:
        """The step, or TCC class, of a stored name, for the engine."""
        found = self._participants.get(name)
        if found is None:
            found = self._participant(name)
            if found is not None:
                self._participants[name] = found
        return found

    def _participant(self, name: str) -> Participant | None:
        step = self.steps.find(name)
        if isinstance(step, HttpStep):
            return self.http_participant(step)
        if step is not None:
            return StepParticipant(step, self.no_retry)
        form = self.tcc_classes.find(name)
        if form is not None:
            return form.participant
        return self.database_participant(name) or self.message_participant(name)

    def plan(self, definition: str, form: str) -> Plan | None:
        """The plan of a stored name, for the engine."""
        if form == "message":
            return self.message_plan(definition)
        if form not in ("graph", "function"):
            return self.block_plan(definition, form)
        found = self.sagas.find(definition)
        if found is None or isinstance(found, Graph) is not (form == "graph"):
            return None
        return self.plan_of(found)

    def plan_of(self, definition: Any) -> Plan:
        """The plan of a definition, made once."""
        plan = self._plans.get(id(definition))
        if plan is None:
            plan = definition.plan if isinstance(definition, Graph) else definition.plan(self._spec, self._same)
            self._plans[id(definition)] = plan
        return plan

    def _spec(self, name: str) -> StepSpec | None:
        step = self.steps.find(name)
        return None if step is None else step.spec

    def _same(self, name: str, recorded: Raw, called: Raw) -> bool:
        step = self.steps.find(name)
        return step is not None and step.signature.same(recorded, called)

    def host(self, live: Live) -> Host:
        """A host for a function without a caller, for the engine."""
        node = self.runtime.node
        assert node is not None
        return self.make_host(node, live, self.sagas.find(live.saga.doc.definition), None, None)

    def make_host(self, node: Node, live: Live, saga: Any, slot: Any, context: Context | None) -> Host:
        """A host in the function's colour."""
        if saga.is_async:
            return AsyncHost(node, live, saga, context)
        return SyncHost(node, live, saga, slot, context)

    # --- life

    def __enter__(self) -> Self:
        if in_loop():
            raise WrongColour("`with troth:` would block the event loop that runs here. Write: async with troth:")
        self.runtime.enter_blocking()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.runtime.leave():
            self.close()

    async def __aenter__(self) -> Self:
        await self.runtime.enter()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.runtime.leave():
            await self.aclose()

    def close(self) -> None:
        """Stop gracefully: take nothing new, let what is in flight end, leave the rest to other nodes. Blocks."""
        if in_loop():
            raise WrongColour("troth.close() would block the event loop that runs here. Write: await troth.aclose()")
        self.runtime.close()
        for database in self.databases.values():
            database.close()
        self.close_locks()

    async def aclose(self) -> None:
        """`close`, awaited."""
        await self.runtime.aclose()
        for database in self.databases.values():
            await database.aclose()
        await self.aclose_locks()

    # --- running

    def run(self, saga: Any, *args: Any, gid: str | None = None, timeout: float | None = None, **kwargs: Any) -> Outcome[Any]:
        """Run a saga to its end and say what became of it; a business no is not raised.

        :param gid: the transaction's id: the same again is the same transaction.
        :param timeout: seconds for its undecided part.
        """
        outcome: Outcome[Any] = self.invoke_saga(saga, args, kwargs, "run", blocking(saga), options_of(gid, timeout))
        return outcome

    def start(self, saga: Any, *args: Any, gid: str | None = None, timeout: float | None = None, **kwargs: Any) -> Handle[Any]:
        """Begin a saga, durably, and don't wait for it."""
        handle: Handle[Any] = self.invoke_saga(saga, args, kwargs, "start", blocking(saga), options_of(gid, timeout))
        return handle

    def attach(self, gid: str) -> Handle[Any]:
        """A hold on a transaction that was begun before, here or elsewhere."""
        return TrothHandle(self, checked_gid(gid), None)

    @property
    def aio(self) -> AioTroth:
        """The awaitable spellings: ``await troth.aio.run(…)``, ``.start``, ``.get``, ``.find``, ``.retry``, ``.resolve``."""
        return AioTroth(self)

    async def elsewhere(self, node: Node, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run on the node's loop, wait here."""
        value: T = await invoking.elsewhere(node, coroutine)
        return value

    # --- inside a saga

    async def gather(self, *awaitables: Awaitable[Any]) -> list[Any]:
        """Run parts of an async saga side by side, each with a place of its own; all end before the first error is raised."""
        scope = SCOPE.get()
        if not isinstance(scope, FunctionScope):
            return list(await asyncio.gather(*awaitables))
        return await gather(scope, awaitables)

    def parallel(self, *thunks: Callable[[], Any]) -> list[Any]:
        """`gather` for a sync saga: each part is called in a thread of its own."""
        scope = SCOPE.get()
        if not isinstance(scope, FunctionScope) or not isinstance(scope.host, SyncHost):
            raise DefinitionError("troth.parallel runs parts of a sync saga; in an async one write: await troth.gather(…)")
        return parallel(scope, thunks)

    def current(self) -> Current:
        """The call that the running step is for: gid, branch, op, attempt, idempotency_key.

        :raises DefinitionError: outside a step that a saga called.
        """
        return current()

    def remember(self, fn: Callable[[], T], type: Any = Any) -> T:
        """Draw a value (a time, a random id) once: a later run of the saga's function gets the same again.

        :param fn: called without arguments, only if no earlier run drew the value.
        :param type: what the value is encoded by.
        :raises DefinitionError: outside a saga's function.
        """
        scope = SCOPE.get()
        if not isinstance(scope, FunctionScope):
            raise DefinitionError("troth.remember works only in a saga's function")
        scope.check_owner("troth.remember")
        codec = codec_of(type)
        host = scope.host
        if isinstance(host, SyncHost):
            found = host.ask(scope, host.recall, scope.place)
            if found is None:
                found = codec.encode(fn(), "remembered value")
                host.ask(scope, host.remember, scope.place, found)
        else:
            found = host.recall(scope.place)
            if found is None:
                found = codec.encode(fn(), "remembered value")
                host.remember(scope.place, found)
        value: T = codec.decode(found, "remembered value")
        return value
