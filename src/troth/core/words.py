"""The vocabulary: states, ops and replies, one word per thing.

The words are X/Open's (decision, in-doubt, heuristic), Garcia-Molina and Salem's (*Sagas*, SIGMOD 1987: action,
compensation) and RocketMQ's; from SQL column to metric label they are spelled as here.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The one set of states of a global transaction, whatever its pattern."""

    TRYING = "trying"
    CONFIRMING = "confirming"
    CONFIRMED = "confirmed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    """Needs a person; slow retries go on and may still end it in cancelled or confirmed."""


FINAL = frozenset({State.CONFIRMED, State.CANCELLED})


class Op(StrEnum):
    """What a participant can be asked to do for a branch."""

    ACTION = "action"
    COMPENSATE = "compensate"
    TRY = "try"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    PREPARE = "prepare"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    DELIVER = "deliver"
    CHECK = "check"
    """What became of it?"""
    SEAL = "seal"
    """Make it impossible if it has not happened, and say which won."""


class Word(StrEnum):
    """The word of a reply to one call."""

    DONE = "done"
    REFUSED = "refused"
    ONGOING = "ongoing"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"
    CONFLICT = "conflict"
    SEALED = "sealed"
    """Only to seal: the branch had not happened and now never will."""


class Role(StrEnum):
    """The role of a saga step: before, at and after the point of no return."""

    COMPENSABLE = "compensable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"
    LOCAL = "local"
    """Never used in a saga."""


class Fate(StrEnum):
    """How far one branch has come."""

    IDLE = "idle"
    """Declared, not started (as far as this node knows: see ``Branch.unknown``)."""
    HELD = "held"
    """Called by the function, waiting for its turn (a pivot, or a call while a pivot is in doubt); never sent."""
    CALLING = "calling"
    """Its intent is recorded and it is being driven; not settled."""
    DONE = "done"
    REFUSED = "refused"
    """A definite no: nothing is owed."""
    NOT_DONE = "not_done"
    """Attempts used up and every one of them is known not to have happened: nothing is owed."""
    GAVE_UP = "gave_up"
    """Attempts used up and nobody knows whether it ran: its undo is owed."""
    COMPENSATED = "compensated"
    CONFIRMED = "confirmed"
    """Its try was done, and so is its confirm; or it was committed."""
    CANCELLED = "cancelled"
    """Its try was done or may have been, and its cancel is done; or it was rolled back after it was asked to prepare."""
    READ_ONLY = "read_only"
    """It voted yes and wrote nothing: it has ended, and nothing is owed."""
