"""The Troth object of a Django project: made from the settings, and aware of Django's transactions and tests."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from django.db import connections, transaction

from troth.adapters.databases.django_threads import KEPT, in_block
from troth.app.aio import options_of
from troth.app.current import SCOPE, FunctionScope, in_loop
from troth.app.handles import TrothHandle
from troth.app.host import Options, Spelling, Verb
from troth.app.invoking import outside_sync
from troth.app.outcome import Handle, Outcome
from troth.app.step import Step
from troth.app.tcc_block import TccBlock
from troth.app.tcc_form import Branch
from troth.app.troth import Troth
from troth.engine.live import Live
from troth.engine.node import Node
from troth.engine.participants import Host
from troth.integrations.django.by_alias import DefinesByAlias
from troth.integrations.django.configuration import Configuration, no_store, read, under_test
from troth.integrations.django.hosting import DjangoParticipant, DjangoSyncHost
from troth.integrations.django.lending import in_tests
from troth.integrations.django.tcc import DjangoAioTroth, DjangoBlock
from troth.integrations.django.trial import Trial
from troth.participant.database import Guarded
from troth.ports.errors import DefinitionError
from troth.ports.store import Store

TEST_DRAIN = 1.0
"""Seconds that a test's node may take to end: what it leaves is forgotten with its log."""


class Asked(NamedTuple):
    """How a saga is called; see `Troth.invoke_saga`."""

    definition: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    verb: Verb
    spelling: Spelling
    options: Options


