"""What is known of one saga: immutable values. `Transaction` is what the log stores; the rest lives with a node.

A saga (Garcia-Molina and Salem, *Sagas*, SIGMOD 1987) is a sequence of local transactions, each with a compensation that
undoes it semantically. `Branch` is one of them, `Transaction` the whole, `Saga` the whole with its plan and with what
only the present run of a function knows.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from troth.core.plan import Plan
from troth.core.reply import NULL
from troth.core.words import FINAL, Fate, Op, State

UNBOUND: Final = NULL
"""Arguments not yet made. Compared by identity."""


class Branch(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One participant's part.

    :param id: ``place/name#occurrence``; derived, never drawn.
    :param name: the step's name when it was recorded.
    :param fate: how far it has come.
    :param args: the action's encoded arguments; a retry sends the same bytes.
    :param result: the action's encoded result, once done.
    :param reason: of the last refusal or failure.
    :param unknown: some attempt of the action may or may not have happened; only settling it clears this.
    :param op: the op that is being driven.
    :param attempt: serial number of its newest call in this node's life.
    :param spent: calls that count against its limit.
    :param due: when to call next, in microseconds; 0: not scheduled.
    :param calling: a call is in flight.
    :param since: when that call was made.
    :param stuck: attempts are used up; it waits for a person, and for slow retries.
    :param abandoned: it was done when the inner saga that called it was left by an exception: its call still gets the result.
    :param trail: finished calls: (op, made at, took, word), times in microseconds.
    """

    id: str
    name: str
    fate: Fate = Fate.IDLE
    args: Raw = UNBOUND
    result: Raw = NULL
    reason: str = ""
    unknown: bool = False
    op: Op = Op.ACTION
    attempt: int = 0
    spent: int = 0
    due: int = 0
    calling: bool = False
    since: int = 0
    stuck: bool = False
    abandoned: bool = False
    trail: tuple[tuple[str, int, int, str], ...] = ()


class Transaction(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A saga as the log stores it.

    :param begun: its begin (see low-water marks), in microseconds.
    :param state: as shown; ``failed`` while a person is needed.
    :param phase: the direction it is driven in: trying, confirming or cancelling (also while ``failed``).
    :param deadline: when its undecided part is over, in microseconds.
    :param reason: why it was cancelled or needs attention.
    :param step: the branch that caused it.
    :param returned: the function has returned (``result`` is its value); a tcc, or a two-phase transaction, was submitted.
    :param doom: why it shall be cancelled as soon as the pivot, now in doubt, is settled; of a two-phase transaction, why its
        deadline counts no more (its last resource decides; or the log holds another's abort, and no row of its own).
    :param runs: times the function's own code failed past the pivot.
    :param due: when to run the function again, in microseconds; 0: not scheduled.
    :param stuck: what in the function's own code needs a person.
    :param resolving: an operator's reason: retries are stopped, attempts in flight are waited out.
    :param closed: an operator's reason: closed by hand.
    :param finished: when it ended or was closed, in microseconds; 0 while open.
    :param vote_by: of a two-phase transaction: until when its branches may prepare, in microseconds (it is in their names).
    :param incarnation: of a two-phase transaction: the node that prepares them (it is in their names): 32 hex digits.
    :param last: of a two-phase transaction: the index of the branch that commits last, without preparing; -1: none. In a
        row of the log that is ``trying`` it is named there: it alone decides.
    :param recorded: of a two-phase transaction: it has a row in the log, or will have before anything more of it is seen.
    :param not_before: of a message: when it is delivered at the earliest, in microseconds; 0: at once.
    """

    gid: str
    uid: bytes
    definition: str
    form: str
    input: Raw
    begun: int
    deadline: int
    state: State = State.TRYING
    phase: State = State.TRYING
    reason: str = ""
    step: str = ""
    result: Raw = NULL
    returned: bool = False
    doom: str = ""
    runs: int = 0
    due: int = 0
    stuck: str = ""
    resolving: str = ""
    closed: str = ""
    finished: int = 0
    branches: tuple[Branch, ...] = ()
    vote_by: int = 0
    incarnation: str = ""
    last: int = -1
    recorded: bool = False
    not_before: int = 0

    @property
    def pattern(self) -> str:
        """``saga``, ``tcc``, ``two_phase`` or ``message``."""
        return PATTERNS.get(self.form, "tcc")


PATTERNS: Final = {"graph": "saga", "function": "saga", "two_phase": "two_phase", "message": "message"}
"""By form, whose rules a transaction follows, where that is not a tcc's."""


class Run(msgspec.Struct, frozen=True):
    """What only the present run of a function knows; never stored.

    :param recorded: by place, the indexes of the branches that earlier runs recorded, in call order.
    :param cursors: by place, how many of those this run has called.
    :param counts: by (place, name), occurrences used.
    :param live: the function is running in this node.
    """

    recorded: dict[str, tuple[int, ...]] = {}
    cursors: dict[str, int] = {}
    counts: dict[tuple[str, str], int] = {}
    live: bool = False


NO_RUN: Final = Run()


class Saga(msgspec.Struct, frozen=True, gc=False):
    """A saga in a node's memory.

    :param called: the branch that the last ``Called`` or ``Recalled`` was matched with; -1: none.
    :param problem: why the last ``Called`` was refused, if it was.
    """

    plan: Plan
    doc: Transaction
    run: Run = NO_RUN
    called: int = -1
    problem: str = ""

    @property
    def state(self) -> State:
        """The state that is shown."""
        return self.doc.state

    @property
    def finished(self) -> bool:
        """Nothing will happen to it any more: ended, or closed by hand."""
        return self.doc.finished != 0

    @property
    def decided(self) -> bool:
        """It can no longer go the other way."""
        return self.doc.phase is not State.TRYING or self.doc.state in FINAL


def next_due(saga: Saga) -> int:
    """When `Tick` is owed next, in microseconds; 0 if nothing is scheduled."""
    doc = saga.doc
    if doc.finished:
        return 0
    due = doc.due
    for branch in doc.branches:
        if branch.due and (not due or branch.due < due):
            due = branch.due
    if doc.phase is State.TRYING and not (doc.doom or doc.stuck or doc.resolving) and (not due or doc.deadline < due):
        due = doc.deadline
    return due
