"""What becomes of new transactions while the log can't be written: their callers are told, within a bound.

Nothing that the log holds is given up; what was accepted goes on when the log does. A transaction that it doesn't hold yet
is turned away and will never be written (`NotAccepted`), unless an unanswered commit may have written it (`InDoubt`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from troth.core import limits
from troth.core.retry import micros
from troth.engine.timers import Alarm
from troth.ports.errors import StoreCorrupt, StoreError, StoreFull, StoreReadOnly

if TYPE_CHECKING:
    from troth.engine.node import Node

FOR_GOOD = (StoreFull, StoreReadOnly, StoreCorrupt)
"""What waiting a moment longer doesn't cure."""


class Trouble:
    """Watches a node's journal.

    :ivar since: when it could last be written, in microseconds; 0: it can.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.since = 0
        self.alarm = Alarm(self.look)

    def look(self) -> None:
        """After each answer of the store, and when the bound is over."""
        node = self.node
        error = node.driver.journal.trouble
        if error is None:
            self.since = 0
            return
        now = node.now()
        bound = micros(limits.ACCEPT_SECONDS)
        if not self.since:
            self.since = now
            node.set_alarm(self.alarm, now + bound)
        if isinstance(error, FOR_GOOD) or now >= self.since + bound:
            self.turn_away(error)

    def turn_away(self, error: StoreError) -> None:
        """Tell the callers of what is not known to be in the log."""
        driver = self.node.driver
        surely_not, perhaps = driver.not_in_log()
        driver.journal.withdraw(surely_not)
        for live in surely_not:
            self.node.end(live, "refused", error)
            driver.forget(live)
        driver.journal.beat()  # with nothing left to write, an empty batch shows when the log is back
        self.node.journal_waits()
        if driver.journal.unknown:
            for live in perhaps:
                self.node.end(live, "in_doubt", error)
