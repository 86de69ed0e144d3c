"""One line of the doctor's: what was looked at, how it is, and a cure."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """What one check found.

    :ivar check: what was looked at, in a word or two.
    :ivar cure: what to do; "" where nothing is to do.
    """

    check: str
    level: Level
    text: str
    cure: str = ""


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def warn(check: str, text: str, cure: str) -> Finding:
    """Somebody should look at it."""
    return Finding(check, "warn", text, cure)


def fail(check: str, text: str, cure: str) -> Finding:
    """It does not work, or something will be lost."""
    return Finding(check, "fail", text, cure)
