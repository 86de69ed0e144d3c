"""A circuit breaker: a destination that doesn't answer is left alone for a while, then tried by one call.

After Nygard, *Release It!* (2007). Calls that are turned away were not made, so they say nothing about their branch and
use up none of its attempts. Pure: time and jitter are handed in.
"""

from __future__ import annotations

from troth.core import limits
from troth.core.retry import micros


class Breaker:
    """Whether one destination is worth calling.

    :ivar opened: when it went down, in microseconds; 0: it answers.
    :ivar until: when it is tried next.
    """

    __slots__ = ("failures", "opened", "pause", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.opened = 0
        self.until = 0
        self.pause = limits.CIRCUIT_SECONDS

    def wait(self, now: int, jitter: float) -> int:
        """Microseconds until a call is worth making; 0: it may be made now.

        While the destination is down one call is let through each time the pause is over, and the next pause is twice as
        long: nothing has to be given back if that call comes to nothing.
        """
        if not self.opened:
            return 0
        if now < self.until:
            return self.until - now
        self.pause = min(self.pause * 2.0, limits.CIRCUIT_CAP)
        self._leave_alone(now, jitter)
        return 0

    def failed(self, now: int, jitter: float) -> bool:
        """A call got no answer; True if the destination counts as down from now on."""
        self.failures += 1
        if self.opened or self.failures < limits.CIRCUIT_FAILURES:
            return False
        self.opened = now
        self._leave_alone(now, jitter)
        return True

    def answered(self) -> bool:
        """A call was answered, whatever was said; True if the destination was down."""
        self.failures = 0
        was_down = self.opened != 0
        if was_down:
            self.opened = self.until = 0
            self.pause = limits.CIRCUIT_SECONDS
        return was_down

    def free(self, now: int) -> bool:
        """Does waiting use up no attempt? An outage that lasts is one for a person."""
        return now - self.opened < micros(limits.OUTAGE_SECONDS)

    def _leave_alone(self, now: int, jitter: float) -> None:
        """Jitter takes away up to half, so that not every node tries at once."""
        self.until = now + micros(self.pause * (1.0 - jitter / 2.0))
