"""Messages in a node: calls whose arguments are the message itself, and the producer that ends a half message.

All functions and methods are called where the driver runs.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING

from troth.core import limits, message
from troth.core.move import CallOnInput, Left, Submitted
from troth.core.quick import Fate, State, Word
from troth.core.reply import Reply
from troth.engine.calls import InFlight
from troth.engine.live import Live
from troth.ports.caller import Call

if TYPE_CHECKING:
    from troth.engine.node import Node


def call_on_input(node: Node, live: Live, command: CallOnInput) -> None:
    """Call a participant on what the transaction was begun with."""
    doc, index = live.saga.doc, command.branch
    branch = doc.branches[index]
    participant = node.registry.participant(branch.name)
    if participant is None:
        reply = Reply(Word.UNKNOWN, reason=f"no code for {branch.name} in this process", retry=False)
        node.replied(live, index, command.op, command.attempt, reply)
        return
    call = Call(
        doc.uid, doc.gid, branch.id, command.op, branch.name, command.attempt, doc.input, None, doc.begun, node.mark, node.log_id,
        participant.timeout,
    )  # fmt: skip
    node.calls.start(InFlight(live, index, call, participant, Context()))


def ends_soon(live: Live) -> bool:
    """Is a graceful stop worth waiting for it? Not for what needs a person, nor for a message whose time comes later."""
    doc = live.saga.doc
    return doc.state is not State.FAILED and not (doc.form == "message" and message.waits(doc))


class Producer:
    """The code that sends a message, as far as it ends the half message. It may be gone before it does.

    :ivar live: the message.
    """

    def __init__(self, node: Node, live: Live) -> None:
        self.node = node
        self.live = live

    @property
    def call_id(self) -> str:
        """The branch that stands for its local transaction."""
        return message.PRODUCER_ID

    @property
    def undecided(self) -> bool:
        """It is still a half message, as far as this node knows."""
        return self.live.saga.doc.phase is State.TRYING and self.live.saga.doc.branches[message.PRODUCER].fate is not Fate.NOT_DONE

    def submit(self) -> None:
        """Its local transaction committed: that is known."""
        self.node.driver.feed(self.live, Submitted(self.node.now(), ()))

    def left(self, reason: str = "") -> None:
        """It was left, by an exception or not: what became of its local transaction is to be asked."""
        self.node.driver.feed(self.live, Left(self.node.now(), reason[: limits.REASON_LENGTH]))
