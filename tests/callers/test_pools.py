"""Connections: whose answer is whose, what the environment may say, what is left open, and a destination that is down."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from msgspec import Raw

from tests.app.patience import auntil, until
from tests.callers.stall import Asked, Stall, Writer, answers, hangs, raw
from troth import Troth
from troth.adapters.callers.breaker import Breaker
from troth.adapters.callers.http import HttpCaller, Target
from troth.core import limits
from troth.core.words import Op, Word
from troth.ports.caller import Call

SECOND = 1_000_000


class Time:
    """A clock that is set by hand, in microseconds."""

    def __init__(self) -> None:
        self.now = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now


def a_call(number: int, timeout: float = 10.0) -> Call:
    """One of many."""
    args = Raw(b'{"n":%d}' % number)
    return Call(bytes(16), "g", "0/x#1", Op.ACTION, "x", number, args, None, 1, 0, "log", timeout)


async def echo(asked: Asked, writer: Writer) -> None:
    """Answers what it was sent, a little later, in two pieces."""
    await asyncio.sleep(0.002)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(asked.body))
    await writer.drain()
    await asyncio.sleep(0.002)
    writer.write(asked.body)


def test_cancellation_never_mixes_answers_up(service: Stall) -> None:
    """A call is cancelled after each number of turns of the loop; what comes after it is answered what it asked itself."""
    url = service.plan("/echo", echo)

    async def main() -> None:
        caller = HttpCaller(Time(), lambda: 0.0)
        target = Target({Op.ACTION: url}, 10.0)
        whole = 0
        for turns in range(60):
            first = asyncio.create_task(caller.call(target, a_call(turns)))
            for _ in range(turns):
                await asyncio.sleep(0 if turns < 20 else 0.0005)
            whole += first.done()
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            replies = await asyncio.gather(*[caller.call(target, a_call(1000 + turns + n)) for n in range(2)])
            assert [bytes(reply.result) for reply in replies] == [b'{"n":%d}' % (1000 + turns + n) for n in range(2)]
        assert 0 < whole < 60
        await caller.close()

    asyncio.run(main())


def test_connections_are_kept_and_closed_with_the_node(service: Stall, troth: Troth) -> None:
    """Calls one after the other share a connection; when the node is gone, so are its connections."""
    ping = troth.http("ping", service.url("/ping"), role="local")
    with troth:
        for _ in range(5):
            ping(a=1)
        assert service.connections == 1
    until(lambda: service.open == 0, "the connection is closed")
    ping(a=1)
    assert service.connections == 2


def test_no_descriptor_is_left_behind(service: Stall) -> None:
    """After every kind of ending, a closed caller leaves no descriptor open."""
    count = lambda: len(list(Path("/proc/self/fd").iterdir()))  # noqa: E731
    service.plan("/hangs", hangs)
    service.plan("/breaks", raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"))
    service.plan("/huge", answers(200, "x" * 100_000))

    async def main() -> None:
        before = count()
        caller = HttpCaller(Time(), lambda: 0.0)
        for path in ("/fine", "/hangs", "/breaks", "/huge", "/fine"):
            target = Target({Op.ACTION: service.url(path)}, 0.05)
            await asyncio.gather(*[caller.call(target, a_call(n, 0.05)) for n in range(4)])
        await caller.close()
        await auntil(lambda: count() <= before, "all descriptors are closed")

    asyncio.run(main())


def test_the_environment_has_no_say(service: Stall, troth: Troth, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Proxies and netrc files are for browsers: a call goes where it says, as it says."""
    host_port = service.url("").removeprefix("http://")
    (tmp_path / "netrc").write_text(f"machine {host_port.partition(':')[0]} login eve password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, service.url("/proxy"))
    with Troth("memory://") as other:
        assert other.http("ping", service.plan("/ping", answers(200, "1")), role="local")(a=1) == 1
    assert service.paths() == ["/ping"]
    assert "authorization" not in service.asked[0].headers


def test_a_destination_that_is_down_is_left_alone_then_tried_by_one(service: Stall) -> None:
    """After five calls without an answer the next aren't made, for free; when the pause is over one goes through, and its
    answer lets all others in.
    """
    url, time = service.plan("/x", raw(b"")), Time()

    async def main() -> None:
        caller = HttpCaller(time, lambda: 0.0)
        target = Target({Op.ACTION: url}, 10.0)
        for n in range(limits.CIRCUIT_FAILURES):
            assert (await caller.call(target, a_call(n))).word is Word.UNKNOWN
        reply = await caller.call(target, a_call(9))
        assert (reply.word, reply.free, reply.after) == (Word.NOT_DONE, True, limits.CIRCUIT_SECONDS)
        other = Target({Op.ACTION: url.replace("127.0.0.1", "localhost")}, 10.0)
        assert (await caller.call(other, a_call(9))).free is False
        assert len(service.asked) == limits.CIRCUIT_FAILURES + 1
        time.now += int(limits.CIRCUIT_SECONDS * SECOND)
        assert [(await caller.call(target, a_call(n))).free for n in range(3)] == [False, True, True]
        service.plan("/x", answers(500))
        time.now += int(3 * SECOND)
        assert [(await caller.call(target, a_call(n))).word for n in range(3)] == [Word.UNKNOWN] * 3
        assert len(service.asked) == limits.CIRCUIT_FAILURES + 5
        time.now += int(limits.OUTAGE_SECONDS * SECOND)
        await caller.close()

    asyncio.run(main())


def test_a_saga_waits_for_a_destination_that_is_down(service: Stall, troth: Troth) -> None:
    """A step that may be called once is still called once when its destination is back, whatever happened meanwhile."""
    pay = troth.http("pay", service.plan("/pay", answers(200, "7")), compensate=None, attempts=1)
    caller = troth.http_caller()
    breaker = caller.breakers[service.url("")] = Breaker()
    for _ in range(limits.CIRCUIT_FAILURES):
        breaker.failed(caller.now(), 0.99)
    assert breaker.opened

    @troth.saga(name="buy")
    def buy(order: str) -> int:
        return int(pay(order=order))

    outcome = troth.run(buy, "o-1")
    assert (outcome.state, outcome.result, breaker.opened) == ("confirmed", 7, 0)
    assert service.paths() == ["/pay"]
    assert service.asked[0].headers["troth-attempt"] != "1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_opens_connections_of_its_own(service: Stall, troth: Troth) -> None:
    """What a child inherits it never uses: the parent's next answer is the parent's."""
    ping = troth.http("ping", service.plan("/ping", echo), role="local")
    assert ping(n=1) == {"n": 1}
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(ping(n=2)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    assert os.read(reader, 100) == b"{'n': 2}"
    os.close(reader)
    os.waitpid(child, 0)
    assert ping(n=3) == {"n": 3}
    assert [each.connection for each in service.asked] == [1, 2, 1]
