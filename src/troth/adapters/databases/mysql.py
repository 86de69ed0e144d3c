"""What every MariaDB and MySQL library shares: targets, isolation levels, and errors by number."""

from __future__ import annotations

import math
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from troth.ports.errors import ConfigurationError

POOL_SIZE: Final = 10
"""Connections per colour and event loop: a server allows 151 in all unless told otherwise."""
CONNECT_TIMEOUT: Final = 10
"""Seconds to connect."""
PORT: Final = 3306
ISOLATIONS: Final = ("read committed", "repeatable read", "serializable")
IN_TRANSACTION: Final = 1
"""SERVER_STATUS_IN_TRANS: the flag of a server's answer that says so."""
CONFLICTS: Final = frozenset({1213, 1020, 3101, 1180})
"""Deadlock, record changed since the snapshot, rolled back in a cluster (at COMMIT too): for another's sake."""
LOCK_WAIT_TIMEOUT: Final = 1205
NO_TABLE: Final = 1146
NO_SAVEPOINT: Final = 1305
LOST: Final = frozenset({2006, 2013, 2055, 4031, 1053, 1927, 0})
"""Gone away, lost, idle too long, shutting down, killed; 0 is what PyMySQL says of a closed connection."""


def number_of(error: BaseException) -> int:
    """The server's or the library's error number; -1 if it has none."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) else -1


class NumberFaults:
    """What exceptions mean by their number, never by message; see `troth.ports.database.Faults`."""

    def transient(self, error: BaseException) -> bool:
        return number_of(error) in CONFLICTS

    def rolled_back(self, error: BaseException) -> bool:
        return self.transient(error)

    def locked_out(self, error: BaseException) -> bool:
        return number_of(error) == LOCK_WAIT_TIMEOUT

    def lost(self, error: BaseException) -> bool:
        return number_of(error) in LOST

    def no_table(self, error: BaseException) -> bool:
        return number_of(error) == NO_TABLE

    def poisoned(self, error: BaseException) -> bool:
        return False  # an error undoes its statement, or the whole transaction

    def own(self, error: BaseException) -> bool:
        return number_of(error) >= 0


def settings_of(target: str) -> dict[str, Any]:
    """What a ``mysql://user:password@host:port/database`` URL says, as both libraries' ``connect`` takes it.

    :raises ConfigurationError: if it is none.
    """
    try:
        parts = urlsplit(target)
        port = parts.port or PORT
    except ValueError as error:
        raise ConfigurationError(f"the target is no URL: {error}") from None
    database = unquote(parts.path.removeprefix("/"))
    if not parts.hostname or not database or "/" in database:
        raise ConfigurationError("the target names no host and database. Use mysql://user:password@host/database.")
    if parts.query:
        raise ConfigurationError(
            f"?{parts.query}: options are arguments here, e.g. troth.database(name, url, ssl=context)"
        )
    return {
        "host": parts.hostname,
        "port": port,
        "user": unquote(parts.username or "") or None,
        "password": unquote(parts.password or ""),
        "database": database,
    }


def opening(isolation: str) -> tuple[str, str]:
    """What a new connection is told once.

    Without autocommit, what follows a COMMIT that a step sends, or a statement that implies one, is never kept.
    """
    return "SET autocommit = 0", f"SET SESSION TRANSACTION ISOLATION LEVEL {isolation.upper()}"


def lock_bound(patience: float) -> int:
    """Whole seconds that InnoDB waits for a lock, at least one.

    :param patience: seconds.
    """
    return max(math.ceil(patience), 1)
