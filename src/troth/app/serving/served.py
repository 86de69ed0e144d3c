"""Steps and TCC classes as others call them: what they can be asked, and what an HTTP answer demands of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Raw

from troth.app.participant import StepParticipant
from troth.app.step import Step
from troth.app.tcc import TccClass
from troth.app.tcc_participant import TccParticipant
from troth.core import limits
from troth.core.quick import Op, Word
from troth.core.reply import Reply
from troth.core.words import Op as Ops
from troth.core.words import Role
from troth.participant.serving import STEP_OPS, TCC_OPS, over_long
from troth.ports.caller import Call
from troth.ports.errors import LimitExceeded, PayloadError
from troth.wire.signature import Signature

Exceptions = tuple[type[BaseException], ...]


class ServedStep(StepParticipant):
    """A step as others call it.

    Unlike in its own process, its result must fit into an HTTP answer: one that doesn't is a fault found before its local
    transaction commits. And a compensation that was waived is asked for all the same by callers who don't know that:
    nothing needs to be undone, so nothing is.
    """

    def __init__(self, step: Step[Any, Any], no_retry: Exceptions) -> None:
        super().__init__(step, no_retry)
        self._plain = False
        self.definition: Final = step
        self.spec: Final = step.spec
        self.ops: Final = frozenset(ops_of(step))

    def call(self, call: Call) -> Reply:
        """Do a sync op; of no transaction: the function, in a local transaction of its own."""
        if call.uid:
            return super().call(call)
        try:
            given, step = self.step.signature.load(call.args), self.step
            if step.database is None:
                return Reply(Word.DONE, self._encoded(call, step.fn(*given.args, **given.kwargs)))
            return Reply(Word.DONE, step.database.plain(lambda db: self._encoded(call, step.fn(db, *given.args, **given.kwargs))))
        except Exception as error:
            return self._reply(call, error)

    async def acall(self, call: Call) -> Reply:
        """`call` in the other colour."""
        if call.uid:
            return await super().acall(call)
        try:
            given, step = self.step.signature.load(call.args), self.step
            if step.database is None:
                return Reply(Word.DONE, self._encoded(call, await step.fn(*given.args, **given.kwargs)))

            async def effect(db: Any) -> Raw:
                return self._encoded(call, await step.fn(db, *given.args, **given.kwargs))

            return Reply(Word.DONE, await step.database.aplain(effect))
        except Exception as error:
            return self._reply(call, error)

    def unfit(self, call: Call) -> str:
        """Why the arguments are none of the step's; "" if they are."""
        return unfit(self.step.what, self.step.signature, call)

    def _function(self, call: Call, stored: Raw | None) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        if call.op is Op.COMPENSATE and self.step.undo is None:
            return _anothing if self.is_async(call.op) else _nothing, (), {}
        return super()._function(call, stored)

    def _encoded(self, call: Call, value: Any) -> Raw:
        result: Raw = fitting(super()._encoded(call, value))
        return result


class ServedTcc(TccParticipant):
    """A TCC class as others call it: what its try returns must fit into an HTTP answer."""

    def __init__(self, form: TccClass, no_retry: Exceptions) -> None:
        super().__init__(form, no_retry)
        self.definition: Final = form
        self.spec: Final = form.spec
        self.ops: Final = TCC_OPS

    def unfit(self, call: Call) -> str:
        """Why the arguments are none of its try's; "" if they are."""
        return unfit(self.form.what, self.form.signature, call)

    def _encoded(self, call: Call, value: Any, nesting: Any) -> Any:
        return fitting(super()._encoded(call, value, nesting))


def withheld(definition: Step[Any, Any] | TccClass) -> str:
    """Why a step is for its own process only; "" if it is for others too. A TCC class always is: it has a guard.

    What crosses a network is repeated, late and reordered: only what stands that may be called from elsewhere.
    """
    if isinstance(definition, TccClass):
        return ""
    if not definition.spec.guarded:
        return (
            "it is bare: a call that is repeated or late would have its effect again. Give it on=troth.database(…), "
            "or say guarded=True if it stands that"
        )
    if definition.spec.role is Role.LOCAL:
        return "it is local: no saga uses it. Say another role= if sagas of others may"
    if definition.spec.role is Role.COMPENSABLE and definition.undo is None and not definition.waived:
        return (
            f"it is compensable, but nothing undoes it. Attach a compensation with @{short_name(definition)}.compensate, "
            "or waive it with compensate=None"
        )
    return ""


def short_name(definition: Step[Any, Any] | TccClass) -> str:
    """A name without its module."""
    return definition.name.rpartition(".")[2]


def ops_of(step: Step[Any, Any]) -> Iterator[Ops]:
    """What a step can be asked to do."""
    for op in STEP_OPS:
        if op is Ops.COMPENSATE and step.undo is None and not step.waived:
            continue
        if op is Ops.CHECK and step.database is None and step.checker is None:
            continue
        if op is Ops.SEAL and not step.spec.sealable:
            continue
        yield op


def unfit(what: str, signature: Signature, call: Call) -> str:
    """Why the arguments of a call are none that the signature takes; "" if they are."""
    try:
        signature.load(call.args)
    except PayloadError as error:
        return f"{what}: {error}"
    return ""


def fitting(result: Any) -> Any:
    """The result, if an HTTP answer holds it.

    :raises LimitExceeded: if it doesn't.
    """
    size = len(result.result if isinstance(result, Reply) else result)
    if size > limits.ANSWER_BYTES:
        raise LimitExceeded("ANSWER_BYTES", size, limits.ANSWER_BYTES, over_long(size))
    return result


def _nothing(*_: object) -> None:
    """A waived compensation."""


async def _anothing(*_: object) -> None:
    """A waived compensation of an async step."""
