"""Rare situations that a campaign of seeds must have met; otherwise it tests less than it says."""

from __future__ import annotations

from typing import Final

SITUATIONS: Final = (
    "a begin attaches to what exists",
    "a branch is unknown when its saga is adopted",
    "a call comes after the purge",
    "a check finds the effect",
    "a commit lands after its answer was lost",
    "a compensation comes before its action",
    "a compensation finds nothing to undo",
    "a duplicate gets the first answer",
    "a failed transaction ends by itself",
    "a function is adopted while cancelling",
    "a function is adopted while confirming",
    "a function is adopted while trying",
    "a gid is asked for with other content",
    "a graph is adopted while cancelling",
    "a graph is adopted while confirming",
    "a graph is adopted while trying",
    "a node that was declared dead finds out",
    "a paused node wakes up declared dead",
    "a person asks to resolve",
    "a person asks to retry",
    "a person is needed",
    "a pivot is in doubt when its saga is to be cancelled",
    "a pivot is sealed",
    "a poison row is rejected alone",
    "a remembered value is given again",
    "a saga is adopted while its pivot is in doubt and it is to be cancelled",
    "a transaction is not accepted",
    "a transaction waits for code",
    "an action comes after its compensation",
    "an adoption gets no answer",
    "an inner saga is abandoned",
    "an unanswered commit turns out lost",
    "an unanswered commit turns out written",
    "barrier rows are purged",
    "code changes under a running saga",
    "two nodes began the same gid at once",
)
