"""Steps that are done elsewhere: how they are defined, called in each colour, put into graphs, repeated, and checked."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.app.patience import until
from tests.callers.stall import Stall, answers, hangs, raw
from troth import (
    ConfigurationError,
    DefinitionError,
    NeedsAttention,
    Ongoing,
    PayloadError,
    Refused,
    StepFailed,
    Troth,
    WrongColour,
)
from troth.app import http_calls
from troth.app.code_check import check_code
from troth.wire.http import call_of, message_id
from troth.wire.signing import Signer

URL = "http://pay.example/charges"
SECRET, OTHER = "whsec_" + "QUFB" * 10, "whsec_" + "QkJC" * 10


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no http"),
        ("/charges", "no http"),
        ("ftp://pay.example/", "no http"),
        ("http:///charges", "with a host"),
        ("http://pay.example:0/", "with a host"),
        ("http://pay.example:99999/", "no URL"),
        ("http://eve:secret@pay.example/", "credentials"),
        ("http://pay.example/#top", "fragment"),
        ("http://pay.example/#", "fragment"),
        ("http://pay.example/a b", "character"),
        ("http://127.0.0.1\\@pay.example/", "character"),
        ("http://pay.example/\r\nhost: x", "character"),
        ("http://zürich.example/", "character"),
        ("http://[::1/", "no URL"),
        (7, "no URL"),
    ],
)
def test_a_url_is_checked_where_it_is_given(troth: Troth, url: Any, why: str) -> None:
    """At definition, wherever a URL can be given; the error never repeats a password."""
    for options in ({"url": url}, {"url": URL, "compensate": url}, {"url": URL, "check": url}):
        with pytest.raises(DefinitionError, match=why) as raised:
            troth.http("charge", **{"compensate": None, **options})
        assert "step charge" in str(raised.value) and "secret" not in str(raised.value)
    with pytest.raises(DefinitionError, match=why):
        troth.remote(url, "charge")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"retries": 3}, "no option retries="),
        ({"timeout": 0}, "timeout=0 is no time"),
        ({"attempts": 0}, "attempts=0 is no count"),
        ({"role": "main"}, "role='main' is none"),
        ({"headers": {"Host": "x"}}, "Host is set by troth"),
        ({"headers": {"Idempotency-Key": "x"}}, "Idempotency-Key is set by troth"),
        ({"headers": {"X-A\r\nX-B": "x"}}, "no header's name"),
        ({"headers": {"X-A": "x\r\nX-B: y"}}, "the value of X-A"),
        ({"headers": ["X-A"]}, "are none"),
        ({"secret": "hunter2"}, "secret="),
        ({"secret": []}, "secret="),
        ({"result": object}, "result="),
        ({"aliases": "old"}, "aliases="),
    ],
)
def test_a_wrong_option_is_named(troth: Troth, options: dict[str, Any], why: str) -> None:
    """Each error names the step, the option and the cure; a secret is never shown."""
    with pytest.raises(DefinitionError, match=why) as raised:
        troth.http("charge", URL, **{"compensate": None, **options})
    assert "hunter2" not in str(raised.value)


def test_what_undoes_it_is_a_url_too(troth: Troth) -> None:
    """A compensable step without an undo is refused when the node starts, and a function can't be attached."""
    charge = troth.http("charge", URL)
    with pytest.raises(DefinitionError, match="compensate='http"):
        charge.compensate(print)
    with pytest.raises(DefinitionError, match="check='http"):
        charge.check(print)
    with pytest.raises(DefinitionError, match="step charge is compensable"):
        troth.check()
    troth.http("charge", URL, compensate=URL)
    troth.check()
    assert troth.steps.find("charge") is not charge


