"""Many calls in one request: offered and withdrawn, answered as they end, each with its own deadline."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from msgspec import Raw

from tests.app.patience import auntil
from tests.callers.stall import Act, Asked, Stall, Writer, answers, raw
from troth.adapters.callers.http import HttpCaller, Target
from troth.core import limits
from troth.core.reply import Reply
from troth.core.words import Op, Word
from troth.ports.caller import Call
from troth.wire.http import answer_line, batch_id, read_call_line
from troth.wire.signing import Signer

SECRET = "whsec_" + "QUFB" * 10
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
Say = Callable[[bytes], None]
Answering = Callable[[list[Any], Say], Awaitable[None]]


def a_call(number: int, timeout: float = 10.0, **more: Any) -> Call:
    """One of many."""
    args = Raw(b'{"n":%d}' % number)
    made = Call(number.to_bytes(16, "big"), f"g-{number}", "0/x#1", Op.ACTION, "x", 1, args, None, 1, 0, "log", timeout)
    return made._replace(**more)


def batch(answering: Answering, *, ends: bool = True) -> Act:
    """A batch: the lines, and a way to say answers one by one."""

    async def act(asked: Asked, writer: Writer) -> None:
        writer.write(HEAD)

        def say(data: bytes) -> None:
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))

        await answering([read_call_line(line) for line in asked.body.splitlines()], say)
        if ends:
            writer.write(b"0\r\n\r\n")
        else:
            writer.close()

    return act


async def backwards(lines: list[Any], say: Say) -> None:
    """Every call is done, the last first."""
    for line in reversed(lines):
        say(answer_line(line.n, 200, line.body))


async def nonsense(lines: list[Any], say: Say) -> None:
    """An answer, and a line that is none."""
    await backwards(lines[:1], say)
    say(b"FAILURE\n")


async def endless(lines: list[Any], say: Say) -> None:
    """An answer, and a line that is too long."""
    await backwards(lines[:1], say)
    for _ in range(100):
        say(b"x" * 10_000)


OFFERING = answers(200, "0", troth_batch="batch")


def driven(service: Stall, main: Callable[[HttpCaller, Target], Coroutine[Any, Any, None]], secret: str = "") -> None:
    """Run with a caller whose service has offered batches, in the answer to one call."""
    service.plan("/troth/steps/x", OFFERING)

    async def go() -> None:
        caller = HttpCaller(lambda: 1_700_000_000_000_000, lambda: 0.0)
        signer = Signer(secret) if secret else None
        batches = caller.batches(service.url("/troth/"), signer, {"x-shop": "7"}, "key")
        url = service.url("/troth/steps/x")
        target = Target(dict.fromkeys(Op, url), 10.0, headers={"x-shop": "7"}, signer=signer, batches=batches, path="steps/x")
        await caller.call(target, a_call(0))
        await main(caller, target)
        await caller.close()

    asyncio.run(go())


async def together(caller: HttpCaller, target: Target, *calls: Call) -> list[Reply]:
    """The calls' replies; they are made in one turn of the loop."""
    return list(await asyncio.gather(*[caller.call(target, call) for call in calls]))


def results(replies: list[Reply]) -> list[Any]:
    """What they resulted in."""
    return [json.loads(bytes(reply.result)) for reply in replies]


def test_calls_of_one_turn_go_in_one_request_and_get_their_own_answers(service: Stall) -> None:
    """Answers come in any order; each call gets its own."""
    service.plan("/troth/batch", batch(backwards))

    async def main(caller: HttpCaller, target: Target) -> None:
        replies = await together(caller, target, *[a_call(n) for n in range(1, 40)])
        assert results(replies) == [{"n": n} for n in range(1, 40)]
        assert service.paths() == ["/troth/steps/x", "/troth/batch"]

    driven(service, main)
    asked = service.asked[1]
    assert (asked.headers["content-type"], asked.headers["x-shop"]) == ("application/x-ndjson", "7")
    line = read_call_line(asked.body.splitlines()[0])
    assert (line.path, line.gid, line.branch, line.op, line.trans_type) == ("steps/x", "g-1", "0/x#1", "action", "saga")
    assert line.key == f"{1:032x}/0/x#1/action"


def test_a_call_that_is_alone_goes_alone(service: Stall) -> None:
    """One call is no batch."""
    service.plan("/troth/batch", batch(backwards))

    async def main(caller: HttpCaller, target: Target) -> None:
        for n in range(3):
            await caller.call(target, a_call(n))
        assert service.paths() == ["/troth/steps/x"] * 4

    driven(service, main)


