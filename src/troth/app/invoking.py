"""Calling steps and sagas, in each spelling, from each place."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from troth.app.coroutines import AsyncHost
from troth.app.current import SCOPE, FunctionScope, in_loop
from troth.app.handles import TrothHandle
from troth.app.host import Options, Spelling, Verb
from troth.app.http_step import HttpStep
from troth.app.runtime import STOPPED
from troth.app.saga import Saga
from troth.app.step import Step
from troth.app.telling import cause_of, outcome_of, value_of
from troth.app.threads import Go, Refusal, SyncHost, Told, next_item
from troth.app.transactions import Beginning, Seen, begin, check_lost, follow, known, run, start, told_of
from troth.core import limits
from troth.core.words import Role
from troth.engine.live import Live
from troth.engine.node import Node
from troth.ports.caller import Call
from troth.ports.errors import DefinitionError, NotAccepted, WrongColour

if TYPE_CHECKING:
    from troth.app.troth import Troth


# --- steps


def invoke_step(troth: Troth, step: Step[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], spelling: Spelling) -> Any:
    """Call a step: as a part of the saga around it, or, outside any, in a local transaction of its own."""
    awaited = step.is_async if spelling == "own" else spelling == "aio"
    scope = SCOPE.get()
    if isinstance(scope, Call):
        raise DefinitionError(
            f"{step.what} is called inside of step {scope.name}: a step is one local transaction. Call {step.fn.__name__}.fn(…) "
            "for the plain function, or call the step from the saga."
        )
    if scope is None:
        return outside(troth, step, args, kwargs, awaited)
    scope.check_owner(step.what)
    if step.spec.role is Role.LOCAL:
        name = step.fn.__name__
        raise DefinitionError(f'{step.what} has role="local", so no saga may call it. Call {name}.fn(…), or give it a role.')
    raw = step.signature.bind(args, kwargs)
    host = scope.host
    if isinstance(host, AsyncHost):
        if not awaited:
            right = step.fn.__name__ + ("" if step.is_async else ".aio")
            raise WrongColour(f"{step.what} is called blocking, and this saga is async. Write: await {right}(…)")
        return host.call_step(scope, step.name, raw, step.signature.decode_result)
    assert isinstance(host, SyncHost)
    if awaited:
        name = step.fn.__name__
        right = f"{name}.wait(…)" if step.is_async else f"{name}(…)"
        raise WrongColour(f"{step.what} is awaited here, and this saga is a plain def. Write: {right}")
    return host.call_step(scope, step.name, raw, step.signature.decode_result)


def outside(troth: Troth, step: Step[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], awaited: bool) -> Any:
    """An ordinary call of a step."""
    if troth.outside == "refuse":
        raise DefinitionError(f"{step.what} is called outside any saga, and this Troth object has outside='refuse'")
    if awaited:
        if isinstance(step, HttpStep):
            return troth.acall_plainly(step, step.signature.bind(args, kwargs))
        if step.is_async:
            return outside_async(step, args, kwargs)
        return asyncio.to_thread(outside_sync, step, args, kwargs)
    if in_loop():
        right = f"await {step.fn.__name__}" + ("" if step.is_async else ".aio") + "(…)"
        raise WrongColour(f"{step.what} would block the event loop that runs here. Write: {right}")
    if step.is_async:
        return troth.runtime.call(outside_async(step, args, kwargs), troth.runtime.started().loop)
    return outside_sync(step, args, kwargs)


def outside_sync(step: Step[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The function, in a local transaction of its own where it has a database."""
    if step.database is None:
        return step.fn(*args, **kwargs)
    return step.database.plain(lambda db: step.fn(db, *args, **kwargs))


