"""What a Python exception means, as a reply to a call.

| raised | reply |
|---|---|
| `Refused`, or one of ``refuse_on`` | refused |
| `Ongoing` | ongoing |
| any other `Exception`, rolled back in a local transaction of ours | not_done |
| any other `Exception`, elsewhere | unknown |
| a programming error, or a result that can't be encoded | the same, and no retry |
| `CancelledError`, `KeyboardInterrupt`, `SystemExit` | unknown |

An error from COMMIT is unknown too, but only the barrier knows where an error came from.
"""

from __future__ import annotations

import asyncio
from typing import Final

from troth.core.reply import Reply
from troth.core.words import Word
from troth.ports.errors import DefinitionError, LimitExceeded, Ongoing, PayloadError, Refused
from troth.wire.reason import shortened

PROGRAMMING_ERRORS: Final[tuple[type[BaseException], ...]] = (TypeError, NameError, AttributeError, ImportError)
"""What the same call again can't cure; a user may name others."""
_NEVER_RETRIED: Final = (PayloadError, LimitExceeded, DefinitionError)


def reply_to(
    exc: BaseException,
    *,
    local_transaction: bool,
    refuse_on: tuple[type[BaseException], ...] = (),
    no_retry: tuple[type[BaseException], ...] = PROGRAMMING_ERRORS,
) -> Reply:
    """The reply that an exception of a step's function stands for.

    :param exc: what the function raised, or what encoding its result did.
    :param local_transaction: True if whatever it did was rolled back in a local transaction of ours.
    :param refuse_on: the user's own business exceptions.
    :param no_retry: exceptions after which the same call again can't do better.
    """
    if isinstance(exc, asyncio.CancelledError) or not isinstance(exc, Exception):
        return Reply(Word.UNKNOWN, reason=in_words(exc), cause=exc)
    if isinstance(exc, Refused):
        return Reply(Word.REFUSED, reason=shortened(exc.reason), cause=exc)
    if isinstance(exc, refuse_on):
        return Reply(Word.REFUSED, reason=shortened(str(exc) or type(exc).__name__), cause=exc)
    if isinstance(exc, Ongoing):
        return Reply(Word.ONGOING, after=exc.after, cause=exc)
    retry = not isinstance(exc, (*no_retry, *_NEVER_RETRIED))
    word = Word.NOT_DONE if local_transaction else Word.UNKNOWN
    return Reply(word, reason=in_words(exc), retry=retry, cause=exc)


def in_words(exc: BaseException) -> str:
    """An exception as a reason: its type and what it says."""
    try:
        said = str(exc).strip()
    except Exception:  # a user's __str__ may fail; the reply must not
        said = ""
    name = type(exc).__name__
    return shortened(f"{name}: {said}" if said else name)
