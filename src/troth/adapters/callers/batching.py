"""Many calls for one service in one request, each answered as soon as it has ended.

Calls that are made in one turn of the loop go together; while the request before them has had no answer yet, but for a
millisecond at most, calls gather for the next. So one call alone goes alone, and the busier the loop, the larger the
batches. Each call keeps its own deadline, and a slow one holds up no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp
from yarl import URL

from troth.adapters.callers.sessions import NoAnswer, NotSent, Sessions, heard, words
from troth.core import limits
from troth.core.quick import Op, Word
from troth.core.reply import Reply
from troth.core.retry import MICRO
from troth.ports.caller import Call
from troth.ports.errors import PayloadError
from troth.wire import http
from troth.wire.problem import CONTENT_TYPE, reply_to
from troth.wire.signing import Signer

NOT_TAKEN: Final = (404, 405, 415)
"""What a service answers that takes no batches (any more): none of the calls was looked at."""
LINE_BYTES: Final = limits.ANSWER_BYTES + 1024
Outcome = Reply | NotSent | NoAnswer | None
"""None: make the call alone."""


class Entry:
    """One call that waits for its place in a batch, then for its answer."""

    __slots__ = ("call", "future", "headers", "path")

    def __init__(self, path: str, call: Call, headers: dict[str, str], future: asyncio.Future[Outcome]) -> None:
        self.path = path
        self.call = call
        self.headers = headers
        self.future = future

    def answer(self, outcome: Outcome) -> None:
        """End it, unless its time was over before."""
        if not self.future.done():
            self.future.set_result(outcome)


class Hold:
    """While the newest request has no answer yet, calls gather; not for long."""

    __slots__ = ("timer",)

    def __init__(self, loop: asyncio.AbstractEventLoop, let_go: Callable[[Hold], None]) -> None:
        self.timer = loop.call_later(limits.BATCH_HOLD, let_go, self)


class Batches:
    """The batches of one service.

    :param mount: where the service's steps are: ``http://stock/troth``.
    :ivar offered: where it takes batches, as it said in its newest answer; None: nowhere.
    """

    def __init__(
        self, sessions: Sessions, mount: URL, signer: Signer | None, headers: dict[str, str], now: Callable[[], int]
    ) -> None:
        self.sessions = sessions
        self.mount = mount
        self.signer = signer
        self.headers = {"content-type": http.NDJSON, **headers}
        self.now = now
        self.offered: URL | None = None
        self.waiting: list[Entry] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self._offer = ""
        self._planned = False
        self._hold: Hold | None = None

    def offer(self, path: str) -> None:
        """What the service's newest answer said: the path of its batches, or "" for none. Another host's is not believed."""
        if path != self._offer:
            self._offer = path
            url = self.mount.join(URL(path)) if path else None
            self.offered = url if url is not None and url.origin() == self.mount.origin() else None

    async def call(self, path: str, call: Call, headers: dict[str, str]) -> Reply | None:
        """Have the call made with others; None: make it alone.

        :param headers: the call's own.
        :raises NotSent: as `Sessions.post`.
        :raises NoAnswer: too.
        """
        loop = asyncio.get_running_loop()
        entry = Entry(path, call, headers, loop.create_future())
        self.waiting.append(entry)
        self._plan(loop)
        timer = loop.call_later(call.timeout, self._too_late, entry)
        try:
            outcome = await entry.future
        finally:
            timer.cancel()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        """Make no more calls; those that wait are answered."""
        for task in list(self.tasks):
            task.cancel()
        if self._hold is not None:
            self._hold.timer.cancel()
        self._hold, self._planned = None, False
        waiting, self.waiting = self.waiting, []
        for entry in waiting:
            entry.answer(NotSent("this node is stopping"))

    # --- gathering

    def _too_late(self, entry: Entry) -> None:
        waiting = entry in self.waiting
        why = f"no answer within {entry.call.timeout:g} s"
        entry.answer(NotSent(why) if waiting else NoAnswer(why))

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._planned and self._hold is None:
            self._planned = True
            loop.call_soon(self._send)

    def _let_go(self, hold: Hold) -> None:
        """The request before them is being answered, or takes its time: send what has gathered."""
        if self._hold is hold:
            hold.timer.cancel()
            self._hold = None
            if self.waiting:
                self._send()

    def _send(self) -> None:
        self._planned = False
        entries = self._taken()
        if not entries:
            return
        if len(entries) == 1 or self.offered is None:
            for entry in entries:
                entry.answer(None)
            return
        loop = asyncio.get_running_loop()
        hold = self._hold = Hold(loop, self._let_go)
        task = loop.create_task(self._exchange(entries, self.offered, hold), name="troth-batch")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _taken(self) -> list[Entry]:
        """The calls of the next batch, within its limits."""
        self.waiting = [entry for entry in self.waiting if not entry.future.done()]
        size = count = 0
        for entry in self.waiting[: limits.BATCHED_CALLS]:
            size += len(entry.call.args) + len(entry.call.result or b"") + 512
            if count and size > limits.BATCHED_BYTES:
                break
            count += 1
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    # --- one batch

    async def _exchange(self, entries: list[Entry], url: URL, hold: Hold) -> None:
        """Send the batch and hand out its answers; whatever is not answered at its end is unknown."""
        left = dict(enumerate(entries, 1))
        end: NotSent | NoAnswer = NoAnswer("the batch ended without its answer")
        try:
            await self._through(left, url, hold)
        except (NotSent, NoAnswer) as error:
            end = error
        except asyncio.CancelledError:
            end = NoAnswer("this node is stopping")
            raise
        finally:
            self._let_go(hold)
            for entry in left.values():
                entry.answer(end)

    async def _through(self, left: dict[int, Entry], url: URL, hold: Hold) -> None:
        body = b"".join([http.call_line(n, entry.path, entry.call, entry.headers) for n, entry in left.items()])
        headers = dict(self.headers)
        if self.signer is not None:
            headers.update(self.signer.headers(http.batch_id(body), body, self.now() // MICRO))
        timeout = max(entry.call.timeout for entry in left.values())
        response = await self.sessions.begin(url, body, headers, timeout)
        try:
            if response.status == 200:
                await self._read(response, left, hold)
            elif response.status in NOT_TAKEN:
                self.offer("")
                for n in list(left):
                    left.pop(n).answer(None)
            else:
                self._all(response, left)
        except (aiohttp.ClientError, OSError, ValueError, PayloadError) as error:
            raise NoAnswer(words(error, timeout)) from error
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    async def _read(self, response: aiohttp.ClientResponse, left: dict[int, Entry], hold: Hold) -> None:
        """Hand out answers as they come, until there are none to come or nobody waits any more."""
        content, rest = response.content, b""
        while any(not entry.future.done() for entry in left.values()):
            data = await content.readany()
            if not data:
                return
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            for line in lines:
                answer = http.read_answer_line(line)
                entry = left.pop(answer.n, None)
                if entry is not None:
                    entry.answer(meant(entry.call.op, answer))
            if lines:
                self._let_go(hold)
            if len(rest) > LINE_BYTES:
                raise ValueError("a line is longer than ANSWER_BYTES")

    def _all(self, response: aiohttp.ClientResponse, left: dict[int, Entry]) -> None:
        """The whole batch was turned away: so is each call. What only a call can be answered says nothing about any of them."""
        answer = heard(response, b"")
        if answer.status < 300 or answer.status in (409, 410, 425):
            raise NoAnswer(f"the batch was answered {answer.status}")
        for n in list(left):
            entry = left.pop(n)
            reply = reply_to(entry.call.op, answer.status, b"", retry_after=answer.retry_after, now=self.now() / MICRO)
            entry.answer(reply)


def meant(op: Op, answer: http.AnswerLine) -> Reply:
    """What a line's answer means."""
    kind = http.JSON if 200 <= answer.status < 300 else CONTENT_TYPE
    after = "" if answer.retry_after is None else f"{answer.retry_after:f}"
    if len(answer.body) > limits.ANSWER_BYTES:
        return Reply(Word.UNKNOWN, reason=f"its answer is longer than ANSWER_BYTES ({limits.ANSWER_BYTES})")
    return reply_to(op, answer.status, answer.body, content_type=kind, retry_after=after)
