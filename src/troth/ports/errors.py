"""Every error a user can meet, as one tree.

```
TrothError
├── Refused, Ongoing                     raised *by* steps
├── StepFailed                           raised inside a saga: a step gave up
├── Cancelled, NeedsAttention, InDoubt   what became of a transaction
├── UnknownTransaction, NotAccepted, GidConflict, AlreadyBegun
├── MessageGivenUp                       the check-back was before its local transaction
├── DefinitionError, LimitExceeded, PayloadError      at registration or at the door
├── WrongColour                          the blocking spelling in a loop, or the reverse
├── ConfigurationError
├── KeyConflict, Busy, StaleToken …     of the idempotency helpers: `troth.ports.idempotency`
└── StoreError
    ├── StoreUnavailable   nothing was written; try again
    ├── StoreReadOnly, StoreFull, StoreCorrupt, StoreTooNew
    ├── CommitUnknown      the batch may or may not have been written
    ├── RowRejected        one row's data can't be stored
    └── Fenced             this node was declared dead
```
"""

from __future__ import annotations

from typing import Any


class TrothError(Exception):
    """Base of everything troth raises. Each crosses from one process to another as it is (pickle)."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, self.__dict__.copy())


def _rebuilt(kind: type[TrothError], args: tuple[Any, ...], state: dict[str, Any]) -> TrothError:
    """An error as it was, whatever its class is made with."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class Refused(TrothError):
    """A definite business no, raised by a step: nothing happened and nothing will.

    :param reason: what the customer may be told, e.g. ``"sku-1 is sold out"``.
    """

    def __init__(self, reason: str = "refused") -> None:
        super().__init__(reason)
        self.reason = reason
        self.step: str | None = None
        """The branch that refused, once it has passed through the engine."""


class Ongoing(TrothError):
    """The step has begun and is not finished; ask again.

    :param after: seconds until it should be asked again.
    """

    def __init__(self, after: float | None = None) -> None:
        super().__init__("ongoing" if after is None else f"ongoing, ask again after {after} s")
        self.after = after


class StepFailed(TrothError):
    """Inside a saga: a step gave up. Caught, the saga may take another way; uncaught, it cancels.

    :param step: the branch that gave up.
    :param reason: the last attempt's words.
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"step {step} gave up: {reason}")
        self.step = step
        self.reason = reason


class Cancelled(TrothError):
    """The transaction was cancelled: every effect it had is undone or being undone.

    :param gid: the transaction.
    :param step: the branch that caused it, if one did.
    :param reason: why, in words.
    """

    def __init__(self, gid: str, step: str | None, reason: str) -> None:
        where = f" at step {step}" if step else ""
        super().__init__(f"{gid} was cancelled{where}: {reason}")
        self.gid = gid
        self.step = step
        self.reason = reason


class NeedsAttention(TrothError):
    """The transaction can't end by itself; a person must look at it. Slow retries go on meanwhile.

    :param gid: the transaction.
    :param open: the branches that are open, each with its reason.
    """

    def __init__(self, gid: str, open: tuple[str, ...] = (), reason: str = "") -> None:
        listed = "; ".join(open) or "nothing is open"
        why = f" ({reason})" if reason else ""
        super().__init__(
            f"{gid} needs attention{why}: {listed}. Look with `troth show {gid}`, then `troth retry` or `troth resolve`."
        )
        self.gid = gid
        self.open = open
        self.reason = reason


class InDoubt(TrothError):
    """Whether the transaction was accepted is unknown: the log's commit got no answer and the log is gone.

    :param gid: ask for it again with this gid; it begins at most once.
    """

    def __init__(self, gid: str) -> None:
        super().__init__(
            f"whether {gid} was accepted is unknown: the log's commit got no answer. "
            f"Call again with gid={gid!r} when the log is back: it begins at most once."
        )
        self.gid = gid


class UnknownTransaction(TrothError):
    """No such transaction in this log (or it is older than the retention)."""

    def __init__(self, gid: str) -> None:
        super().__init__(f"no transaction {gid} in this log; it never began here, or it is older than the retention")
        self.gid = gid


class NotAccepted(TrothError):
    """The transaction was not begun and nothing was written; try again.

    :param retry_after: seconds after which to try again.
    """

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(f"not accepted, nothing was written: {reason}. Try again in {retry_after:g} s.")
        self.reason = reason
        self.retry_after = retry_after


class GidConflict(TrothError):
    """The gid exists with other content (pattern, definition or input)."""

    def __init__(self, gid: str, detail: str = "") -> None:
        super().__init__(
            f"gid {gid} already belongs to a transaction with other content"
            + (f" ({detail})" if detail else "")
            + ". Use another gid, or the same input."
        )
        self.gid = gid


class AlreadyBegun(TrothError):
    """The gid was begun before; for one known only to the ledger its outcome is given.

    :param outcome: ``confirmed`` or ``cancelled``, or None while it is open.
    """

    def __init__(self, gid: str, outcome: str | None = None) -> None:
        super().__init__(f"{gid} was already begun" + (f"; it ended {outcome}" if outcome else ""))
        self.gid = gid
        self.outcome = outcome


class MessageGivenUp(TrothError):
    """The message's check-back came before its local transaction, found nothing, and has ruled it out: it was never sent.

    :param gid: the message.
    :param when: when that was, as the database says; "" where it doesn't.
    """

    def __init__(self, gid: str, when: str = "") -> None:
        at = f" at {when}" if when else ""
        super().__init__(
            f"the message {gid} was given up{at}: its check-back came before its local transaction and has ruled it out. Roll "
            "back, and do it again with a new message."
        )
        self.gid = gid
        self.when = when


class DefinitionError(TrothError):
    """A step, saga, graph or database is defined in a way that can't work; the message says what would."""


class LimitExceeded(TrothError):
    """Something is larger than its limit.

    :param limit: the limit's name in ``troth.core.limits``.
    :param value: what was given.
    :param maximum: what is allowed.
    """

    def __init__(self, limit: str, value: Any, maximum: Any, cure: str = "") -> None:
        super().__init__(f"{limit}: {value} is more than {maximum}" + (f". {cure}" if cure else ""))
        self.limit = limit
        self.value = value
        self.maximum = maximum


class PayloadError(TrothError):
    """A value can't be encoded or decoded as its annotation says; the field is named.

    :param field: the path of the value, e.g. ``order.lines[2].price``.
    """

    def __init__(self, field: str, problem: str, cure: str = "") -> None:
        super().__init__(f"{field}: {problem}" + (f". {cure}" if cure else ""))
        self.field = field


class WrongColour(TrothError):
    """A blocking call where it would block an event loop, or an awaitable one where nothing awaits; names the right spelling."""


class ConfigurationError(TrothError):
    """A setting is missing or wrong; the message names it and a right value."""


class StoreError(TrothError):
    """The log's store can't do what was asked."""


class StoreUnavailable(StoreError):
    """The store can't be reached or is busy; nothing was written."""


class StoreReadOnly(StoreError):
    """The store can be read but not written."""


class StoreFull(StoreError):
    """The store has no space left; nothing was written."""


class StoreCorrupt(StoreError):
    """The store's file is damaged, or is no troth log."""


class StoreTooNew(StoreError):
    """The store's schema was written by a newer troth."""


class CommitUnknown(StoreError):
    """The commit got no answer: it may or may not have been written; `Store.settle` tells."""


class RowRejected(StoreError):
    """The store can't hold this row's data; nothing of the batch was written."""


class Fenced(StoreError):
    """This node was declared dead: nothing of the batch was written, and nothing of it ever will be."""
