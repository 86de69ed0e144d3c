"""Reasons: words that are stored, shown to people and sent."""

from __future__ import annotations

from troth.core import limits


def shortened(reason: object) -> str:
    """A reason that every database can store: at most `limits.REASON_LENGTH` characters, no NUL, no lone surrogate."""
    text = str(reason).replace("\x00", "\N{REPLACEMENT CHARACTER}")
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limits.REASON_LENGTH else text[: limits.REASON_LENGTH - 1] + "…"
