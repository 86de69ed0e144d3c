"""Beginning and ending TCC transactions: what runs on a node's loop."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from troth.app.tcc_form import Branch, TccForm
from troth.app.tcc_tries import Opened
from troth.app.transactions import Beginning, Content, Seen, explain, refuse_begun, watch
from troth.core import ids, limits
from troth.core.plan import Plan
from troth.core.reply import NULL
from troth.core.retry import budget
from troth.core.state import Transaction
from troth.engine.live import Live
from troth.engine.node import Node
from troth.ports.errors import AlreadyBegun, DefinitionError, GidConflict, LimitExceeded
from troth.wire.codec import content_hash

if TYPE_CHECKING:
    from troth.app.troth import Troth

PATTERN = "tcc"
RENAMINGS = 256
"""Combinations of old class names that are tried before a repeat of a gid counts as other content."""


# --- opened by its initiator


async def open_block(node: Node, plan: Plan, gid: str | None, timeout: float | None) -> Opened:
    """Begin it, durably.

    :raises AlreadyBegun: the gid was begun before: nothing is called twice.
    :raises GidConflict: it belongs to something else.
    :raises NotAccepted: nothing was written.
    """
    content = content_hash(PATTERN, plan.name, NULL)
    told_taken = partial(taken, plan=plan)
    if gid is not None:
        await refuse_begun(node, gid, content, told_taken)
    future: asyncio.Future[Live] = node.loop.create_future()

    def told(live: Live) -> None:
        if not future.done():
            future.set_result(live)

    node.driver.admit()
    uid = node.new_uid()
    node.counters["transactions"] += 1
    live = node.driver.begin(
        plan, gid=gid or f"tx-{uid.hex()}", uid=uid, content=content, input=NULL, fresh=gid is None, timeout=timeout,
        host=lambda live: Opened(node, live), waiter=("accepted", told),
    )  # fmt: skip
    host: Opened = live.host
    try:
        await future
        if live.lost is not None:
            await explain(node, live, content, told_taken)
    except BaseException:  # nobody will go on with it
        host.abort("its initiator did not wait for its begin")
        raise
    return host


def taken(doc: Transaction, plan: Plan) -> AlreadyBegun | GidConflict:
    """What a block is told about a gid that is there."""
    if doc.form != "open" or doc.definition != plan.name:
        what = "its branches were all declared" if doc.form == "declared" else f"it runs {doc.definition}"
        return GidConflict(doc.gid, what)
    return AlreadyBegun(doc.gid, str(doc.state) if doc.finished else None)


async def ended(host: Opened, end: Callable[[], None], until: str) -> Seen:
    """End a block and wait for what becomes of it."""
    end()
    return await watch(host.node, host.live.gid, until)


# --- all declared


def declared(troth: Troth, gid: str | None, branches: Sequence[Any], timeout: float | None, name: str) -> Beginning:
    """What a declared transaction begins with.

    :raises DefinitionError: if it is not a list of branches.
    """
    made = [checked_branch(troth, branch) for branch in branches]
    if not made:
        raise DefinitionError("run_tcc: no branch is declared. Pass a list of them: [Stock.branch(…), …].")
    if len(made) > limits.BRANCHES:
        raise LimitExceeded("BRANCHES", len(made), limits.BRANCHES, "Split the transaction")
    counts: dict[str, int] = {}
    rows = []
    for branch in made:
        form: TccForm = branch.form
        counts[form.name] = counts.get(form.name, 0) + 1
        rows.append((ids.branch_id(ids.ROOT, form.name, counts[form.name]), form.name, branch.args))
    forms = [branch.form for branch in made]
    plan = troth.tcc_plan(name, "declared")
    content = content_of([(form.name, branch.args) for form, branch in zip(forms, made, strict=True)], name)

    def same(other: bytes) -> bool:
        return any(other == content_of(listed, name) for listed in renamings(made))

    seconds = max([limits.COORDINATOR_TIMEOUT, *[budget(f.spec.timeout, f.spec.attempts, f.spec.interval) for f in forms]])
    return Beginning(
        None, plan, NULL, gid, seconds if timeout is None else timeout, None, tuple(rows), Content(content, same, content_of_doc)
    )


def checked_branch(troth: Troth, given: Any) -> Branch:
    """A declared branch of a class that this Troth object knows."""
    if not isinstance(given, Branch):
        raise DefinitionError(f"run_tcc: {given!r} is no branch. Declare a try: Stock.branch(…), with try_'s own arguments.")
    troth.check_known(given.form)
    return given


def content_of(listed: Sequence[tuple[str, Raw]], name: str) -> bytes:
    """The content that a repeat of the same gid must have: which classes, called with what."""
    return content_hash(PATTERN, name, msgspec.json.encode([list(each) for each in listed]))


def content_of_doc(doc: Transaction) -> bytes:
    """The same, of a stored transaction."""
    if doc.form == "open":
        return content_hash(PATTERN, doc.definition, NULL)
    return content_of([(b.name, b.args) for b in doc.branches if "#" not in b.id.rpartition("/")[0]], doc.definition)


def renamings(branches: Sequence[Branch]) -> Iterator[list[tuple[str, Raw]]]:
    """The same branches under the names that their classes had before."""
    forms = {branch.form.name: branch.form for branch in branches}
    choices = [[(now, then) for then in (now, *form.aliases)] for now, form in forms.items()]
    for chosen in itertools.islice(itertools.product(*choices), RENAMINGS):
        then = dict(chosen)
        yield [(then[branch.form.name], branch.args) for branch in branches]