def test_without_the_library_the_definition_says_what_to_install(troth: Troth, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp is an extra."""
    monkeypatch.setattr(http_calls.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'troth\[http\]'"):
        troth.http("charge", URL)


def test_importing_troth_imports_no_http_client() -> None:
    """Only whoever calls over HTTP pays for it."""
    code = "import troth, sys; troth.Troth('memory://'); print('aiohttp' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


@dataclass
class Paid:
    """What the service answers."""

    amount: Decimal
    at: dt.date


def test_arguments_are_whatever_has_a_json_form_and_the_result_has_its_type(troth: Troth, service: Stall) -> None:
    """Dates, decimals and dataclasses are sent as JSON; ``result=`` says what comes back."""
    url = service.plan("/charge", answers(200, '{"amount": "7.50", "at": "2026-01-02"}'))
    charge = troth.http("charge", url, result=Paid, role="local")
    paid = Paid(Decimal("1.10"), dt.date(2026, 1, 1))
    assert charge(old=paid, n=None, t=(1, 2)) == Paid(Decimal("7.50"), dt.date(2026, 1, 2))
    assert service.asked[0].body == b'{"n":null,"old":{"amount":"1.10","at":"2026-01-01"},"t":[1,2]}'


@pytest.mark.parametrize("value", [float("nan"), object(), 2**70, "a\0b", {1, object()}, "\ud800"])
def test_what_has_no_json_form_is_refused_at_the_door(troth: Troth, value: Any) -> None:
    """Nothing is sent, nothing recorded; the argument is named."""
    charge = troth.http("charge", URL, compensate=None)
    with pytest.raises(PayloadError, match="order"):
        charge(order={"x": value})


def test_arguments_have_names(troth: Troth) -> None:
    """The other side has only names to go by."""
    with pytest.raises(TypeError, match=r"Write e.g. charge\(order_id=…\)"):
        troth.http("pay.charge", URL, compensate=None)("o-1")


def test_an_answer_of_another_type_cancels_the_saga(troth: Troth, service: Stall) -> None:
    """It was done, so it is undone."""
    charge = troth.http("charge", service.plan("/charge", answers(200, '"x"')), compensate=service.url("/refund"), result=int)

    @troth.saga(name="buy")
    def buy(order: str) -> int:
        return charge(order=order)

    outcome = troth.run(buy, "o-1")
    assert (outcome.state, service.paths()) == ("cancelled", ["/charge", "/refund"])
    assert "result=" in outcome.reason


def test_outside_any_saga_it_is_an_ordinary_call(troth: Troth, service: Stall) -> None:
    """No transaction is named; a no is `Refused`, what isn't ready `Ongoing`, and all else `StepFailed`."""
    ping = troth.http("ping", service.url("/ping"), role="local", headers={"Authorization": "Bearer x"}, secret=SECRET)
    service.plan(
        "/ping", answers(200, "1"), answers(200, "2"), answers(200, "3"), answers(409, '{"detail":"no"}'),
        answers(425, retry_after="9"), answers(500), answers(404), raw(b""), answers(200, "4"),
    )  # fmt: skip
    assert (ping(a=1), ping.fn(a=1), asyncio.run(both_loops(ping))) == (1, 2, 3)
    with pytest.raises(Refused, match="no"):
        ping(a=1)
    with pytest.raises(Ongoing) as raised:
        ping(a=1)
    assert raised.value.after == 9.0
    for _ in range(3):
        with pytest.raises(StepFailed, match="ping"):
            ping(a=1)
    first = service.asked[0]
    assert not first.query and not any("troth" in name or "idempotency" in name for name in first.headers)
    assert first.headers["authorization"] == "Bearer x" and "webhook-signature" in first.headers
    with Troth("memory://", outside="refuse") as strict, pytest.raises(DefinitionError, match="outside any saga"):
        strict.http("ping", service.url("/ping"), role="local")(a=1)


async def both_loops(ping: Any) -> Any:
    """An awaited call on a loop that isn't the node's."""
    with pytest.raises(WrongColour, match=r"await ping.aio\(…\)"):
        ping(a=1)
    return await ping.aio(a=1)


def test_it_blocks_in_a_def_and_is_awaited_by_aio(troth: Troth, service: Stall) -> None:
    """The colour is the one of a blocking step, whatever it runs on; the wrong spelling names the right one."""
    charge = troth.http("charge", service.plan("/charge", answers(200, "7")), compensate=None)

    @troth.saga(name="sync")
    def plain(order: str) -> Any:
        with pytest.raises(WrongColour, match=r"Write: charge\(…\)"):
            charge.aio(order=order)
        return charge(order=order)

    @troth.saga(name="async")
    async def awaited(order: str) -> Any:
        with pytest.raises(WrongColour, match=r"await charge.aio\(…\)"):
            charge(order=order)
        return await charge.aio(order=order)

    async def main() -> Any:
        async with troth:
            return await awaited("o-2"), await troth.gather(charge.aio(a=1), charge.aio(a=2))

    with troth:
        assert plain("o-1") == 7
    assert asyncio.run(main()) == (7, [7, 7])


def test_a_graph_gives_its_arguments_by_name(troth: Troth, service: Stall) -> None:
    """References, constants and colliding names; what isn't named isn't sent."""
    service.plan("/book", answers(200, '{"room": {"number": 7}}'))
    book = troth.http("book", service.url("/book"), compensate=service.url("/unbook"), guarded=True)
    charge = troth.http("charge", service.plan("/charge", answers(200, '"r-1"')), compensate=None)
    stay = troth.graph("stay", input=dict[str, str])
    first = stay.step(book, guest=stay.input["guest"], nights=2)
    last = stay.step(charge, role="pivot", room=first.result["room"]["number"], args={"after": first.result, "role": "guest"})
    stay.returns(last.result)
    with troth:
        assert stay({"guest": "Ada", "other": "x"}) == "r-1"
    assert [each.body for each in service.asked] == [
        b'{"guest":"Ada","nights":2}', b'{"after":{"room": {"number": 7}},"role":"guest","room":7}',
    ]  # fmt: skip


def test_a_call_is_signed_over_all_it_says(troth: Troth, service: Stall) -> None:
    """Each request verifies under the new and the old secret; its id is made of what lies outside of its body."""
    charge = troth.http("charge", service.plan("/charge", answers(409)), compensate=None, secret=(OTHER, SECRET))

    @troth.saga(name="buy")
    def buy(order: str) -> Any:
        return charge(order=order)

    troth.run(buy, "o-1")
    (asked,) = service.asked
    stamp = int(asked.headers["webhook-timestamp"])
    for secret in (SECRET, OTHER):
        signed_as = Signer(secret).verify(asked.headers, asked.body, stamp)
        assert signed_as == message_id(call_of("charge", asked.query, asked.headers, asked.body))


def test_a_pivot_elsewhere_in_doubt_is_asked_about(troth: Troth, service: Stall) -> None:
    """A bare pivot that may have happened goes neither way until its check says; with none, a person is asked."""
    book = troth.http("book", service.url("/book"), compensate=service.url("/unbook"))
    charge = troth.http("charge", service.plan("/charge", raw(b"")), role="pivot", attempts=1, interval=0.001)

    @troth.saga(name="buy")
    def buy(order: str) -> Any:
        book(order=order)
        return charge(order=order)

    with pytest.raises(NeedsAttention, match="pivot"):
        buy("o-1")
    assert service.paths() == ["/book", "/charge"]
    check = service.plan("/checks", answers(425, retry_after="0"), answers(409, '{"detail": "never came"}'))
    troth.http("charge", service.url("/charge"), role="pivot", attempts=1, interval=0.001, check=check)
    outcome = troth.run(buy, "o-2")
    assert (outcome.state, outcome.reason) == ("cancelled", "never came")
    assert service.paths()[2:] == ["/book", "/charge", "/checks", "/checks", "/unbook"]


def test_doctor_rehearses_it_without_calling(tmp_path: Path, service: Stall) -> None:
    """Code that calls services is checked against what is open, and no service hears of it."""
    url = f"sqlite:///{tmp_path}/log.db"

    def app(**extra: Any) -> tuple[Troth, Any]:
        troth = Troth(url, drain=0.01)
        book = troth.http("book", service.url("/book"), compensate=service.url("/unbook"))
        charge = troth.http("charge", service.plan("/charge", answers(425, retry_after="300")), compensate=None)

        @troth.saga(name="buy")
        def buy(order: str) -> Any:
            book(order=order, **extra)
            return charge(order=order)

        return troth, buy

    troth, buy = app()
    with troth:
        troth.start(buy, "o-1")
        until(lambda: "/charge" in service.paths(), "the charge is made")
    seen = len(service.asked)
    with Troth(url) as reader:
        store = reader.runtime.store
        assert store is not None
        records = [record for record in store.find() if not record.finished]
    same, _ = app()
    other, _ = app(more=1)
    assert [len(check_code(each, records).problems) for each in (same, other)] == [0, 1]
    assert len(service.asked) == seen


def test_steps_of_one_destination_each_have_their_own_time(troth: Troth, service: Stall) -> None:
    """A call that may take long, made first, doesn't keep a hasty one from ending in its time."""

    async def when_undone(asked: Any, writer: Any) -> None:
        while "/unhasty" not in service.paths():
            await asyncio.sleep(0.002)
        await answers(200, "7")(asked, writer)

    long = troth.http("long", service.plan("/long", when_undone), compensate=None, timeout=25)
    hasty = troth.http("hasty", service.plan("/hasty", hangs), compensate=service.url("/unhasty"), timeout=0.05, attempts=1)

    @troth.saga(name="both")
    async def both(order: str) -> Any:
        slow = long.aio(order=order)
        with pytest.raises(StepFailed, match=r"no answer within 0.05 s"):
            await hasty.aio(order=order)
        return await slow

    async def main() -> Any:
        async with troth:
            return await both("o-1")

    assert asyncio.run(main()) == 7


def test_the_caller_s_trace_goes_along(troth: Troth, service: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenTelemetry would send with a request of the calling code's, a call sends too; on its own, nothing."""
    span = ContextVar("span", default="")
    ping = troth.http("ping", service.plan("/ping", answers(200, "1")), compensate=None)

    @troth.saga(name="traced")
    def traced(order: str) -> Any:
        return ping(order=order)

    with troth:
        traced("o-1")
        propagate = SimpleNamespace(inject=lambda carrier: carrier.update(traceparent=f"00-{span.get()}-01"))
        monkeypatch.setitem(sys.modules, "opentelemetry.propagate", propagate)
        span.set("abc")
        traced("o-2")
    assert [each.headers.get("traceparent") for each in service.asked] == [None, "00-abc-01"]
