"""A run of a saga's function, in no colour: what it waits for and what its calls get. Shells launch the code itself."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw

from troth.core import limits
from troth.core.move import Abandoned, Called, Raised, Recalled, Remembered, Returned
from troth.core.quick import Fate, State
from troth.core.state import Saga
from troth.engine.drive import Driver
from troth.engine.live import Live
from troth.engine.waited import Answered, Waited
from troth.ports.errors import Cancelled, DefinitionError, Refused, StepFailed


class RunOver(BaseException):
    """This run of the function no longer counts (its node stops, or another run takes its place): leave it without a trace.

    Not an ``Exception``: it must pass through the function's own handlers. Leaving a function by it leaves the transaction as
    a crash would.
    """


def answer_of(saga: Saga, index: int) -> Raw | BaseException:
    """What the function gets for a settled call."""
    branch = saga.doc.branches[index]
    if branch.fate is Fate.DONE or branch.abandoned:
        return branch.result
    if branch.fate is Fate.REFUSED:
        refused = Refused(branch.reason)
        refused.step = branch.id
        return refused
    return StepFailed(branch.id, branch.reason)


class FunctionRun(Waited):
    """What one run of a function waits for. All methods are called where the driver runs.

    :ivar over: the run no longer counts.
    """

    def __init__(self, driver: Driver, live: Live) -> None:
        super().__init__(driver, live)
        self.leaving: dict[int, Callable[[], None]] = {}
        self.tokens = 0

    # --- what the function does

    def call(self, place: str, name: str, args: Raw, answered: Answered) -> int:
        """The function calls a step. Returns the branch's index; ``answered`` comes later, or before this returns.

        :raises Cancelled: the saga is cancelled; nothing was recorded.
        :raises RunOver: the run no longer counts.
        :raises DefinitionError: a second pivot.
        :raises LimitExceeded: too many branches.
        """
        self._still_counts()
        event = Called(self.driver.shell.now(), place, name, args)
        return self.new_call(event, answered, "Split the saga, or batch its calls")

    def recall(self, place: str) -> Raw | None:
        """The value that an earlier run remembered here, or None if this one shall draw it."""
        self._still_counts()
        self.driver.feed(self.live, Recalled(self.driver.shell.now(), place))
        self._still_counts()
        index = self.live.saga.called
        return None if index < 0 else self.live.saga.doc.branches[index].result

    def remember(self, place: str, value: Raw) -> None:
        """Record a drawn value."""
        self._still_counts()
        self.driver.feed(self.live, Remembered(self.driver.shell.now(), place, value))

    def returned(self, result: Raw) -> None:
        """The function returned."""
        if not self.over:
            self.driver.feed(self.live, Returned(self.driver.shell.now(), result))

    def raised(self, reason: str, step: str, jitter: float) -> None:
        """An exception left the function."""
        if not self.over:
            self.driver.feed(self.live, Raised(self.driver.shell.now(), reason[: limits.REASON_LENGTH], step, jitter))

    def abandon(self, branches: tuple[int, ...], go_on: Callable[[], None]) -> None:
        """An exception left an inner saga: ``go_on`` is called when what it owes is recorded."""
        self._still_counts()
        self.tokens += 1
        self.leaving[self.tokens] = go_on
        self.driver.feed(self.live, Abandoned(self.driver.shell.now(), branches, self.tokens))

    # --- what the driver asks (commands)

    def resume(self, token: int) -> None:
        """What an abandoned inner saga owes is recorded."""
        go_on = self.leaving.pop(token, None)
        if go_on is not None:
            go_on()

    def stop(self) -> None:
        """The run is over: all that wait are told."""
        if self.over:
            return
        self.over = True
        error = self.no_call()
        waiting, self.waiting = self.waiting, {}
        for answers in waiting.values():
            for answered in answers:
                answered(error)
        leaving, self.leaving = self.leaving, {}
        for go_on in leaving.values():
            go_on()

    # ---

    def settled_as(self, saga: Saga, index: int) -> Raw | BaseException:
        """What the caller gets for a settled call."""
        return answer_of(saga, index)

    def no_call(self) -> BaseException:
        """Why nothing can be called now."""
        doc = self.live.saga.doc
        if self.live.saga.problem:
            return DefinitionError(self.live.saga.problem)
        if doc.phase is State.CANCELLING or doc.doom:
            return Cancelled(doc.gid, doc.step or None, doc.reason or doc.doom)
        return RunOver(doc.gid)
