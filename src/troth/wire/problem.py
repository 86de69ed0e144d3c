"""Replies as HTTP answers, and answers as replies. The status alone counts; a problem document (RFC 9457) says why.

| status | reply |
|---|---|
| 2xx | done; the body is the result |
| 409 Conflict | refused; the problem's ``detail`` is the reason |
| 410 Gone, to ``seal`` only | sealed: it had not happened and never will |
| 425 Too Early | ongoing; ``Retry-After`` |
| 429, 503 | unknown; ``Retry-After`` |
| any other 4xx | conflict: unknown, and somebody is told at once that a side is configured wrongly |
| anything else | unknown |

"Not done" has no status: that nothing happened is known only to who didn't get through.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Raw

from troth.core import limits
from troth.core.reply import NULL, Reply
from troth.core.words import Op, Word
from troth.wire.reason import shortened

CONTENT_TYPE: Final = "application/problem+json"
STATUS: Final = {
    Word.DONE: 200, Word.REFUSED: 409, Word.SEALED: 410, Word.ONGOING: 425, Word.CONFLICT: 422, Word.NOT_DONE: 500,
    Word.UNKNOWN: 500,
}
"""How a participant of ours answers; unknown with a time to come back is 503."""


class Problem(msgspec.Struct, omit_defaults=True):
    """A problem document (RFC 9457, section 3.1).

    :param title: the status in words, as ``about:blank`` demands.
    :param detail: why, for people.
    :param reply: the reply's word, beyond the standard: for logs; the status is what counts.
    """

    status: int
    title: str
    detail: str = ""
    type: str = "about:blank"
    reply: str = ""


class _Detail(msgspec.Struct):
    detail: str = ""
    title: str = ""


_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Detail).decode
_any_json = msgspec.json.Decoder().decode


def problem(status: int, detail: str, reply: str = "") -> bytes:
    """An encoded problem document."""
    return _encode(Problem(status, _title(status), shortened(detail), reply=reply))


def status_of(reply: Reply) -> int:
    """The status a participant answers a reply with."""
    if reply.word is Word.UNKNOWN and reply.after is not None:
        return 503
    return STATUS[reply.word]


def body_of(reply: Reply) -> tuple[int, str, bytes]:
    """(status, content type, body) a participant answers a reply with; ``retry_after`` goes with 425 and 503."""
    status = status_of(reply)
    if status == 200:
        return status, "application/json", bytes(reply.result)
    return status, CONTENT_TYPE, problem(status, reply.reason, reply.word.value)


def retry_after_of(reply: Reply) -> str:
    """The value of ``Retry-After``, whole seconds rounded up; "" if nothing is to be said."""
    return "" if reply.after is None else str(max(0, -int(-reply.after // 1)))


def reply_to(
    op: Op, status: int, body: Raw | bytes, *, content_type: str = "", retry_after: str | float = "", now: float = 0.0
) -> Reply:
    """The reply that an answer stands for.

    :param body: whole; what was longer than the limit is not an answer and doesn't come here.
    :param retry_after: seconds, or an HTTP date (RFC 9110, 10.2.3).
    :param now: seconds since 1970, for such a date.
    """
    if 200 <= status < 300:
        return Reply(Word.DONE, result_of(body))
    reason = reason_of(status, body, content_type)
    after = seconds_of(str(retry_after), now) if retry_after != "" else None
    if status == 409:
        return Reply(Word.REFUSED, reason=reason)
    if status == 410 and op is Op.SEAL:
        return Reply(Word.SEALED, reason=reason)
    if status == 425:
        return Reply(Word.ONGOING, reason=reason, after=after)
    if 400 <= status < 500 and status != 429:
        return Reply(Word.CONFLICT, reason=_numbered(status, reason))
    return Reply(Word.UNKNOWN, reason=_numbered(status, reason), after=after if status in (429, 503) else None)


def result_of(body: Raw | bytes) -> Raw:
    """The result in the body of a success: what it says if it is JSON, else None. It never makes a success something else."""
    data = bytes(body)
    if not data:
        return NULL
    try:
        _any_json(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NULL
    if b"\n" in data or b"\r" in data:  # it goes on into headers, and into lines of batches
        data = msgspec.json.format(data, indent=-1)
    return Raw(data)


def reason_of(status: int, body: Raw | bytes, content_type: str) -> str:
    """Why, in words that can be shown: a problem's detail, a short plain text, else the status in words."""
    kind = content_type.partition(";")[0].strip().lower()
    data = bytes(body)
    if kind.endswith("json"):
        try:
            found = _decode(data)
            said = found.detail or found.title
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = ""
    elif kind == "text/plain":
        said = data.decode("utf-8", "replace")
    else:
        said = ""
    said = " ".join(said.split())
    return shortened(said) if said else f"{status} {_title(status)}".strip()


def seconds_of(retry_after: str, now: float) -> float | None:
    """The seconds that ``Retry-After`` says, at most `limits.ONGOING_CAP`; None if it says nothing."""
    text = retry_after.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), limits.ONGOING_CAP)
    try:
        when = parsedate_to_datetime(text)
        wanted = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(wanted, 0.0), limits.ONGOING_CAP)


def _numbered(status: int, reason: str) -> str:
    return reason if reason.startswith(str(status)) else shortened(f"{status}: {reason}")


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
