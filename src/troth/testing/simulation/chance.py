"""Keyed chance: every choice is a function of the seed and of what is chosen, not of what was chosen before.

So switching one fault off leaves all other choices as they were, which is what makes a failing seed easy to cut down.
Integers only: a text becomes one by CRC, for ``hash(str)`` differs from process to process.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeVar
from zlib import crc32

MASK: Final = (1 << 64) - 1
WHOLE: Final = 1 << 64
T = TypeVar("T")


@lru_cache(maxsize=65536)
def key_of(text: str) -> int:
    """An integer that stands for a text."""
    return crc32(text.encode())


def mix(seed: int, site: int, key: int, nth: int) -> int:
    """64 bits that look like chance, after splitmix64 (Steele, Lea, Flood: *Fast Splittable PRNGs*, OOPSLA 2014)."""
    x = (seed * 0x9E3779B97F4A7C15 + site * 0xBF58476D1CE4E5B9 + key * 0x94D049BB133111EB + nth * 0xD1342543DE82EF95) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    x = ((x ^ (x >> 29)) * 0xD6E8FEB86659FD93) & MASK
    return x ^ (x >> 32)


class Chance:
    """The choices of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._nth: dict[tuple[int, int], int] = {}

    def bits(self, site: str, key: int = 0) -> int:
        """64 bits for the next occurrence of this choice."""
        at = (key_of(site), key)
        nth = self._nth.get(at, 0)
        self._nth[at] = nth + 1
        return mix(self.seed, at[0], key, nth)

    def below(self, n: int, site: str, key: int = 0) -> int:
        """A whole number from 0 to n-1."""
        return self.bits(site, key) * n >> 64

    def between(self, low: int, high: int, site: str, key: int = 0) -> int:
        """A whole number from low to high."""
        return low + (self.bits(site, key) * (high - low + 1) >> 64)

    def fraction(self, site: str, key: int = 0) -> float:
        """A number in [0, 1)."""
        return (self.bits(site, key) >> 11) / (1 << 53)

    def happens(self, probability: float, site: str, key: int = 0) -> bool:
        """True as often as the probability says."""
        return self.fraction(site, key) < probability

    def pick(self, options: tuple[T, ...] | list[T], site: str, key: int = 0) -> T:
        """One of the options."""
        return options[self.below(len(options), site, key)]
