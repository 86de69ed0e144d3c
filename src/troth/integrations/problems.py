"""What a web request is answered when its transaction was: one table for every framework.

| raised | status | |
|---|---|---|
| `Cancelled`, `Refused` | 409 | ``detail`` is the reason, as the customer may read it |
| `AlreadyBegun` | 409 | ``outcome``, where it is known |
| `GidConflict` | 422 | the caller's own fault: a gid used for something else |
| `NeedsAttention` | 424 | neither a yes nor a no; a person looks at it |
| `NotAccepted` | 503 | ``Retry-After``; nothing was written |
| `InDoubt`, `StoreError` | 503 | ``Retry-After``; ask again with the same gid |
| `UnknownTransaction` | 404 | |
| `PayloadError`, `LimitExceeded` | 400 | the field is named |

Whatever else is a fault of the program and stays one. The body is a problem document (RFC 9457).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec

from troth.ports.errors import (
    AlreadyBegun,
    Cancelled,
    GidConflict,
    InDoubt,
    LimitExceeded,
    NeedsAttention,
    NotAccepted,
    PayloadError,
    Refused,
    StoreError,
    TrothError,
    UnknownTransaction,
)
from troth.wire.problem import CONTENT_TYPE

TYPE: Final = "urn:troth:problem:"
"""What the ``type`` of each problem begins with; the rest is the error's name in lower case, parted by ``_``."""
RETRY_AFTER: Final = 1.0
"""Seconds until the same request makes sense again, where the error doesn't say."""

Members = dict[str, Any]


class ProblemAnswer(NamedTuple):
    """An answer, for whichever framework.

    :param headers: the content type included.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def problem_of(error: TrothError) -> ProblemAnswer | None:
    """The answer to a request that ended in an error of troth's; None for one that is a fault of the program."""
    found = next((row for row in TABLE if isinstance(error, row[0])), None)
    if found is None:
        return None
    kind, status, detail = found
    members: Members = {
        "type": TYPE + _snake(kind.__name__), "title": HTTPStatus(status).phrase, "status": status, "detail": detail(error)
    }
    for name in ("gid", "step", "outcome", "field"):
        value = getattr(error, name, None)
        if value is not None:
            members[name] = value
    headers = {"content-type": CONTENT_TYPE}
    if status == 503:
        headers["retry-after"] = str(math.ceil(getattr(error, "retry_after", RETRY_AFTER)))
    return ProblemAnswer(status, headers, msgspec.json.encode(members))


def _reason(error: Any) -> str:
    return str(error.reason)


def _attention(error: Any) -> str:
    return f"{error.gid} is neither done nor undone yet; a person has been asked to look at it"


def _store(_: Any) -> str:
    return "the transaction log can't be used at the moment. Ask again with the same gid: it begins at most once"


TABLE: Final[tuple[tuple[type[TrothError], int, Callable[[Any], str]], ...]] = (
    (Cancelled, 409, _reason),
    (Refused, 409, _reason),
    (AlreadyBegun, 409, str),
    (GidConflict, 422, str),
    (NeedsAttention, 424, _attention),
    (NotAccepted, 503, str),
    (InDoubt, 503, _store),
    (StoreError, 503, _store),
    (UnknownTransaction, 404, str),
    (PayloadError, 400, str),
    (LimitExceeded, 400, str),
)
"""(error, status, what its ``detail`` says)."""
ANSWERED: Final = tuple(kind for kind, _, _ in TABLE)
"""The errors that have an answer of their own."""


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
