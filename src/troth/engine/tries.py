"""Who calls the participants of a TCC, and who waits for them: its initiator, and tries that call further ones.

The counterpart of `troth.engine.runs` for transactions without a function: no run is repeated by the engine. All methods are
called where the driver runs.
"""

from __future__ import annotations

from collections import Counter
from contextvars import Context
from typing import Any

from msgspec import Raw

from troth.core import ids, limits
from troth.core.move import Aborted, Registered, Submitted
from troth.core.quick import Fate
from troth.core.reply import NULL
from troth.core.state import Saga
from troth.engine.drive import Driver
from troth.engine.live import Live
from troth.engine.waited import Answered, Waited
from troth.ports.errors import Cancelled, DefinitionError, Refused, StepFailed


def answer_of(saga: Saga, index: int) -> Raw | BaseException:
    """What the caller of a try gets once it is settled, or all is cancelled."""
    doc = saga.doc
    branch = doc.branches[index]
    if branch.fate is Fate.DONE or branch.fate is Fate.CONFIRMED:
        return branch.result
    if branch.fate is Fate.REFUSED:
        refused = Refused(branch.reason)
        refused.step = branch.id
        return refused
    if doc.step == branch.id:
        return StepFailed(branch.id, branch.reason)
    return Cancelled(doc.gid, doc.step or None, doc.reason)


class Tries(Waited):
    """The calls of one transaction that someone here waits for: the ``host`` of its `Live`.

    :ivar over: nothing more can be called: it is decided, or no longer driven here.
    """

    used = True

    def register(self, id: str, name: str, args: Raw, answered: Answered) -> int:
        """Call a participant. Returns the branch's index; ``answered`` comes later, or before this returns.

        :param id: derived; the same call made again is the same branch.
        :raises Cancelled: it is cancelled (or no longer driven here); nothing was recorded.
        :raises DefinitionError: it was submitted, or the calling try has been answered.
        :raises LimitExceeded: too many branches.
        """
        self._still_counts()
        return self.new_call(Registered(self.driver.shell.now(), id, name, args), answered, "Split the transaction")

    # --- what the driver asks (commands)

    def stop(self) -> None:
        """It is cancelled, or no longer driven here: all that wait are told."""
        if self.over:
            return
        self.over = True
        waiting, self.waiting = self.waiting, {}
        for answers in waiting.values():
            for answered in answers:
                answered(self.no_call())

    # --- what a node asks of a host

    def context(self, index: int) -> Context | None:
        """The caller's context for a call, or None."""
        return None

    def paused(self, index: int) -> None:
        """A call that someone waits for will not be answered soon."""

    def take(self, index: int, call: Any, participant: Any) -> bool:
        """Run the call where its caller waits; True if it will, and will report."""
        return False

    # ---

    def settled_as(self, saga: Saga, index: int) -> Raw | BaseException:
        """What the caller gets for a settled call."""
        return answer_of(saga, index)

    def no_call(self) -> BaseException:
        """Why nothing can be called now."""
        doc = self.live.saga.doc
        if self.live.saga.problem:
            return DefinitionError(self.live.saga.problem)
        return Cancelled(doc.gid, doc.step or None, doc.reason or "its node no longer drives it")


class Initiator(Tries):
    """Opens a transaction, calls one participant after the other, and ends it.

    Whatever of its calls did not get ``done`` for an answer makes the transaction rollback-only, also where the code that
    called has caught the exception: `submit` then cancels.
    """

    def __init__(self, driver: Driver, live: Live) -> None:
        super().__init__(driver, live)
        self.called: list[str] = []
        """The ids of all that was called, or tried to: told with the submit."""
        self.counts: Counter[tuple[str, str]] = Counter()

    def call(self, place: str, name: str, args: Raw, answered: Answered) -> int:
        """Call a participant's try; see `Tries.register`.

        :param place: the initiator's task (`troth.core.ids.ROOT`, or where in a gather).
        """
        self.counts[place, name] += 1
        id = ids.branch_id(place, name, self.counts[place, name])
        self.called.append(id)
        try:
            return self.register(id, name, args, answered)
        except Exception as error:
            self.spoil(f"{name}: its registration got no answer: {error}", id)
            raise

    def left(self, index: int) -> None:
        """The caller stopped waiting for a try: it got no answer, so nothing can be confirmed."""
        if index in self.waiting:
            branch = self.live.saga.doc.branches[index]
            self.spoil(f"{branch.name}: its caller stopped waiting for it", branch.id)

    def spoil(self, reason: str, step: str) -> None:
        """A call got another answer than done, or none: nothing is confirmed any more, whatever the code makes of it (P18)."""
        self.abort(reason, step)

    def submit(self, result: Raw = NULL) -> None:
        """The initiator's end, without an exception: confirm if every try is done, once it is."""
        if not self.over:
            self.driver.feed(self.live, Submitted(self.driver.shell.now(), tuple(self.called), result))

    def abort(self, reason: str, step: str = "") -> None:
        """The initiator was left by an exception, or is gone: cancel while that is possible."""
        if not self.over:
            self.driver.feed(self.live, Aborted(self.driver.shell.now(), reason[: limits.REASON_LENGTH], step))


class Nest:
    """One run of a try, as far as it calls further participants: their branches are its children.

    :param parent: the branch id of the try.
    :ivar children: the ids of what this run called; its reply must carry them (`Reply.children`).
    """

    def __init__(self, tries: Tries, parent: str) -> None:
        self.tries = tries
        self.parent = parent
        self.counts: Counter[str] = Counter()
        self.children: list[str] = []

    def call(self, name: str, args: Raw, answered: Answered) -> int:
        """Call a participant's try within the same transaction; see `Tries.register`."""
        self.counts[name] += 1
        id = child_id(self.parent, name, self.counts[name])
        self.children.append(id)
        return self.tries.register(id, name, args, answered)


def child_id(parent: str, name: str, occurrence: int) -> str:
    """Derived from the parent's id and counted within one run: a run that is made again calls the same branches (B11)."""
    return ids.branch_id(parent, name, occurrence)


def tries_of(driver: Driver, live: Live) -> Tries:
    """Who waits for the tries of a transaction that is driven here."""
    if live.host is None:
        live.host = Tries(driver, live)
    host: Tries = live.host
    return host
