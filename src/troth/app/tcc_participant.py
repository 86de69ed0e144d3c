"""TCC classes as participants: a call becomes a call of a method, and what it does becomes a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw

from troth.app.current import NEST, SCOPE, Nesting
from troth.core import limits
from troth.core.quick import Op, Word
from troth.core.reply import NULL, Reply
from troth.core.retry import micros
from troth.participant.meaning import PROGRAMMING_ERRORS, reply_to
from troth.ports.caller import Call

if TYPE_CHECKING:
    from troth.app.tcc import TccClass


class TccParticipant:
    """Does the ops of one TCC class in this process.

    :param no_retry: exceptions after which the same call again can't do better.
    """

    def __init__(self, form: TccClass, no_retry: tuple[type[BaseException], ...] = PROGRAMMING_ERRORS) -> None:
        self.form = form
        self.name = form.name
        self.destination = form.name
        self.timeout = form.spec.timeout
        self.timeout_micros = micros(form.spec.timeout)
        self.most = limits.CALLS_PER_DESTINATION if form.is_async else limits.SYNC_THREADS_PER_STEP
        self.no_retry = no_retry

    def is_async(self, op: Op) -> bool:
        """A class has one colour."""
        return self.form.is_async

    def call(self, call: Call) -> Reply:
        """Do a sync op."""
        token = SCOPE.set(call)
        try:
            database = self.form.database
            if database is None:
                return as_reply(self._effect(call, call.result))
            return database.run(
                call,
                lambda db, stored: self._effect(call, stored, db),
                refuse_on=self._refuse_on(call),
                no_retry=self.no_retry,
            )
        except BaseException as error:
            return self._reply(call, error)
        finally:
            SCOPE.reset(token)

    async def acall(self, call: Call) -> Reply:
        """Do an async op, in a context of its own."""
        SCOPE.set(call)
        try:
            database = self.form.database
            if database is None:
                return as_reply(await self._aeffect(call, call.result))

            async def effect(db: Any, stored: Raw | None) -> Any:
                return await self._aeffect(call, stored, db)

            return await database.arun(call, effect, refuse_on=self._refuse_on(call), no_retry=self.no_retry)
        except Exception as error:
            return self._reply(call, error)

    def _effect(self, call: Call, stored: Raw | None, *db: Any) -> Any:
        method, args, kwargs = self._method(call, stored)
        nesting = Nesting()
        token = NEST.set(nesting)
        try:
            return self._encoded(call, method(*db, *args, **kwargs), nesting)
        finally:
            nesting.over = True
            NEST.reset(token)

    async def _aeffect(self, call: Call, stored: Raw | None, *db: Any) -> Any:
        method, args, kwargs = self._method(call, stored)
        nesting = Nesting()
        token = NEST.set(nesting)
        try:
            return self._encoded(call, await method(*db, *args, **kwargs), nesting)
        finally:
            nesting.over = True
            NEST.reset(token)

    def _method(self, call: Call, stored: Raw | None) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """The method of an object made for this call, and what it is called with after the connection."""
        form = self.form
        function = form.methods.get(call.op)
        if function is None:
            raise TypeError(f"{form.what} has no {call.op}")
        method = function.__get__(form.cls())
        if call.op is Op.TRY:
            given = form.signature.load(call.args)
            return method, given.args, given.kwargs
        if stored is None or (call.op is Op.CANCEL and stored == NULL):  # a try that left none, whatever its type
            return method, (None,), {}
        return method, (form.decode_hold(stored),), {}

    def _encoded(self, call: Call, value: Any, nesting: Nesting) -> Any:
        """A try's hold travels on, with the ids of the branches that this run of it called; other results mean nothing."""
        if call.op is not Op.TRY:
            return NULL
        hold = self.form.encode_hold(value)
        return Reply(Word.DONE, hold, children=nesting.children) if nesting.children else hold

    def _refuse_on(self, call: Call) -> tuple[type[BaseException], ...]:
        """Only a try may refuse."""
        return self.form.refuse_on if call.op is Op.TRY else ()

    def _reply(self, call: Call, error: BaseException) -> Reply:
        """Outside a local transaction of ours."""
        return reply_to(error, local_transaction=False, refuse_on=self._refuse_on(call), no_retry=self.no_retry)


def as_reply(result: Any) -> Reply:
    """What a method without a database gave, as a reply."""
    return result if isinstance(result, Reply) else Reply(Word.DONE, result=result)
