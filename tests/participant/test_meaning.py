"""What a Python exception means."""

from __future__ import annotations

import asyncio

import pytest

from troth.core import limits
from troth.core.words import Word
from troth.participant.meaning import reply_to
from troth.ports.errors import Ongoing, PayloadError, Refused


class CardDeclinedError(Exception):
    """A user's business no."""


@pytest.mark.parametrize(
    ("error", "inside", "outside", "retry"),
    [
        (Refused("sold out"), Word.REFUSED, Word.REFUSED, True),
        (CardDeclinedError("no"), Word.REFUSED, Word.REFUSED, True),
        (Ongoing(3.0), Word.ONGOING, Word.ONGOING, True),
        (KeyError("k"), Word.NOT_DONE, Word.UNKNOWN, True),
        (OSError("down"), Word.NOT_DONE, Word.UNKNOWN, True),
        (TimeoutError(), Word.NOT_DONE, Word.UNKNOWN, True),
        (TypeError("t"), Word.NOT_DONE, Word.UNKNOWN, False),
        (NameError("n"), Word.NOT_DONE, Word.UNKNOWN, False),
        (AttributeError("a"), Word.NOT_DONE, Word.UNKNOWN, False),
        (ModuleNotFoundError("i"), Word.NOT_DONE, Word.UNKNOWN, False),
        (PayloadError("result", "is a lambda"), Word.NOT_DONE, Word.UNKNOWN, False),
        (asyncio.CancelledError(), Word.UNKNOWN, Word.UNKNOWN, True),
        (KeyboardInterrupt(), Word.UNKNOWN, Word.UNKNOWN, True),
        (SystemExit(1), Word.UNKNOWN, Word.UNKNOWN, True),
    ],
)
def test_an_exception_means(error: BaseException, inside: Word, outside: Word, retry: bool) -> None:
    """Rolled back by us not_done, elsewhere unknown; business words are themselves; an interruption is unknown."""
    for local, word in ((True, inside), (False, outside)):
        reply = reply_to(error, local_transaction=local, refuse_on=(CardDeclinedError,))
        assert (reply.word, reply.retry, reply.cause) == (word, retry, error)


def test_the_reason_is_what_was_said() -> None:
    """A refusal's own words, an error's type and words, an empty business error's name."""

    def say(error: BaseException) -> str:
        return reply_to(error, local_transaction=True, refuse_on=(CardDeclinedError,)).reason

    assert say(Refused("sold out")) == "sold out"
    assert say(ValueError("odd")) == "ValueError: odd"
    assert say(CardDeclinedError()) == "CardDeclinedError"
    assert say(ValueError()) == "ValueError"


def test_what_a_user_names_is_not_retried() -> None:
    """The list is the user's; what can't be encoded stays on it."""
    assert not reply_to(KeyError("k"), local_transaction=True, no_retry=(KeyError,)).retry
    assert reply_to(TypeError("t"), local_transaction=True, no_retry=(KeyError,)).retry
    assert not reply_to(PayloadError("r", "p"), local_transaction=True, no_retry=(KeyError,)).retry


def test_a_reason_can_be_stored_anywhere() -> None:
    """It is cut to its limit, without NUL and lone surrogates, even if the error can't say anything."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("mute")

    assert len(reply_to(ValueError("x" * 9_000), local_transaction=True).reason) == limits.REASON_LENGTH
    odd = reply_to(Refused("a\x00b\ud800"), local_transaction=True).reason
    assert "\x00" not in odd
    assert odd.encode("utf-8")
    assert reply_to(MuteError(), local_transaction=True).reason == "MuteError"