def test_each_status_means_what_it_would_alone(service: Stall) -> None:
    """Refusals with reasons, waits, wrong configurations and successes side by side."""

    async def mixed(lines: list[Any], say: Say) -> None:
        say(answer_line(lines[0].n, 409, b'{"detail":"sold out"}'))
        say(answer_line(lines[1].n, 425, b"", 2.5) + answer_line(lines[2].n, 503, b"", 7))
        half = answer_line(lines[3].n, 404, b'{"title":"Not Found"}')
        say(half[:20])
        await asyncio.sleep(0.005)
        say(half[20:])
        say(answer_line(lines[4].n, 410, b""))
        say(answer_line(999, 200, b"1"))
        say(answer_line(lines[5].n, 200, b'"' + b"x" * 65_000 + b'"'))

    service.plan("/troth/batch", batch(mixed))

    async def main(caller: HttpCaller, target: Target) -> None:
        calls = [a_call(n) for n in range(6)]
        calls[4] = calls[4]._replace(op=Op.SEAL)
        replies = await together(caller, target, *calls)
        assert [reply.word for reply in replies] == [
            Word.REFUSED, Word.ONGOING, Word.UNKNOWN, Word.CONFLICT, Word.SEALED, Word.DONE,
        ]  # fmt: skip
        assert (replies[0].reason, replies[1].after, replies[2].after) == ("sold out", 2.5, 7.0)

    driven(service, main)


def test_a_slow_call_holds_up_no_other(service: Stall) -> None:
    """Answers are handed out as they come, and later calls go in a request of their own."""

    async def main(caller: HttpCaller, target: Target) -> None:
        opened = False

        async def slow_first(lines: list[Any], say: Say) -> None:
            await backwards(lines[1:], say)
            while not opened:
                await asyncio.sleep(0.002)
            say(answer_line(lines[0].n, 200, b'"late"'))

        service.plan("/troth/batch", batch(slow_first), batch(backwards))
        slow, quick = [asyncio.create_task(caller.call(target, a_call(n))) for n in (1, 2)]
        assert results([await quick]) == [{"n": 2}]
        assert not slow.done()
        assert results(await together(caller, target, a_call(3), a_call(4))) == [{"n": 3}, {"n": 4}]
        opened = True
        assert results([await slow]) == ["late"]
        assert service.paths().count("/troth/batch") == 2

    driven(service, main)


def test_a_call_has_its_own_deadline(service: Stall) -> None:
    """The first call's time is over: unknown. The second is answered all the same, by the same request."""

    async def main(caller: HttpCaller, target: Target) -> None:
        given_up = False

        async def waits(lines: list[Any], say: Say) -> None:
            while not given_up:
                await asyncio.sleep(0.002)
            await backwards(lines, say)

        service.plan("/troth/batch", batch(waits))
        hasty = a_call(1, timeout=0.02)
        first, patient = [asyncio.create_task(caller.call(target, call)) for call in (hasty, a_call(2))]
        reply = await first
        assert (reply.word, reply.reason) == (Word.UNKNOWN, "no answer within 0.02 s")
        given_up = True
        assert results([await patient]) == [{"n": 2}]

    driven(service, main)


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (batch(lambda lines, say: backwards(lines[:1], say), ends=False), "broke off"),
        (batch(lambda lines, say: backwards(lines[:1], say)), "ended without its answer"),
        (batch(nonsense), "can't be read"),
        (batch(endless), "longer than ANSWER_BYTES"),
    ],
    ids=["connection lost", "an answer missing", "no JSON", "a line without end"],
)
def test_what_a_lost_batch_left_unanswered_is_unknown(service: Stall, ending: Act, why: str) -> None:
    """What was answered counts; nothing else is known."""
    service.plan("/troth/batch", ending)

    async def main(caller: HttpCaller, target: Target) -> None:
        first, second, third = await together(caller, target, a_call(1), a_call(2), a_call(3))
        assert results([first]) == [{"n": 1}]
        assert [second.word, third.word] == [Word.UNKNOWN] * 2
        assert why in second.reason

    driven(service, main)


@pytest.mark.parametrize("status", [404, 405, 415])
def test_a_service_that_takes_no_batches_any_more_is_called_singly(service: Stall, status: int) -> None:
    """Deployed back to an older version, say: nothing of the batch was looked at, so each call is made alone, and so are later
    ones until batches are offered again.
    """
    service.plan("/troth/batch", answers(status))

    async def main(caller: HttpCaller, target: Target) -> None:
        service.plan("/troth/steps/x", answers(200, "1"))
        assert results(await together(caller, target, a_call(1), a_call(2))) == [1, 1]
        assert results(await together(caller, target, a_call(3), a_call(4))) == [1, 1]
        assert service.paths()[1:] == ["/troth/batch"] + ["/troth/steps/x"] * 4
        service.plan("/troth/steps/x", OFFERING)
        service.plan("/troth/batch", batch(backwards))
        await caller.call(target, a_call(5))
        await together(caller, target, a_call(6), a_call(7))
        assert service.paths()[-1] == "/troth/batch"

    driven(service, main)


