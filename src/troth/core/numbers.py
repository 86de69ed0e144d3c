"""Numbers that a service draws and hands out: ordered by time, readable aloud, with a check character.

Twenty characters of Crockford's base 32 (no I, L, O, U): nine for the millisecond, ten of chance, one to check, in groups
of five behind a prefix: ``ORD-01K8Z-RT4W7-Q9M2X-5C0KT``.

The check character is a Reed-Solomon parity symbol over GF(32), as polynomial x^5 + x^2 + 1 makes it: the number, read as
a polynomial, is divisible by (x - 2). Since 2 generates all 31 units of the field, every single wrong character and every
exchange of two characters, neighbours or not, is found in anything up to 31 characters long.
"""

from __future__ import annotations

import re
from typing import Final

from troth.core.ids import Unfit

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHANCE_BITS: Final = 50
"""Chance per number: at 1,000 a second, one pair in about 70,000 years is drawn twice."""
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_LENGTH: Final = 20
_GROUP: Final = 5
_PREFIX: Final = re.compile(r"(?:[A-Z][A-Z0-9]{0,11})?")
_CURE: Final = "Look it up again where it was copied from"


def check_prefix(prefix: object) -> str:
    """The prefix, if it is one: nothing, or 1 to 12 of ``A-Z0-9``, a letter first.

    :raises Unfit: if it isn't.
    """
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise Unfit(f"{prefix!r} is no prefix", "Use 1 to 12 capitals and digits, a capital first, e.g. ORD")
    return prefix


def written(value: int, prefix: str = "") -> str:
    """A value (milliseconds above `CHANCE_BITS` of chance) as a number, with its check character."""
    digits = [(value >> shift) & 31 for shift in range((_LENGTH - 2) * 5, -1, -5)]
    digits.append(_doubled(_remainder(digits)))
    body = "".join(ALPHABET[digit] for digit in digits)
    groups = [body[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP)]
    return "-".join([prefix, *groups] if prefix else groups)


def read(text: object, prefix: str = "") -> int:
    """The value of a number as people write it: small letters, no hyphens, O for 0 and I or L for 1 are understood.

    :raises Unfit: if it is none, has another prefix, or a character is wrong.
    """
    if not isinstance(text, str):
        raise Unfit(f"a number is a str, not {type(text).__name__}", "Pass the text that was drawn")
    given = text.strip().upper()
    if not given.startswith(prefix):
        raise Unfit(f"{text[:40]!r} doesn't begin with {prefix}", "It is another kind of number")
    body = given[len(prefix) :].translate(_MISREAD)
    if len(body) != _LENGTH or any(character not in _VALUES for character in body):
        raise Unfit(f"{text[:40]!r} isn't {_LENGTH} letters and digits behind {prefix or 'nothing'}", _CURE)
    digits = [_VALUES[character] for character in body]
    if _remainder(digits):
        raise Unfit(f"{text!r} has a wrong character, or two that changed places", _CURE)
    value = 0
    for digit in digits[:-1]:
        value = value << 5 | digit
    return value


def millis_of(value: int) -> int:
    """When the number was drawn, in milliseconds since the Unix epoch."""
    return value >> CHANCE_BITS


def _remainder(digits: list[int]) -> int:
    """The polynomial's value at 2, by Horner: 0 for a whole number."""
    total = 0
    for digit in digits:
        total = _doubled(total) ^ digit
    return total


def _doubled(element: int) -> int:
    """Times 2 in GF(32)."""
    element <<= 1
    return element ^ 0b100101 if element & 0b100000 else element
