"""What the idempotency helpers raise; `troth.ports.errors` has the tree that these belong to.

```
TrothError
├── KeyConflict, KeyExpired, KeyInDoubt       a function that happens once per key
├── IllegalTransition, UnknownRow, StaleVersion        a state machine
└── Busy, LockLost, LockUnavailable, StaleToken        a lock with a fencing token
```
"""

from __future__ import annotations

from collections.abc import Sequence

from troth.ports.errors import InDoubt, TrothError


class KeyConflict(TrothError):
    """The key was used before with other arguments; nothing was done.

    :param name: the function's stored name.
    """

    def __init__(self, name: str, key: str) -> None:
        super().__init__(
            f"{name}: the key {key!r} was used before with other arguments. "
            "Use the same arguments to get the first answer again, or another key."
        )
        self.name = name
        self.key = key


class KeyExpired(TrothError):
    """The key is older than what is remembered, so nobody knows whether it was used; nothing was done.

    :param name: the function's stored name.
    """

    def __init__(self, name: str, key: str) -> None:
        super().__init__(
            f"{name}: the key {key!r} is older than the time that answers are kept (keep=), and no answer is there. "
            "Look in your own tables whether it happened; if not, draw a new key."
        )
        self.name = name
        self.key = key


class KeyInDoubt(InDoubt):
    """Whether it happened is unknown: the database's answer to COMMIT got lost, and asking again didn't help.

    :param name: the function's stored name.
    """

    def __init__(self, name: str, key: str, reason: str) -> None:
        super().__init__(key)
        said = f"{name}: whether it happened for the key {key!r} is unknown: {reason}"
        self.args = (f"{said} Call again with the same key and arguments when the database is back: it happens at most once.",)
        self.name = name
        self.key = key


class IllegalTransition(TrothError):
    """The row is in a state from which the wanted one can't be reached in one step; it was left as it is.

    :param state: where the row is.
    :param to: where it was to go.
    :param legal: where it may go from there.
    """

    def __init__(self, table: str, key: object, state: str, to: str, legal: Sequence[str]) -> None:
        could = f"From there it may become {', '.join(legal)}." if legal else "That state is final."
        super().__init__(f"{table} {key!r} is {state} and can't become {to}. {could}")
        self.table = table
        self.key = key
        self.state = state
        self.to = to
        self.legal = tuple(legal)


class UnknownRow(TrothError):
    """No row has that key."""

    def __init__(self, table: str, column: str, key: object) -> None:
        super().__init__(f"{table} has no row with {column} = {key!r}, or this local transaction can't see it")
        self.table = table
        self.key = key


class StaleVersion(TrothError):
    """The row was changed since it was read: it has another version than the one given; it was left as it is."""

    def __init__(self, table: str, key: object, version: object, found: object) -> None:
        super().__init__(
            f"{table} {key!r} is at version {found}, not {version}: it was changed since it was read. Read it again."
        )
        self.table = table
        self.key = key
        self.version = version
        self.found = found


class Busy(TrothError):
    """Someone else holds the lock; try again later.

    :param retry_after: seconds after which it will be free, unless its holder renews it.
    """

    def __init__(self, key: str, retry_after: float) -> None:
        super().__init__(f"{key} is locked by someone else. Try again later, e.g. in {retry_after:g} s.")
        self.key = key
        self.retry_after = retry_after


class LockLost(TrothError):
    """The lock isn't ours any more: it ran out, or was taken away. What was written behind `fence` is safe."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the lock on {key} was lost: it ran out before it was renewed. Stop, and begin again with a new hold."
        )
        self.key = key


class LockUnavailable(TrothError):
    """The lock server can't be asked. What it had granted runs out by itself."""


class StaleToken(TrothError):
    """Someone with a newer token was here: this holder has lost its lock and must not write.

    :param token: the token that was refused.
    :param seen: the highest token seen.
    """

    def __init__(self, key: str, token: int, seen: int) -> None:
        super().__init__(
            f"{key}: token {token} is older than {seen}, which was seen here: the lock was lost and someone else has had it since. "
            "Let this local transaction roll back, and begin again with a new hold."
        )
        self.key = key
        self.token = token
        self.seen = seen
