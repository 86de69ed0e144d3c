"""Drawing numbers: the clock and the chance that `troth.core.numbers` doesn't have."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from troth.core import numbers
from troth.core.ids import Unfit
from troth.ports.errors import ConfigurationError, PayloadError


class Numbers:
    """One kind of number: ``orders = troth.numbers("ORD")``, then ``orders.draw()``.

    Numbers drawn in one process are ascending, those of several processes by the millisecond. They are unique without
    anybody being asked, and no secret: who knows one can guess when others were drawn.

    :param prefix: what they begin with: nothing, or 1 to 12 of ``A-Z0-9``, a letter first.
    :param now: microseconds since the Unix epoch.
    :param chance: so many random bytes.
    :raises ConfigurationError: if the prefix is none.
    """

    def __init__(self, prefix: str, now: Callable[[], int], chance: Callable[[int], bytes] = os.urandom) -> None:
        try:
            self.prefix = numbers.check_prefix(prefix)
        except Unfit as error:
            raise ConfigurationError(f"numbers: {error}.") from None
        self._now = now
        self._chance = chance
        self._last = 0
        self._lock = threading.Lock()

    def draw(self) -> str:
        """A number that nobody had before, e.g. ``ORD-01K8Z-RT4W7-Q9M2X-5C0KT``. It can be used as a gid."""
        drawn = int.from_bytes(self._chance(7), "big") >> 56 - numbers.CHANCE_BITS
        value = self._now() // 1000 << numbers.CHANCE_BITS | drawn
        with self._lock:
            if value <= self._last:  # by chance a step, too: a forked sibling may stand at the same last one
                value = self._last + 1 + int.from_bytes(self._chance(4), "big")
            self._last = value
        return numbers.written(value, self.prefix)

    def check(self, text: str) -> str:
        """The number as it was drawn, from what somebody typed.

        :raises PayloadError: if it isn't one of these, or was mistyped.
        """
        return numbers.written(self._read(text), self.prefix)

    def drawn_at(self, text: str) -> int:
        """When it was drawn: microseconds since the Unix epoch.

        :raises PayloadError: as `check`.
        """
        return numbers.millis_of(self._read(text)) * 1000

    def _read(self, text: str) -> int:
        try:
            return numbers.read(text, self.prefix)
        except Unfit as error:
            raise PayloadError("number", error.problem, error.cure) from error

    def __repr__(self) -> str:
        return f"<numbers {self.prefix or 'without prefix'}>"
