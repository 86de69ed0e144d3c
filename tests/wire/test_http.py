"""A call as an HTTP request, alone or as one line of many."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from msgspec import Raw

from troth.core.words import Op
from troth.ports.caller import Call
from troth.ports.errors import PayloadError
from troth.wire import http


def call(**changes: Any) -> Call:
    """A call like most."""
    made = Call(
        uid=bytes(range(16)),
        gid="order-1",
        branch="0/shop.charge#1",
        op=Op.ACTION,
        name="charge",
        attempt=2,
        args=Raw(b'{"order_id":"o-1","amount":700}'),
        result=None,
        begun=1_700_000_000_000_000,
        low_water=1_699_999_999_000_000,
        log="0123456789abcdef0123456789abcdef",
        timeout=5.0,
    )
    return made._replace(**changes)


CALLS = [
    call(),
    call(op=Op.COMPENSATE, result=Raw(b'{"paid":true}')),
    call(op=Op.CONFIRM, result=Raw('"zwölf 🍏 Äpfel"'.encode())),
    call(branch="1.0/Größe %41 & mehr#2", gid="a:b_c-d.e"),
    call(op=Op.SEAL, args=Raw(b"{}"), low_water=0, attempt=1),
]


@pytest.mark.parametrize("sent", CALLS, ids=range(len(CALLS)))
def test_a_request_carries_its_call_whole(sent: Call) -> None:
    """What is sent is what is read; every header is plain ASCII on one line."""
    parts = http.parts_of(sent)
    assert all(value.isascii() and value.isprintable() for value in parts.headers.values())
    assert parts.query.isascii() and "#" not in parts.query and " " not in parts.query
    heard = http.call_of("charge", dict(parse_qsl(parts.query)), parts.headers, parts.body, timeout=5.0)
    assert http.message_id(heard) == http.message_id(sent)
    if sent.result is not None:
        assert heard.result is not None
        assert msgspec.json.decode(heard.result) == msgspec.json.decode(sent.result)
    assert heard._replace(result=None) == sent._replace(result=None)


@pytest.mark.parametrize("sent", CALLS, ids=range(len(CALLS)))
def test_a_line_carries_its_call_whole(sent: Call) -> None:
    """One line is one call."""
    line = http.call_line(7, "steps/charge", sent, {"traceparent": "00-1-2-00"})
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    read = http.read_call_line(line)
    assert (read.n, read.path, read.headers) == (7, "steps/charge", {"traceparent": "00-1-2-00"})
    assert http.call_of_line(read, "charge", 5.0) == sent


def test_the_query_says_what_participants_in_other_languages_look_at() -> None:
    """The four names of the query are the published ones."""
    query = dict(parse_qsl(http.parts_of(call(op=Op.TRY)).query))
    assert query == {"gid": "order-1", "branch_id": "0/shop.charge#1", "op": "try", "trans_type": "tcc"}
    headers = http.parts_of(call()).headers
    assert headers["idempotency-key"] == "000102030405060708090a0b0c0d0e0f/0/shop.charge#1/action"


def test_a_long_result_stays_at_home() -> None:
    """Headers are small: the participant's barrier has what doesn't fit."""
    assert http.RESULT in http.parts_of(call(op=Op.COMPENSATE, result=Raw(b'"' + b"x" * 2000 + b'"'))).headers
    assert http.RESULT not in http.parts_of(call(op=Op.COMPENSATE, result=Raw(b'"' + b"x" * 2050 + b'"'))).headers
    assert http.RESULT not in http.parts_of(call(op=Op.COMPENSATE, result=Raw('"{}"'.format("ä" * 1000).encode()))).headers


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("query", "gid", "../x"),
        ("query", "gid", ""),
        ("query", "branch_id", "x" * 300),
        ("query", "branch_id", "0/other#1"),
        ("query", "op", "drop"),
        ("query", "op", "compensate"),
        ("headers", http.KEY, "00/0/shop.charge#1/action"),
        ("headers", http.KEY, ""),
        ("headers", http.BEGUN, "yesterday"),
        ("headers", http.BEGUN, "9" * 19),
        ("headers", http.LOW_WATER, "-1"),
        ("headers", http.LOG, ""),
        ("headers", http.ATTEMPT, "one"),
        ("headers", http.RESULT, "{"),
        ("body", "body", "[]"),
        ("body", "body", ""),
        ("body", "body", "{" * 2000),
        ("body", "body", '{"a":"' + "x" * (1 << 20) + '"}'),
    ],
)
def test_what_is_no_call_is_refused_by_name(where: str, name: str, value: str) -> None:
    """The first thing that is wrong is named; nothing is guessed."""
    parts = http.parts_of(call())
    query, headers, body = dict(parse_qsl(parts.query)), dict(parts.headers), parts.body
    if where == "query":
        query[name] = value
    elif where == "headers":
        headers[name] = value
    else:
        body = value.encode()
    with pytest.raises(PayloadError) as raised:
        http.call_of("charge", query, headers, body)
    assert raised.value.field in (name, http.KEY)


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"{" * 100_000, b'{"n":"1"}', b"\xff"])
def test_what_is_no_line_is_refused(line: bytes) -> None:
    """A line that can't be read is named as such, on both sides."""
    with pytest.raises(PayloadError, match="batch line"):
        http.read_call_line(line)
    with pytest.raises(PayloadError, match="batch answer"):
        http.read_answer_line(line)


def test_an_answer_is_one_line() -> None:
    """The number, the status and the body come back; a time only where there is one."""
    read = http.read_answer_line(http.answer_line(3, 425, b"", 1.5))
    assert (read.n, read.status, bytes(read.body), read.retry_after) == (3, 425, b"null", 1.5)
    assert http.answer_line(1, 200, b'{"a":1}') == b'{"n":1,"status":200,"body":{"a":1}}\n'


def test_the_signed_name_of_a_request_holds_all_that_is_outside_of_its_body() -> None:
    """Changing a mark, the op or the result changes what was signed; another attempt doesn't."""
    name = http.message_id(call())
    assert "." not in name
    assert http.message_id(call(attempt=9)) == name
    for change in (
        {"gid": "order-2"}, {"op": Op.COMPENSATE}, {"low_water": 1}, {"begun": 1}, {"log": "x"}, {"result": Raw(b"1")},
    ):  # fmt: skip
        assert http.message_id(call(**change)) != name
