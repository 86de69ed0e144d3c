"""troth: every service keeps its word, or none does. Distributed transactions for Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from troth.app.current import Current
    from troth.app.message_participants import Local
    from troth.app.outcome import Handle, Outcome, TransactionView
    from troth.app.tcc import Tcc
    from troth.app.troth import Troth
    from troth.participant.fencing import fence
    from troth.participant.outbox import outbox
    from troth.participant.state_machine import StateMachine
    from troth.ports.errors import (
        AlreadyBegun,
        Cancelled,
        ConfigurationError,
        DefinitionError,
        GidConflict,
        InDoubt,
        LimitExceeded,
        MessageGivenUp,
        NeedsAttention,
        NotAccepted,
        Ongoing,
        PayloadError,
        Refused,
        StepFailed,
        StoreError,
        TrothError,
        UnknownTransaction,
        WrongColour,
    )
    from troth.ports.idempotency import (
        Busy,
        IllegalTransition,
        KeyConflict,
        KeyExpired,
        KeyInDoubt,
        LockLost,
        LockUnavailable,
        StaleToken,
        StaleVersion,
        UnknownRow,
    )

__version__ = "0.1.0"
__all__ = [
    "AlreadyBegun",
    "Busy",
    "Cancelled",
    "ConfigurationError",
    "Current",
    "DefinitionError",
    "GidConflict",
    "Handle",
    "IllegalTransition",
    "InDoubt",
    "KeyConflict",
    "KeyExpired",
    "KeyInDoubt",
    "LimitExceeded",
    "Local",
    "LockLost",
    "LockUnavailable",
    "MessageGivenUp",
    "NeedsAttention",
    "NotAccepted",
    "Ongoing",
    "Outcome",
    "PayloadError",
    "Refused",
    "StaleToken",
    "StaleVersion",
    "StateMachine",
    "StepFailed",
    "StoreError",
    "Tcc",
    "TransactionView",
    "Troth",
    "TrothError",
    "UnknownRow",
    "UnknownTransaction",
    "WrongColour",
    "fence",
    "outbox",
]
_HOMES = {
    "Troth": "troth.app.troth",
    "Current": "troth.app.current",
    "Handle": "troth.app.outcome",
    "Local": "troth.app.message_participants",
    "Outcome": "troth.app.outcome",
    "Tcc": "troth.app.tcc",
    "TransactionView": "troth.app.outcome",
    "StateMachine": "troth.participant.state_machine",
    "fence": "troth.participant.fencing",
    "outbox": "troth.participant.outbox",
    "Busy": "troth.ports.idempotency",
    "IllegalTransition": "troth.ports.idempotency",
    "KeyConflict": "troth.ports.idempotency",
    "KeyExpired": "troth.ports.idempotency",
    "KeyInDoubt": "troth.ports.idempotency",
    "LockLost": "troth.ports.idempotency",
    "LockUnavailable": "troth.ports.idempotency",
    "StaleToken": "troth.ports.idempotency",
    "StaleVersion": "troth.ports.idempotency",
    "UnknownRow": "troth.ports.idempotency",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a command line that only reads starts fast."""
    if name not in __all__:
        raise AttributeError(f"module 'troth' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "troth.ports.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
