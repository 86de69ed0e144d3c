"""Services that know nothing of troth, driven right: a whole saga goes through each, and what the service saw is compared."""

from __future__ import annotations

import gzip
import socket
from typing import Any

import pytest

from tests.app.patience import until
from tests.callers.stall import Act, Stall, answers, drips, hangs, raw
from troth import Outcome, Troth
from troth.app.http_step import HttpStep

DONE = answers(200, "null")
OK = b"HTTP/1.1 200 OK\r\n"


def run(troth: Troth, service: Stall, *acts: Act, guarded: bool = False, timeout: float = 5.0, **more: Any) -> Outcome[Any]:
    """A saga that books, then charges as the acts say, each with a compensation; what became of it."""
    book = troth.http("book", service.url("/book"), compensate=service.url("/unbook"), interval=0.001)
    charge = troth.http(
        "charge", service.plan("/charge", *acts), compensate=service.url("/refund"), guarded=guarded, timeout=timeout,
        interval=0.001, **{"attempts": 2, **more},
    )  # fmt: skip
    return troth.run(two_steps(troth, book, charge), "o-1")


def two_steps(troth: Troth, book: HttpStep[Any], charge: HttpStep[Any]) -> Any:
    """The saga."""

    @troth.saga(name="buy")
    def buy(order: str) -> Any:
        book(order=order)
        return charge(order=order)

    return buy


@pytest.mark.parametrize(
    ("body", "kind", "result"),
    [
        ('{"result": "FAILURE", "error": true}', "application/json", {"result": "FAILURE", "error": True}),
        ("FAILURE: ROLLBACK, refused, 409", "text/plain", None),
        ('"ONGOING"', "application/json", "ONGOING"),
        ("", "application/json", None),
        (b"\xff\xfe\x00", "application/octet-stream", None),
        ("[" * 50_000, "application/json", None),
    ],
)
def test_a_success_is_one_whatever_it_says(troth: Troth, service: Stall, body: Any, kind: str, result: Any) -> None:
    """The status alone counts; a body that is no JSON is the result None."""
    outcome = run(troth, service, answers(200, body, kind=kind))
    assert (outcome.state, outcome.result) == ("confirmed", result)
    assert service.paths() == ["/book", "/charge"]


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_every_2xx_is_done(troth: Troth, service: Stall, status: int) -> None:
    """Which success it is says nothing."""
    assert run(troth, service, answers(status)).state == "confirmed"


def test_409_is_a_no_with_its_reason(troth: Troth, service: Stall) -> None:
    """Refused: nothing is owed for the step, and what was done before is undone. The reason is the problem's detail."""
    outcome = run(troth, service, answers(409, '{"detail":"card declined"}', kind="application/problem+json"))
    assert (outcome.state, outcome.reason) == ("cancelled", "card declined")
    assert service.paths() == ["/book", "/charge", "/unbook"]


