"""What a bad network does to a call: drawn from the seed and the call alone, whatever the timing."""

from __future__ import annotations

import zlib

REPEATED = 0.06
"""Part of all requests that are delivered a second time at once."""
LATE = 0.06
"""Part of all requests that are delivered again later, when the transaction has gone on."""
LOST = 0.05
"""Part of all answers that never come back."""


class Weather:
    """The network of one run.

    :param pace: seconds that one way takes on average; 0: the network is good, and does nothing else to calls either.
    """

    def __init__(self, seed: int, pace: float) -> None:
        self.seed = seed
        self.pace = pace

    def travel(self, what: str, way: str) -> float:
        """Seconds that one way takes."""
        return self.pace * (0.5 + self.chance(what, way))

    def happens(self, what: str, part: float, event: str) -> bool:
        """Does this befall it?"""
        return self.pace > 0 and self.chance(what, event) < part

    def later(self, what: str) -> float:
        """Seconds until a late repetition."""
        return self.pace * (4 + 12 * self.chance(what, "how late"))

    def chance(self, what: str, question: str) -> float:
        """A number in [0, 1) that depends on nothing but the seed, the call and the question."""
        text = f"{self.seed} {what} {question}"
        return zlib.crc32(zlib.crc32(text.encode()).to_bytes(4) + text.encode()) / 2**32
