"""HTTP steps as participants: their calls go out on the node's loop."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Raw

from troth.app.http_step import HttpOptions, HttpStep
from troth.core import limits
from troth.core.plan import StepSpec
from troth.core.quick import Op, Word
from troth.core.reply import Reply
from troth.core.retry import micros
from troth.engine.clock import Clock, Luck
from troth.ports.caller import Call
from troth.ports.errors import ConfigurationError, Ongoing, Refused, StepFailed
from troth.wire.signing import Signer

if TYPE_CHECKING:
    from troth.adapters.callers.http import HttpCaller, Target


class Elsewhere(Protocol):
    """What is done by another service: a step, or a TCC class."""

    name: str
    options: HttpOptions
    spec: StepSpec
    headers: dict[str, str]
    signer: Signer | None


def make_caller() -> HttpCaller:
    """What calls over HTTP; opens nothing.

    :raises ConfigurationError: if its library isn't installed.
    """
    if importlib.util.find_spec("aiohttp") is None:
        raise ConfigurationError("calls over HTTP need aiohttp: pip install 'troth[http]'")
    from troth.adapters.callers.http import HttpCaller

    return HttpCaller(Clock().now, Luck().draw)


def target_of(step: Elsewhere, caller: HttpCaller) -> Target:
    """Where a step's calls go."""
    from troth.adapters.callers.http import Target

    options = step.options
    batches = None
    if options.mount:
        way = (options.mount, options.secret if isinstance(options.secret, str | None) else tuple(options.secret))
        key = (*way, tuple(sorted(step.headers.items())))
        batches = caller.batches(options.mount, step.signer, step.headers, key)
    return Target(
        options.urls,
        step.spec.timeout,
        headers=step.headers,
        signer=step.signer,
        batches=batches,
        path=f"{options.kind}/{options.served}",
    )


class HttpParticipant:
    """Does the ops of one HTTP step.

    :ivar destination: scheme, host and port: all steps there share its limit and its circuit breaker.
    :ivar most: calls in flight to it: each has a connection of its own, unless they go in batches.
    """

    def __init__(self, step: Elsewhere, caller: HttpCaller) -> None:
        self.step = step
        self.caller = caller
        self.target = target_of(step, caller)
        self.name = step.name
        self.destination = self.target.origin
        self.timeout = step.spec.timeout
        self.timeout_micros = micros(step.spec.timeout)
        self.most = limits.CONNECTIONS_PER_DESTINATION

    def is_async(self, op: Op) -> bool:
        """Every op is done on the loop."""
        return True

    def call(self, call: Call) -> Reply:
        """Never asked for: see `is_async`."""
        return Reply(Word.NOT_DONE, reason=f"step {self.name} is called on the loop only", retry=False)

    async def acall(self, call: Call) -> Reply:
        """Do an op."""
        if call.op not in self.target.urls:
            return Reply(Word.UNKNOWN, reason=f"step {self.name} has no URL for {call.op.value} in this process", retry=False)
        batches = self.target.batches
        if batches is not None:
            self.most = limits.CONNECTIONS_PER_DESTINATION if batches.offered is None else limits.CALLS_PER_DESTINATION
        return await self.caller.call(self.target, call)


async def plain(step: HttpStep[Any], caller: HttpCaller, args: Raw) -> Any:
    """An ordinary call, of no transaction.

    :raises Refused: for 409.
    :raises Ongoing: for 425.
    :raises StepFailed: for everything else that is no success.
    """
    reply = await caller.plain(target_of(step, caller), bytes(args))
    if reply.word is Word.DONE:
        return step.signature.decode_result(reply.result)
    if reply.word is Word.REFUSED:
        raise Refused(reply.reason)
    if reply.word is Word.ONGOING:
        raise Ongoing(reply.after)
    raise StepFailed(step.name, reply.reason)