class DjangoTroth(DefinesByAlias, Troth):
    """A `Troth` object inside a Django project.

    :param configuration: what the settings say.
    :raises ConfigurationError: if one of them is none that works.
    """

    block_type = DjangoBlock

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration.store or "memory://", **configuration.more)
        self.store_url = configuration.store
        self.configuration = configuration
        self.trial = Trial(configuration.test_store, self._end_quickly)
        self._configured = self.runtime.make_store
        self._wrapped: dict[str, DjangoParticipant] = {}
        self.runtime.make_store = self._make_store

    def _make_store(self) -> Store:
        if under_test():
            KEPT.ageless = True
            return self.trial.make_store()
        if not self.configuration.store:
            raise no_store()
        return self._configured()

    # --- databases

    def database(self, name: str, target: Any = None, **options: Any) -> Guarded:
        """As `Troth.database`; a target without a scheme is an alias of ``DATABASES``, by default the name itself."""
        alias = name if target is None else target
        if isinstance(alias, str) and "://" not in alias:
            alias = f"django://{alias}"
        return super().database(name, alias, **options)

    def on_alias(self, alias: str) -> Guarded:
        """The database of that name, or of that alias of ``DATABASES``; made at first mention.

        :raises ConfigurationError: if there is none.
        """
        return self.databases.get(alias) or self.database(alias)

    # --- Django's transactions

    def on_commit(
        self, saga: Any, *args: Any, gid: str | None = None, timeout: float | None = None, using: str | None = None, **kwargs: Any
    ) -> None:
        """Start a saga once the ``transaction.atomic`` block around this has committed; at once outside of one.

        Should the process die between the commit and the start, the saga is not started: give it a ``gid`` that your data
        know, and start again what was missed; the same gid begins once.

        :param gid: the transaction's id; default: what the saga's ``gid=`` makes of the arguments, now.
        :param using: the alias whose commit is waited for; default ``default``.
        :raises PayloadError: if an argument can't be encoded.
        """
        saga.bind(args, kwargs)
        options = options_of(gid, timeout)
        named = saga.gid_of(args, kwargs, options)
        transaction.on_commit(lambda: self.start(saga, *args, gid=named, timeout=timeout, **kwargs), using=using)

    def _open_block(self) -> str | None:
        """The alias of a block that is open in this thread and that somebody will end."""
        known = connections.all(initialized_only=True)
        return next((each.alias for each in known if in_block(each)), None)

    def _refuse_block(self, what: str, cure: str) -> None:
        """Raise inside an atomic block, unless the settings allow it."""
        alias = self._open_block()
        if alias is not None and self.configuration.in_atomic != "allow":
            raise DefinitionError(
                f"{what} is begun inside transaction.atomic() on {alias!r}: it is no part of that block, would not see what it"
                f" wrote, and would stay if it rolled back. {cure} With ATOMIC_REQUESTS, mark the view"
                " transaction.non_atomic_requests."
            )

    def invoke_step(self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], spelling: Spelling) -> Any:
        """As `Troth.invoke_step`; a saga's step is never a part of an atomic block."""
        scope = SCOPE.get()
        if isinstance(scope, FunctionScope):
            alias = self._open_block()
            if alias is not None:
                raise DefinitionError(
                    f"{step.what} is called inside transaction.atomic() on {alias!r}: in a saga a step is a local transaction"
                    f" of its own, kept whatever becomes of the block. Leave the block before, or call the plain function in it."
                )
        elif scope is None and spelling == "aio" and not step.is_async and in_tests():
            return sync_to_async(outside_sync)(step, args, kwargs)
        return super().invoke_step(step, args, kwargs, spelling)

    def invoke_saga(
        self, definition: Any, args: tuple[Any, ...], kwargs: dict[str, Any], verb: Verb, spelling: Spelling, options: Options
    ) -> Any:
        """As `Troth.invoke_saga`; an atomic block is no part of a saga, and a test's transaction is lent to one."""
        awaited = definition.is_async if spelling == "own" else spelling == "aio"
        asked = Asked(definition, args, kwargs, verb, spelling, options)
        if isinstance(SCOPE.get(), FunctionScope):
            return super().invoke_saga(*asked)
        if awaited:
            return self._awaited_in_test(asked) if in_tests() else super().invoke_saga(*asked)
        if self._open_block() is not None:
            return self._beside(asked)
        with self.trial.waiting() as in_test:
            if not in_test or verb != "start":
                return super().invoke_saga(*asked)
            outcome = super().invoke_saga(*asked._replace(verb="run"))
        return TrothHandle(self, outcome.gid, definition)

    def _beside(self, asked: Asked) -> Any:
        """A saga begun inside an atomic block: refused, or begun in troth's own threads, on connections of their own."""
        name = asked.definition.name.rpartition(".")[2]
        django = f"transaction.on_commit(lambda: {name}.start(…))"
        self._refuse_block(asked.definition.what, f"Write troth.on_commit({name}, …) or, as Django does, {django}.")
        handle: TrothHandle[Any] = super().invoke_saga(*asked._replace(verb="start"))
        if asked.verb == "start":
            return handle
        return handle.wait() if asked.verb == "run" else handle.result()

    # --- TCC

    @property
    def aio(self) -> DjangoAioTroth:
        """See `Troth.aio`."""
        return DjangoAioTroth(self)

    def transaction(self, gid: str | None = None, **options: Any) -> TccBlock:
        """As `Troth.transaction`; never a part of an atomic block.

        :raises DefinitionError: inside of one.
        """
        self._refuse_block("a TCC transaction", "Open it after the block, or as a step of a saga that troth.on_commit(…) starts.")
        return super().transaction(gid, **options)

    def run_tcc(self, gid: str | None, branches: Sequence[Branch], **options: Any) -> Outcome[list[Any]]:
        """As `Troth.run_tcc`.

        :raises DefinitionError: inside an atomic block.
        """
        self._refuse_block("a TCC transaction", "Write transaction.on_commit(lambda: troth.start_tcc(…)).")
        with self.trial.waiting():
            return super().run_tcc(gid, branches, **options)

    def start_tcc(self, gid: str | None, branches: Sequence[Branch], **options: Any) -> Handle[list[Any]]:
        """As `Troth.start_tcc`; in a TestCase it has ended when this returns.

        :raises DefinitionError: inside an atomic block.
        """
        self._refuse_block("a TCC transaction", "Write transaction.on_commit(lambda: troth.start_tcc(…)).")
        with self.trial.waiting() as in_test:
            if not in_test:
                return super().start_tcc(gid, branches, **options)
            outcome = super().run_tcc(gid, branches, **options)
        return TrothHandle(self, outcome.gid, self.holds)

    # --- Django's tests

    def forget_log(self) -> None:
        """Under test: end this process's node and begin with an empty log, as each ``TestCase`` test does."""
        self.trial.forget_log()

    def _end_quickly(self) -> None:
        drain, self.runtime.drain = self.runtime.drain, TEST_DRAIN
        try:
            self.close()
        finally:
            self.runtime.drain = drain

    def _read(self) -> Store:
        if in_tests() and not in_loop():
            self.trial.look()
        return super()._read()

    async def _awaited_in_test(self, asked: Asked) -> Any:
        async with self.trial.awaiting() as in_test:
            if not in_test or asked.verb != "start":
                return await super().invoke_saga(*asked)
            outcome = await super().invoke_saga(*asked._replace(verb="run"))
        return TrothHandle(self, outcome.gid, asked.definition)

    # --- the engine's registry

    def participant(self, name: str) -> Any:
        """The step of a stored name, for the engine; its sync ops may use the ORM."""
        inner = super().participant(name)
        found = self._wrapped.get(name)
        if inner is not None and (found is None or found.inner is not inner):
            found = self._wrapped[name] = DjangoParticipant(inner, self.trial.lending)
        return None if inner is None else found

    def make_host(self, node: Node, live: Live, saga: Any, slot: Any, context: Context | None) -> Host:
        """A host in the function's colour."""
        if saga.is_async:
            return super().make_host(node, live, saga, slot, context)
        return DjangoSyncHost(node, live, saga, slot, context)

    def close(self) -> None:
        """As `Troth.close`; connections that threads of troth kept are closed too."""
        super().close()
        KEPT.close()

    async def aclose(self) -> None:
        """`close`, awaited."""
        await super().aclose()
        KEPT.close()


def from_settings() -> DjangoTroth:
    """The object that `troth.integrations.django.troth` is.

    :raises ConfigurationError: if a setting is none that works.
    """
    return DjangoTroth(read())
