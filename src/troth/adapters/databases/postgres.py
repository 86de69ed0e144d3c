"""What every PostgreSQL library shares: options, how a local transaction begins, and errors by SQLSTATE."""

from __future__ import annotations

from typing import Final

from troth.ports.errors import ConfigurationError

POOL_SIZE: Final = 10
"""Connections per colour and event loop: PostgreSQL allows 100 in all unless told otherwise."""
CONNECT_TIMEOUT: Final = 10
"""Seconds to connect, unless the target says."""
ISOLATIONS: Final = ("read committed", "repeatable read", "serializable")
CONFLICTS: Final = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected: rolled back for another's sake."""
ENDED: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
"""admin_shutdown, crash_shutdown, cannot_connect_now, the two idle timeouts: the server ended the connection."""


def check_options(pool_size: int, isolation: str, isolations: tuple[str, ...] = ISOLATIONS) -> None:
    """Refuse options that can't be used.

    :raises ConfigurationError: naming the option.
    """
    if isolation not in isolations:
        raise ConfigurationError(f"isolation: {isolation!r} is none of {', '.join(isolations)}")
    if pool_size < 1:
        raise ConfigurationError(f"pool_size: {pool_size} connections are too few. Use 1 or more.")


def opening(isolation: str, patience: float) -> str:
    """BEGIN, with a bound for every lock: the barrier's insert, and the step's own statements."""
    return f"BEGIN ISOLATION LEVEL {isolation.upper()}; {lock_bound(patience)}"


def lock_bound(patience: float) -> str:
    """The bound for every lock of the local transaction.

    :param patience: seconds.
    """
    return f"SET LOCAL lock_timeout = {max(int(patience * 1000), 1)}"


def state_of(error: BaseException) -> str:
    """The SQLSTATE of a library's exception; "" if it has none."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""


class StateFaults:
    """What exceptions mean by their SQLSTATE, never by message; see `troth.ports.database.Faults`."""

    def transient(self, error: BaseException) -> bool:
        return state_of(error) in CONFLICTS

    def rolled_back(self, error: BaseException) -> bool:
        return self.transient(error)

    def locked_out(self, error: BaseException) -> bool:
        return state_of(error) == "55P03"  # lock_not_available

    def lost(self, error: BaseException) -> bool:
        state = state_of(error)
        return state.startswith("08") or state in ENDED

    def no_table(self, error: BaseException) -> bool:
        return state_of(error) == "42P01"  # undefined_table

    def poisoned(self, error: BaseException) -> bool:
        return state_of(error) == "25P02"  # in_failed_sql_transaction

    def own(self, error: BaseException) -> bool:
        return bool(state_of(error))