def test_an_answer_without_the_offer_takes_it_back(service: Stall) -> None:
    """The newest answer counts; and an offer of somebody else's address is none."""

    async def main(caller: HttpCaller, target: Target) -> None:
        for act in (answers(200, "1"), answers(200, "1", troth_batch="http://elsewhere.invalid/batch")):
            service.plan("/troth/steps/x", act)
            await caller.call(target, a_call(1))
            await together(caller, target, a_call(2), a_call(3))
        assert "/troth/batch" not in service.paths()

    driven(service, main)


@pytest.mark.parametrize(
    ("act", "word", "after"),
    [
        (answers(401), Word.CONFLICT, None),
        (answers(429, retry_after="3"), Word.UNKNOWN, 3.0),
        (answers(500), Word.UNKNOWN, None),
        (answers(409), Word.UNKNOWN, None),
        (answers(201), Word.UNKNOWN, None),
        (raw(b""), Word.UNKNOWN, None),
    ],
    ids=["401", "429", "500", "409", "201", "closed"],
)
def test_a_batch_that_is_turned_away_is_so_for_each(service: Stall, act: Act, word: Word, after: float | None) -> None:
    """No answer to the whole is a yes or a no to one."""
    service.plan("/troth/batch", act)

    async def main(caller: HttpCaller, target: Target) -> None:
        replies = await together(caller, target, a_call(1), a_call(2))
        assert [reply.word for reply in replies] == [word] * 2
        assert [reply.after for reply in replies] == [after] * 2

    driven(service, main)


def test_a_batch_has_its_limits(service: Stall) -> None:
    """Not more than 128 calls nor 1 MiB at a time, and never none."""
    service.plan("/troth/batch", batch(backwards))

    async def main(caller: HttpCaller, target: Target) -> None:
        many = limits.BATCHED_CALLS + 10
        assert results(await together(caller, target, *[a_call(n) for n in range(many)])) == [{"n": n} for n in range(many)]
        big = Raw(b'{"text":"%s"}' % (b"x" * 400_000))
        replies = await together(caller, target, *[a_call(n, args=big) for n in range(4)])
        assert {reply.word for reply in replies} <= {Word.DONE, Word.UNKNOWN}
        sizes = [asked.body.count(b"\n") for asked in service.asked if asked.path == "/troth/batch"]
        assert sizes[:2] == [limits.BATCHED_CALLS, 10]
        assert max(len(asked.body) for asked in service.asked) < limits.BATCHED_BYTES

    driven(service, main)


def test_a_batch_is_signed_as_a_whole(service: Stall) -> None:
    """One signature over all lines."""
    service.plan("/troth/batch", batch(backwards))

    async def main(caller: HttpCaller, target: Target) -> None:
        await together(caller, target, a_call(1), a_call(2))

    driven(service, main, SECRET)
    alone, asked = service.asked
    assert Signer(SECRET).verify(asked.headers, asked.body, 1_700_000_000) == batch_id(asked.body)
    assert Signer(SECRET).verify(alone.headers, alone.body, 1_700_000_000)


def test_a_cancelled_call_leaves_its_batch_alone(service: Stall) -> None:
    """Whoever stops waiting changes nothing for the others, and connections don't pile up."""

    async def main(caller: HttpCaller, target: Target) -> None:
        service.plan("/troth/batch", batch(backwards))
        for _ in range(10):
            tasks = [asyncio.create_task(caller.call(target, a_call(n))) for n in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert results([done[0], done[2]]) == [{"n": 0}, {"n": 2}]  # type: ignore[list-item]
        assert service.connections < 10  # ten rounds: one each would be a leak

    driven(service, main)


def test_closing_answers_what_is_under_way(service: Stall) -> None:
    """A node that stops leaves nobody waiting."""

    async def main(caller: HttpCaller, target: Target) -> None:
        async def never(lines: list[Any], say: Say) -> None:
            await asyncio.sleep(3600)

        service.plan("/troth/batch", batch(never))
        tasks = [asyncio.create_task(caller.call(target, a_call(n))) for n in range(3)]
        await auntil(lambda: "/troth/batch" in service.paths(), "the batch is there")
        await caller.close()
        assert [reply.word for reply in await asyncio.gather(*tasks)] == [Word.UNKNOWN] * 3

    driven(service, main)
