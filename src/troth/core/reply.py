"""What one call to a participant answered."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from troth.core.words import Word

NULL: Final = msgspec.Raw(b"null")
"""The encoded None: what a branch without a result results in."""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The reply to one call.

    :param word: done, refused, ongoing, not_done, unknown, conflict or (to seal only) sealed.
    :param result: with done, the encoded result.
    :param reason: why, in words; for refused what the customer may be told.
    :param after: with ongoing, unknown and not_done, seconds until it should be asked again at the earliest.
    :param retry: False where the same call again can't do better (a programming error).
    :param free: it wasn't called, and that is nobody's attempt: its destination is known to be down.
    :param children: with a done try, the ids of the branches that its kept run called.
    :param cause: the exception behind it, if it happened in this process; never stored.
    """

    word: Word
    result: msgspec.Raw = NULL
    reason: str = ""
    after: float | None = None
    retry: bool = True
    free: bool = False
    cause: Any = None
    children: tuple[str, ...] = ()
