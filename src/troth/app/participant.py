"""Steps as participants: a call becomes a call of the user's function, and what it does becomes a reply."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from troth.app.current import SCOPE
from troth.app.step import Step
from troth.core import limits
from troth.core.quick import Op, Word
from troth.core.reply import NULL, Reply
from troth.core.retry import micros
from troth.participant.meaning import PROGRAMMING_ERRORS, reply_to
from troth.ports.caller import Call
from troth.ports.errors import Ongoing, Refused


class StepParticipant:
    """Does the ops of one step in this process.

    :param no_retry: exceptions after which the same call again can't do better.
    """

    def __init__(self, step: Step[Any, Any], no_retry: tuple[type[BaseException], ...] = PROGRAMMING_ERRORS) -> None:
        self.step = step
        self.name = step.name
        self.destination = step.name
        self.timeout = step.spec.timeout
        self.timeout_micros = micros(step.spec.timeout)
        self.most = limits.CALLS_PER_DESTINATION if step.is_async else limits.SYNC_THREADS_PER_STEP
        self.no_retry = no_retry
        self._action_is_async = step.is_async
        self._plain = step.database is None

    def is_async(self, op: Op) -> bool:
        """The op's function has a colour of its own; a barrier's own ops take the step's."""
        if op is Op.ACTION:
            return self._action_is_async
        attached = self.step.undo if op is Op.COMPENSATE else self.step.checker if op is Op.CHECK else None
        return attached.is_async if attached is not None else self._action_is_async

    def call(self, call: Call) -> Reply:
        """Do a sync op."""
        token = SCOPE.set(call)
        try:
            database = self.step.database
            if database is not None:
                return database.run(
                    call,
                    lambda db, stored: self._effect(call, stored, db),
                    refuse_on=self.step.refuse_on,
                    no_retry=self.no_retry,
                )
            return Reply(Word.DONE, self._effect(call, call.result))
        except BaseException as error:
            return self._reply(call, error)
        finally:
            SCOPE.reset(token)

    async def acall(self, call: Call) -> Reply:
        """Do an async op, in a context of its own."""
        SCOPE.set(call)
        step = self.step
        try:
            if self._plain and call.op is Op.ACTION:
                signature = step.signature
                args, kwargs = signature.load(call.args)
                return Reply(Word.DONE, signature.encode_result(await step.fn(*args, **kwargs)))
            database = step.database
            if database is None:
                return Reply(Word.DONE, await self._aeffect(call, call.result))

            async def effect(db: Any, stored: Raw | None) -> Raw:
                return await self._aeffect(call, stored, db)

            return await database.arun(call, effect, refuse_on=step.refuse_on, no_retry=self.no_retry)
        except Exception as error:
            return self._reply(call, error)

    def _effect(self, call: Call, stored: Raw | None, *db: Any) -> Raw:
        function, args, kwargs = self._function(call, stored)
        return self._encoded(call, function(*db, *args, **kwargs))

    async def _aeffect(self, call: Call, stored: Raw | None, *db: Any) -> Raw:
        function, args, kwargs = self._function(call, stored)
        return self._encoded(call, await function(*db, *args, **kwargs))

    def _function(self, call: Call, stored: Raw | None) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        step = self.step
        if call.op is Op.ACTION or call.op is Op.DELIVER:
            given = step.signature.load(call.args)
            return step.fn, given.args, given.kwargs
        attached = step.undo if call.op is Op.COMPENSATE else step.checker
        if attached is None:
            raise TypeError(
                f"{step.what} has no {'compensation' if call.op is Op.COMPENSATE else 'check'} in this process"
            )
        given = attached.load(call.args, stored)
        return attached.fn, given.args, given.kwargs

    def _encoded(self, call: Call, value: Any) -> Raw:
        """An action's result travels on; a compensation's means nothing."""
        return NULL if call.op is Op.COMPENSATE else self.step.signature.encode_result(value)

    def _reply(self, call: Call, error: BaseException) -> Reply:
        """Outside a local transaction of ours; a check that fails says nothing."""
        if call.op is Op.CHECK and not isinstance(error, (Refused, Ongoing)):
            return Reply(Word.UNKNOWN, reason=f"its check failed: {type(error).__name__}: {error}", cause=error)
        return reply_to(error, local_transaction=False, refuse_on=self.step.refuse_on, no_retry=self.no_retry)