async def outside_async(step: Step[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`outside_sync` in the other colour."""
    if step.database is None:
        return await step.fn(*args, **kwargs)
    return await step.database.aplain(lambda db: step.fn(db, *args, **kwargs))


# --- sagas


def invoke_saga(
    troth: Troth, definition: Any, args: tuple[Any, ...], kwargs: dict[str, Any], verb: Verb, spelling: Spelling, options: Options
) -> Any:
    """Call, run or start a saga or graph."""
    awaited = definition.is_async if spelling == "own" else spelling == "aio"
    scope = SCOPE.get()
    if isinstance(scope, FunctionScope):
        return inlined(scope, definition, args, kwargs, verb, awaited)
    gid = definition.gid_of(args, kwargs, options)
    if isinstance(scope, Call) and gid is None:
        gid = child_gid(scope)
    raw = definition.bind(args, kwargs)
    if awaited:
        return run_awaited(troth, definition, raw, gid, options, verb)
    if in_loop():
        name = definition.name.rpartition(".")[2]
        right = f"await {name}(…)" if definition.is_async else f"await {name}.aio(…)"
        raise WrongColour(f"{definition.what} would block the event loop that runs here. Write: {right}")
    return run_blocking(troth, definition, raw, gid, options, verb)


def child_gid(call: Call) -> str:
    """The gid of a saga that a step begins: derived, so that the step's repeat finds the same transaction."""
    gid = f"{call.gid}.{call.branch}.{call.op}".replace("/", ":").replace("#", "-")
    if len(gid) <= limits.GID_LENGTH:
        return gid
    return f"{gid[: limits.GID_LENGTH - 33]}.{hashlib.blake2b(gid.encode(), digest_size=16).hexdigest()}"


def beginning(
    troth: Troth, node: Node, definition: Any, raw: Raw, gid: str | None, options: Options, slot: SimpleQueue[Any] | None = None
) -> Beginning:
    """What the transaction begins with. A function runs in the caller's context, copied."""
    host = None
    if isinstance(definition, Saga):
        context = copy_context()

        def make_host(live: Live) -> Any:
            return troth.make_host(node, live, definition, slot, context)

        host = make_host
    return Beginning(definition, troth.plan_of(definition), raw, gid, options.timeout, host)


async def run_awaited(troth: Troth, definition: Any, raw: Raw, gid: str | None, options: Options, verb: Verb) -> Any:
    """The awaitable spelling. On the node's loop it costs no hop; from another it is sent there."""
    node = await troth.runtime.anywhere()
    what = beginning(troth, node, definition, raw, gid, options)
    here = node.loop is asyncio.get_running_loop()
    if verb == "start":
        begun = start(node, what)
        return TrothHandle(troth, await (begun if here else elsewhere(node, begun)), definition)
    seen = await (run(node, what) if here else elsewhere(node, run(node, what)))
    return told(seen, definition, verb)


async def elsewhere(node: Node, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run on the node's loop, wait here. Cancelling the wait cancels nothing there but the waiting."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, node.loop))


def told(seen: Seen, definition: Any, verb: Verb) -> Any:
    """What the verb gives for a durable state."""
    if verb == "run":
        return outcome_of(seen.doc, definition)
    return value_of(seen.doc, definition, seen.cause)


def run_blocking(troth: Troth, definition: Any, raw: Raw, gid: str | None, options: Options, verb: Verb) -> Any:
    """The blocking spelling: a sync function runs in this very thread, all else on the node."""
    node = troth.runtime.started()
    if verb == "start":
        what = beginning(troth, node, definition, raw, gid, options)
        return TrothHandle(troth, troth.runtime.call(start(node, what), node.loop), definition)
    if isinstance(definition, Saga) and not definition.is_async:
        seen = run_in_thread(troth, node, definition, raw, gid, options)
    else:
        seen = troth.runtime.call(run(node, beginning(troth, node, definition, raw, gid, options)), node.loop)
    return told(seen, definition, verb)


def run_in_thread(troth: Troth, node: Node, saga: Saga[Any, Any], raw: Raw, gid: str | None, options: Options) -> Seen:
    """Run a sync function in the caller's own thread, which runs its sync steps too."""
    slot: SimpleQueue[Any] = SimpleQueue()
    what = beginning(troth, node, saga, raw, gid, options, slot)
    if gid is not None and gid not in node.driver.by_gid:
        found = node.store.get(gid)
        if found is not None:
            record = known(found, gid, what)
            return troth.runtime.call(follow(node, gid, record or found, "finished"), node.loop)
    try:
        node.loop.call_soon_threadsafe(begin_for, node, what, slot)
    except RuntimeError:
        raise NotAccepted("this process's node has just stopped", 0.0) from None
    live = wait_for_end(node, slot)
    if live.lost is None:
        return seen_of(live)
    check_lost(node, live, "finished")
    return troth.runtime.call(told_of(node, live, what, "finished"), node.loop)


def seen_of(live: Live) -> Seen:
    """A told transaction's durable state."""
    durable = live.durable or live.saga
    return Seen(durable.doc, cause_of(live))


def begin_for(node: Node, what: Beginning, slot: SimpleQueue[Any]) -> None:
    """On the loop's thread: begin for a caller who waits at the slot."""

    def tell(live: Live) -> None:
        slot.put(Told(live))
        host = live.host
        goes_on = not live.saga.finished and (live.lost is None or live.lost[0] == "in_doubt")
        if isinstance(host, SyncHost) and host.slot is slot and goes_on:
            host.drop(park=False)

    try:
        begin(node, what, force=False, told=tell, until="finished")
    except BaseException as error:
        slot.put(Refusal(error))


def wait_for_end(node: Node, slot: SimpleQueue[Any]) -> Live:
    """Run the function when told to; return when there is something to tell."""
    host: SyncHost | None = None
    try:
        while True:
            item = next_item(node, slot)
            if item is None:
                raise TimeoutError(STOPPED)
            if isinstance(item, Go):
                host = item.host
                host.run(SimpleQueue())
            elif isinstance(item, Told):
                return item.live
            elif isinstance(item, Refusal):
                raise item.error
    except BaseException:
        if host is not None and not host.over and not node.loop.is_closed():
            node.loop.call_soon_threadsafe(host.rerun)
        raise


# --- a saga inside a saga


def inlined(scope: FunctionScope, definition: Any, args: tuple[Any, ...], kwargs: dict[str, Any], verb: Verb, awaited: bool) -> Any:
    """A saga called inside a saga is a part of it."""
    if verb != "call" or not isinstance(definition, Saga):
        raise DefinitionError(
            f"{definition.what} is begun inside another saga. Call a function saga plainly to make it a part of this one; begin an "
            "independent one from a step, or outside."
        )
    scope.check_owner(definition.what)
    given = definition.load(definition.bind(args, kwargs))
    if isinstance(scope.host, AsyncHost):
        if definition.is_async and not awaited:
            name = definition.fn.__name__
            raise WrongColour(f"{definition.what} is called blocking, and this saga is async. Write: await {name}(…)")
        if not definition.is_async:
            raise WrongColour(f"{definition.what} is a plain def, and this saga is async: make it async def to call it inside")
        return inlined_async(scope, scope.host, definition, given.args, given.kwargs)
    if definition.is_async:
        raise WrongColour(f"{definition.what} is async, and this saga is a plain def: make it a def to call it inside")
    if awaited:
        raise WrongColour(f"{definition.what} is awaited here, and this saga is a plain def. Write: {definition.fn.__name__}(…)")
    assert isinstance(scope.host, SyncHost)
    return inlined_sync(scope, scope.host, definition, given.args, given.kwargs)


async def inlined_async(
    scope: FunctionScope, host: AsyncHost, saga: Saga[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Left by an exception, what it recorded is given up before the exception goes on."""
    scope.check_owner(saga.what)
    outer, indexes = scope.collectors, list[int]()
    scope.collectors = (*outer, indexes)
    try:
        return saga.decode_result(saga.encode_result(await saga.fn(*args, **kwargs)))
    except Exception:
        scope.collectors = outer
        await host.leave(indexes)
        raise
    finally:
        scope.collectors = outer


def inlined_sync(scope: FunctionScope, host: SyncHost, saga: Saga[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`inlined_async` in the other colour."""
    outer, indexes = scope.collectors, list[int]()
    scope.collectors = (*outer, indexes)
    try:
        return saga.decode_result(saga.encode_result(saga.fn(*args, **kwargs)))
    except Exception:
        scope.collectors = outer
        host.leave(scope, indexes)
        raise
    finally:
        scope.collectors = outer