@pytest.mark.parametrize("status", [500, 502, 503, 429, 301, 304, 999])
def test_what_is_neither_yes_nor_no_is_unknown(troth: Troth, service: Stall, status: int) -> None:
    """Asked again as often as it may be; then it may have happened, so it is undone too."""
    outcome = run(troth, service, answers(status, "<h1>no idea</h1>", kind="text/html", location="/elsewhere", retry_after="0"))
    assert outcome.state == "cancelled"
    assert service.paths() == ["/book", "/charge", "/charge", "/refund", "/unbook"]


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_any_other_4xx_is_told_at_once(troth: Troth, service: Stall, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody has configured something wrongly: unknown, as above, and every one is an alert."""
    outcome = run(troth, service, answers(status))
    assert outcome.state == "cancelled"
    assert service.paths() == ["/book", "/charge", "/charge", "/refund", "/unbook"]
    assert sum("misconfigured" in record.message for record in caplog.records) == 2
    assert str(status) in caplog.text


def test_425_is_asked_again_until_it_is_ready(troth: Troth, service: Stall) -> None:
    """Ongoing uses up no attempt; the same call is made again, with the same key and body."""
    slow = answers(425, retry_after="0")
    outcome = run(troth, service, slow, slow, slow, slow, answers(200, "7"))
    assert (outcome.state, outcome.result) == ("confirmed", 7)
    charges = [each for each in service.asked if each.path == "/charge"]
    assert len(charges) == 5
    assert len({(each.headers["idempotency-key"], each.body) for each in charges}) == 1
    assert [each.headers["troth-attempt"] for each in charges] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    "act",
    [
        raw(b""),
        raw(b"HTTP/1.1 2"),
        raw(OK + b"content-length: 4\r\n\r\nnu"),
        raw(OK + b"transfer-encoding: chunked\r\n\r\n2\r\nnu\r\n"),
        raw(b"SSH-2.0-OpenSSH_9\r\n"),
        raw(OK + b"content-length: x\r\n\r\nnull"),
        raw(OK + b"x: " + b"y" * 100_000 + b"\r\n\r\n"),
        raw(b"\x00" * 1000),
    ],
    ids=["closed", "in the status", "in the body", "in a chunk", "no HTTP", "no length", "a huge header", "nonsense"],
)
def test_an_answer_that_breaks_off_is_none(troth: Troth, service: Stall, act: Act) -> None:
    """Whatever was said before it broke off: it may have happened. Then the service is itself again, and the saga goes on."""
    outcome = run(troth, service, act, answers(200, "7"))
    assert (outcome.state, outcome.result) == ("confirmed", 7)
    assert service.paths() == ["/book", "/charge", "/charge"]


@pytest.mark.parametrize("act", [hangs, drips], ids=["silent", "a byte now and then"])
def test_a_slow_answer_ends_at_the_deadline(troth: Troth, service: Stall, act: Act) -> None:
    """The whole answer has one deadline, however little by little it comes; its connection is closed."""
    outcome = run(troth, service, act, timeout=0.1)
    assert outcome.state == "cancelled"
    assert outcome.reason.endswith("no answer within 0.1 s")
    assert service.paths() == ["/book", "/charge", "/charge", "/refund", "/unbook"]
    until(lambda: service.open <= 1, "the slow connections are closed")


@pytest.mark.parametrize(
    "act",
    [
        answers(200, b'"' + b"x" * 70_000 + b'"'),
        raw(OK + b"\r\n", *[b"x" * 10_000] * 100),
        raw(OK + b"transfer-encoding: chunked\r\n\r\n", *[b"2710\r\n" + b"x" * 10_000 + b"\r\n"] * 100),
        raw(OK + b"content-length: 99999999999\r\n\r\n"),
    ],
    ids=["a length", "until it closes", "chunks", "a claim"],
)
def test_a_huge_answer_is_none(troth: Troth, service: Stall, act: Act) -> None:
    """More than 64 KiB is not read: unknown."""
    outcome = run(troth, service, act, attempts=1)
    assert (outcome.state, "ANSWER_BYTES" in outcome.reason) == ("cancelled", True)
    assert service.paths() == ["/book", "/charge", "/refund", "/unbook"]


def test_a_compressed_bomb_stays_packed(troth: Troth, service: Stall) -> None:
    """Nothing is unpacked: a success that insists on being packed is a success without a result."""
    outcome = run(troth, service, answers(200, gzip.compress(b" " * 10_000_000 + b"1"), content_encoding="gzip"))
    assert (outcome.state, outcome.result) == ("confirmed", None)
    assert service.asked[0].headers["accept-encoding"] == "identity"


def test_no_redirect_is_followed(troth: Troth, service: Stall) -> None:
    """Where an answer points to is never gone to, and its cookies are forgotten."""
    outcome = run(troth, service, answers(307, location=service.url("/elsewhere"), set_cookie="a=b"), attempts=1)
    assert outcome.state == "cancelled"
    assert service.paths() == ["/book", "/charge", "/refund", "/unbook"]
    assert not any("cookie" in each.headers for each in service.asked)


def test_a_service_that_does_not_listen_did_nothing(troth: Troth, service: Stall) -> None:
    """A refused connection is the one thing that says that nothing happened: nothing is undone for it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}/charge"
        book = troth.http("book", service.url("/book"), compensate=service.url("/unbook"))
        charge = troth.http("charge", gone, compensate=service.url("/refund"), attempts=2, interval=0.001)
        outcome = troth.run(two_steps(troth, book, charge), "o-1")
    assert (outcome.state, outcome.branches[1].fate) == ("cancelled", "not_done")
    assert service.paths() == ["/book", "/unbook"]


def test_a_name_that_nobody_has_did_nothing(troth: Troth, service: Stall) -> None:
    """Nor can a host that isn't found have done anything."""
    book = troth.http("book", service.url("/book"), compensate=service.url("/unbook"))
    charge = troth.http("charge", "http://nowhere.invalid/charge", compensate=service.url("/refund"), attempts=1)
    outcome = troth.run(two_steps(troth, book, charge), "o-1")
    assert (outcome.state, outcome.branches[1].fate) == ("cancelled", "not_done")
    assert service.paths() == ["/book", "/unbook"]


def test_a_connection_closed_behind_our_back_costs_one_try(troth: Troth, service: Stall) -> None:
    """A kept connection that the service closes without a word is no answer: unknown, and the retry rule decides."""
    outcome = run(troth, service, raw(b""), answers(200, "7"))
    assert (outcome.state, outcome.result) == ("confirmed", 7)
    first, second, third = service.asked
    assert (first.connection, second.connection, third.connection) == (1, 1, 2)


def test_a_bare_step_is_asked_about_before_it_is_repeated(troth: Troth, service: Stall) -> None:
    """With `check=` a step that may have happened is not called again to find out."""
    check = service.plan("/checks", answers(200, '{"paid": 7}'))
    outcome = run(troth, service, raw(b""), check=check)
    assert (outcome.state, outcome.result) == ("confirmed", {"paid": 7})
    assert service.paths() == ["/book", "/charge", "/checks"]
    assert service.asked[-1].query["op"] == "check"


def test_a_compensation_has_the_arguments_and_the_result(troth: Troth, service: Stall) -> None:
    """An undo gets the bytes that the action got, and what it answered; its key is its own."""
    service.plan("/book", answers(200, '{"room": "Zürich"}'))
    run(troth, service, answers(409))
    book, _, undo = service.asked
    assert (undo.body, undo.query["op"], undo.query["branch_id"]) == (book.body, "compensate", book.query["branch_id"])
    assert undo.headers["troth-result"] == '{"room": "Z\\u00fcrich"}'
    assert book.headers["idempotency-key"].removesuffix("action") == undo.headers["idempotency-key"].removesuffix("compensate")


def test_an_undo_that_fails_is_repeated_until_it_is_done(troth: Troth, service: Stall) -> None:
    """After the decision there is only one direction, whatever the service says."""
    service.plan("/unbook", answers(500), answers(409), answers(404), raw(b""), DONE)
    outcome = run(troth, service, answers(409))
    assert outcome.state == "cancelled"
    assert service.paths() == ["/book", "/charge"] + ["/unbook"] * 5
