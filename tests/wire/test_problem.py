"""Replies as HTTP answers, and answers as replies."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from troth.core.reply import Reply
from troth.core.words import Op, Word
from troth.wire.problem import CONTENT_TYPE, body_of, reply_to, retry_after_of


@pytest.mark.parametrize(
    ("op", "status", "word"),
    [
        (Op.ACTION, 200, Word.DONE),
        (Op.ACTION, 204, Word.DONE),
        (Op.ACTION, 299, Word.DONE),
        (Op.ACTION, 409, Word.REFUSED),
        (Op.SEAL, 410, Word.SEALED),
        (Op.ACTION, 410, Word.CONFLICT),
        (Op.ACTION, 425, Word.ONGOING),
        (Op.ACTION, 429, Word.UNKNOWN),
        (Op.ACTION, 503, Word.UNKNOWN),
        (Op.ACTION, 301, Word.UNKNOWN),
        (Op.ACTION, 304, Word.UNKNOWN),
        (Op.ACTION, 400, Word.CONFLICT),
        (Op.ACTION, 401, Word.CONFLICT),
        (Op.ACTION, 404, Word.CONFLICT),
        (Op.ACTION, 422, Word.CONFLICT),
        (Op.ACTION, 500, Word.UNKNOWN),
        (Op.ACTION, 502, Word.UNKNOWN),
        (Op.ACTION, 599, Word.UNKNOWN),
        (Op.ACTION, 100, Word.UNKNOWN),
        (Op.ACTION, 999, Word.UNKNOWN),
    ],
)
def test_the_status_alone_says_which_reply_it_is(op: Op, status: int, word: Word) -> None:
    """Whatever the body says, the status decides."""
    for body in (b"", b'{"result":"FAILURE"}', b"FAILURE", b"\xff\xfe", b'{"detail":"SUCCESS"}'):
        assert reply_to(op, status, body, content_type="application/json").word is word


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"", b"null"),
        (b"null", b"null"),
        (b' {"a": [1]} ', b' {"a": [1]} '),
        (b'{\r\n  "a": "x\\n",\n\t"b": 1.50\n}\n', b'{"a":"x\\n","b":1.50}'),
        (b"FAILURE", b"null"),
        (b"\xff", b"null"),
        (b"NaN", b"null"),
        (b"[" * 60_000, b"null"),
        (b'{"a":1}{"b":2}', b"null"),
    ],
)
def test_a_success_keeps_its_json_and_nothing_else(body: bytes, result: bytes) -> None:
    """A success whose body is no JSON is a success all the same: its result is None."""
    assert bytes(reply_to(Op.ACTION, 200, body).result) == result


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (CONTENT_TYPE, b'{"title":"Conflict","detail":"sold out"}', "sold out"),
        ("application/json; charset=utf-8", b'{"detail":"sold  \\n out"}', "sold out"),
        ("application/json", b'{"title":"No stock"}', "No stock"),
        ("application/json", b'{"detail":[{"loc":[]}]}', "409 Conflict"),
        ("application/json", b"{", "409 Conflict"),
        ("text/plain", b" card declined\n", "card declined"),
        ("text/html", b"<h1>Conflict</h1>", "409 Conflict"),
        ("", b"whatever", "409 Conflict"),
    ],
)
def test_a_refusal_says_why_in_words_that_can_be_shown(kind: str, body: bytes, reason: str) -> None:
    """The problem's detail, a plain text, or the status in words; never a page of HTML."""
    assert reply_to(Op.ACTION, 409, body, content_type=kind).reason == reason


def test_a_long_reason_is_cut() -> None:
    """A reason is kept at its limit."""
    assert len(reply_to(Op.ACTION, 409, b"x" * 60_000, content_type="text/plain").reason) == 1000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("99999999999999", 300.0),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
        ("soon", None),
        ("-5", None),
        ("1.5", 1.5),
        ("1e3", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(value: str, seconds: float | None) -> None:
    """Both forms of RFC 9110 are understood; nobody can ask to be left alone for longer than the limit."""
    for status in (425, 429, 503):
        assert reply_to(Op.ACTION, status, b"", retry_after=value, now=1000.0).after == seconds
    assert reply_to(Op.ACTION, 500, b"", retry_after=value, now=1000.0).after is None


@pytest.mark.parametrize("word", [word for word in Word if word is not Word.NOT_DONE])
def test_what_a_participant_of_ours_answers_is_understood(word: Word) -> None:
    """Each reply crosses the line as itself, with its reason; "not done" can't be said and arrives as unknown."""
    reply = Reply(word, Raw(b"1") if word is Word.DONE else Raw(b"null"), "because", 3.0 if word is Word.ONGOING else None)
    status, kind, body = body_of(reply)
    heard = reply_to(Op.SEAL, status, body, content_type=kind, retry_after=retry_after_of(reply))
    assert heard.word is word
    assert heard.result == reply.result
    assert heard.after == reply.after
    assert word is Word.DONE or "because" in heard.reason
    if word is not Word.DONE:
        said = msgspec.json.decode(body)
        assert said["status"] == status and said["detail"] == "because" and said["reply"] == word.value


def test_not_done_arrives_as_unknown() -> None:
    """Nobody can tell a rolled-back effect from a lost one by the status."""
    assert reply_to(Op.ACTION, body_of(Reply(Word.NOT_DONE, reason="x"))[0], b"").word is Word.UNKNOWN


def test_an_unknown_with_a_time_is_503() -> None:
    """Where a participant knows when to come back, it says so in a way that is honoured."""
    reply = Reply(Word.UNKNOWN, reason="busy", after=1.2)
    assert body_of(reply)[0] == 503 and retry_after_of(reply) == "2"
