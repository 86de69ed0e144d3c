"""What a step may not do with its connection, in words."""

from __future__ import annotations

from typing import NoReturn

from troth.ports.errors import DefinitionError

CURES = {
    "commit": "Leave it out: troth commits when the step returns.",
    "rollback": "Raise instead: Refused for a business no, any other exception for another try.",
    "close": "Leave it out: the connection is troth's and is used again.",
    "begin": "Leave it out: the step is one local transaction already. For a part that may fail use a savepoint.",
    "with db": "Leave it out: the step is one local transaction already. For a part that may fail use a savepoint.",
    "executescript": "It commits first. Call execute once for each statement.",
    "autocommit": "Leave it as it is: the step is one local transaction already.",
    "isolation_level": "Leave it as it is: the step is one local transaction already.",
    "two-phase commit": "Leave it out: a step is one local transaction.",
}


def refuse(what: str) -> NoReturn:
    """Raise the worded error for something that would end the step's local transaction.

    :raises DefinitionError: always.
    """
    raise DefinitionError(f"{what} inside a step would end the local transaction that holds its effect. {CURES[what]}")
