"""Exceptions in words: why a function was left."""

from __future__ import annotations

from troth.participant.meaning import in_words
from troth.ports.errors import Cancelled, Refused, StepFailed


def why(error: BaseException) -> tuple[str, str]:
    """(reason, branch id or "") of an exception that left a saga's function."""
    if isinstance(error, Refused):
        return error.reason, error.step or ""
    if isinstance(error, (StepFailed, Cancelled)):
        return error.reason, error.step or ""
    return in_words(error), ""
