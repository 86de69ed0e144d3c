"""Events, commands and the move between two states. See etcd/raft's `Ready`: decide, then persist, then send.

A move that must be durable before anything of it may be seen carries its commands in ``after_durable``; one that may be
lost in a crash without harm carries them in ``now``. The driver obeys; nothing else in troth knows the difference.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec
from msgspec import Raw

from troth.core.reply import NULL, Reply
from troth.core.state import Saga
from troth.core.words import Op

# --- events: what can happen; `now` is microseconds, `jitter` a fraction in [0, 1) drawn by the driver


class Replied(msgspec.Struct, frozen=True, gc=False):
    """A call was answered."""

    now: int
    branch: int
    op: Op
    attempt: int
    reply: Reply
    jitter: float = 0.5


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time has passed."""

    now: int


class Called(msgspec.Struct, frozen=True, gc=False):
    """The function calls a step, in the task that ``place`` names."""

    now: int
    place: str
    name: str
    args: Raw


class Recalled(msgspec.Struct, frozen=True, gc=False):
    """The function asks for a remembered value; without one it will draw it and tell (`Remembered`)."""

    now: int
    place: str


class Remembered(msgspec.Struct, frozen=True, gc=False):
    """The function drew a value (a time, a random id) that a later run shall get again."""

    now: int
    place: str
    value: Raw


class Returned(msgspec.Struct, frozen=True, gc=False):
    """The function returned."""

    now: int
    result: Raw


class Raised(msgspec.Struct, frozen=True, gc=False):
    """An exception left the function."""

    now: int
    reason: str
    step: str = ""
    jitter: float = 0.5


class Abandoned(msgspec.Struct, frozen=True, gc=False):
    """An exception left a saga that was called inside the saga; these are the branches it recorded."""

    now: int
    branches: tuple[int, ...]
    token: int = 0


class Rerun(msgspec.Struct, frozen=True, gc=False):
    """The present run of the function is lost or was dropped, while its node lives.

    :param park: run it again only when something that it waits for is settled.
    """

    now: int
    park: bool = False


class Recovered(msgspec.Struct, frozen=True, gc=False):
    """A node took the transaction over, or up again; nobody drove it for ``gap`` microseconds."""

    now: int
    gap: int


class Doomed(msgspec.Struct, frozen=True, gc=False):
    """Cancel while that is still possible (no node can, or should, go on with it)."""

    now: int
    reason: str


class Registered(msgspec.Struct, frozen=True, gc=False):
    """A TCC's initiator, or one of its tries, calls a participant: a branch joins the transaction.

    :param id: ``place/name#occurrence``; the place is the id of the branch whose try calls, or the initiator's. One that is
        registered already attaches: a call that is made again is the same branch.
    """

    now: int
    id: str
    name: str
    args: Raw


class Enlisted(msgspec.Struct, frozen=True, gc=False):
    """A database joins a two-phase transaction. Nothing is called and nothing saved; ``Saga.called`` is the branch's index.

    :param id: ``place/name#occurrence``.
    :param name: the database's.
    :param prepares: it can prepare; one that can't goes last, and there is room for one such.
    :param args: what every call about the branch carries, recovery's too: its name at the database.
    """

    now: int
    id: str
    name: str
    prepares: bool = True
    args: Raw = NULL


class Submitted(msgspec.Struct, frozen=True, gc=False):
    """The initiator of a TCC or of a two-phase transaction has come to its end and wants all confirmed.

    :param branches: the ids of all that it called (enlisted), or tried to.
    :param result: its value, kept with the outcome.
    """

    now: int
    branches: tuple[str, ...]
    result: Raw = NULL


class Aborted(msgspec.Struct, frozen=True, gc=False):
    """An initiator was left by an exception, stopped waiting for an answer, or is gone."""

    now: int
    reason: str
    step: str = ""


class Overruled(msgspec.Struct, frozen=True, gc=False):
    """The log took nothing of a two-phase transaction and never will: another node wrote its abort first, or its gid is taken.

    What was held until the log would have it is dropped by the driver; it was never sent.
    """

    now: int
    reason: str


class Left(msgspec.Struct, frozen=True, gc=False):
    """A message's producer was left: with what became of its local transaction, nobody knows but its row.

    :param reason: the exception that left it, in words; "" for none.
    """

    now: int
    reason: str = ""


class Retry(msgspec.Struct, frozen=True, gc=False):
    """A person asks for another round."""

    now: int


class Resolve(msgspec.Struct, frozen=True, gc=False):
    """A person settled what was open, by hand, and closes the transaction."""

    now: int
    reason: str


class Poisoned(msgspec.Struct, frozen=True, gc=False):
    """Adopted again and again without a new durable record: parked until a person looks."""

    now: int
    claims: int


Event = (
    Replied | Tick | Called | Recalled | Remembered | Returned | Raised | Abandoned
    | Rerun | Recovered | Doomed | Registered | Enlisted | Submitted | Aborted | Overruled | Left | Retry | Resolve | Poisoned
)

# --- commands: what is asked of the world


class Call(msgspec.Struct, frozen=True, gc=False):
    """Call a participant."""

    branch: int
    op: Op
    attempt: int


class CallOnInput(msgspec.Struct, frozen=True, gc=False):
    """Call a participant; what the transaction was begun with are the arguments."""

    branch: int
    op: Op
    attempt: int


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Give the function what became of its call."""

    branch: int


class Start(msgspec.Struct, frozen=True, gc=False):
    """Run the function (again), from its beginning."""


class Stop(msgspec.Struct, frozen=True, gc=False):
    """The run is over: every call of the function, waiting or to come, raises `Cancelled`."""


class Resume(msgspec.Struct, frozen=True, gc=False):
    """What an abandoned inner saga owes is recorded: let its exception go on."""

    token: int


class Alert(msgspec.Struct, frozen=True, gc=False):
    """Tell a person.

    :param kind: ``refused_not_allowed``, ``misconfigured``, ``needs_attention``, ``poison``.
    """

    kind: str
    branch: int
    reason: str


Command = Call | CallOnInput | Answer | Start | Stop | Resume | Alert


class Save(IntEnum):
    """How a move goes into the log."""

    NO = 0
    """Not at all: it can be derived again."""
    RIDE = 1
    """With whatever is written next; a crash may lose it."""
    FORCE = 2
    """Before anything of it may be seen."""


NO: Final = Save.NO
RIDE: Final = Save.RIDE
FORCE: Final = Save.FORCE
"""The same as plain names, for the code that runs at every event."""

NOTHING: Final[tuple[Command, ...]] = ()


class Move(msgspec.Struct, frozen=True, gc=False):
    """The answer of `decide`.

    :param steady: nothing is due sooner than before (False: look).
    """

    state: Saga
    now: tuple[Command, ...] = NOTHING
    after_durable: tuple[Command, ...] = NOTHING
    save: Save = Save.NO
    steady: bool = False
