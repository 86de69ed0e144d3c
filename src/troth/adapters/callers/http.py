"""Calls over HTTP: a participant's URL becomes a reply, by the status alone.

What isn't an answer: a connection that was refused or never came about is ``not_done``, for nothing was sent; anything that
ends without a whole answer is ``unknown``. A destination (scheme, host and port) that gives none again and again is left
alone for a while; calls turned away meanwhile use up no attempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from yarl import URL

from troth.adapters.callers.batching import Batches
from troth.adapters.callers.breaker import Breaker
from troth.adapters.callers.sessions import Answer, NoAnswer, NotSent, Sessions
from troth.adapters.callers.tracing import trace_headers
from troth.core.quick import Op, Word
from troth.core.reply import Reply
from troth.core.retry import MICRO
from troth.ports.caller import Call
from troth.wire import http
from troth.wire.problem import reply_to
from troth.wire.signing import Signer

log = logging.getLogger("troth")


class Target:
    """Where one step's calls go.

    :param urls: by op; ``everything`` answers for ops that aren't named.
    :param headers: sent with each call.
    :param signer: signs each call, if there is a secret.
    :param batches: the service's batches, if it is one of ours.
    :param path: what a batch calls it, below the service's mount.
    """

    __slots__ = ("batches", "headers", "origin", "path", "signer", "timeout", "urls")

    def __init__(
        self, urls: Mapping[Op, str], timeout: float, *, headers: Mapping[str, str] | None = None,
        signer: Signer | None = None, batches: Batches | None = None, path: str = "",
    ) -> None:  # fmt: skip
        self.urls = {op: URL(url) for op, url in urls.items()}
        self.origin = str(next(iter(self.urls.values())).origin())
        self.timeout = timeout
        self.headers = {"content-type": http.JSON, **(headers or {})}
        self.signer = signer
        self.batches = batches
        self.path = path


class HttpCaller:
    """Calls participants over HTTP. Lives on the loop that calls it; closed there.

    :param now: microseconds since 1970.
    :param draw: jitter in [0, 1).
    """

    def __init__(self, now: Callable[[], int], draw: Callable[[], float]) -> None:
        self.now = now
        self.draw = draw
        self.sessions = Sessions()
        self.breakers: dict[str, Breaker] = {}
        self._batches: dict[Any, Batches] = {}

    def batches(self, mount: str, signer: Signer | None, headers: Mapping[str, str], key: Any) -> Batches:
        """The batches of one service, shared by all its steps that are called in the same way.

        :param key: what tells such ways apart.
        """
        found = self._batches.get(key)
        if found is None:
            found = self._batches[key] = Batches(self.sessions, URL(mount), signer, dict(headers), self.now)
        return found

    async def call(self, target: Target, call: Call) -> Reply:
        """Make one call; answered exactly once, never by an exception but cancellation."""
        breaker = self._breaker(target.origin)
        if breaker.opened and (refusal := self._turned_away(breaker, target.origin)) is not None:
            return refusal
        try:
            batches = target.batches
            if batches is not None and batches.offered is not None:
                reply = await batches.call(target.path, call, trace_headers())
                if reply is None:
                    reply = await self._alone(target, call)
            else:
                reply = await self._alone(target, call)
        except NotSent as error:
            self._failed(breaker, target.origin, error)
            return Reply(Word.NOT_DONE, reason=str(error))
        except NoAnswer as error:
            self._failed(breaker, target.origin, error)
            return Reply(Word.UNKNOWN, reason=str(error))
        except asyncio.CancelledError:
            self._failed(breaker, target.origin, TimeoutError("no answer in time"))
            raise
        if (breaker.failures or breaker.opened) and breaker.answered():
            log.warning("%s answers again", target.origin)
        return reply

    async def plain(self, target: Target, body: bytes) -> Reply:
        """An ordinary call, of no transaction."""
        headers = {**target.headers, **trace_headers()}
        if target.signer is not None:
            headers.update(target.signer.headers(http.batch_id(body), body, self.now() // MICRO))
        try:
            answer = await self.sessions.post(target.urls[Op.ACTION], body, headers, target.timeout)
        except NotSent as error:
            return Reply(Word.NOT_DONE, reason=str(error))
        except NoAnswer as error:
            return Reply(Word.UNKNOWN, reason=str(error))
        return self._meant(Op.ACTION, answer)

    async def close(self) -> None:
        """Close what the running loop has open."""
        for batches in self._batches.values():
            batches.close()
        await self.sessions.close()

    def abandon(self) -> None:
        """In a forked child: forget the parent's connections."""
        self.sessions.abandon()
        self._batches.clear()
        self.breakers.clear()

    async def _alone(self, target: Target, call: Call) -> Reply:
        query, headers, body = http.parts_of(call)
        headers |= target.headers
        if traced := trace_headers():
            headers |= traced
        if target.signer is not None:
            headers.update(target.signer.headers(http.message_id(call), body, self.now() // MICRO))
        url = target.urls[call.op]
        answer = await self.sessions.post(with_query(url, query), body, headers, call.timeout)
        if target.batches is not None:
            target.batches.offer(answer.batch)
        return self._meant(call.op, answer)

    def _meant(self, op: Op, answer: Answer) -> Reply:
        return reply_to(
            op, answer.status, answer.body, content_type=answer.content_type, retry_after=answer.retry_after,
            now=self.now() / MICRO,
        )  # fmt: skip

    def _breaker(self, origin: str) -> Breaker:
        found = self.breakers.get(origin)
        if found is None:
            found = self.breakers[origin] = Breaker()
        return found

    def _turned_away(self, breaker: Breaker, origin: str) -> Reply | None:
        now = self.now()
        wait = breaker.wait(now, self.draw())
        if not wait:
            return None
        reason = f"{origin} has not answered for {(now - breaker.opened) / MICRO:.0f} s and is left alone for a while"
        return Reply(Word.NOT_DONE, reason=reason, after=wait / MICRO, free=breaker.free(now))

    def _failed(self, breaker: Breaker, origin: str, why: Exception) -> None:
        if breaker.failed(self.now(), self.draw()):
            log.warning("%s gave no answer %d times in a row, it is left alone for a while: %s", origin, breaker.failures, why)


def with_query(url: URL, query: str) -> URL:
    """The URL with ours behind its own query."""
    own = url.raw_query_string
    return URL.build(
        scheme=url.scheme, authority=url.raw_authority, path=url.raw_path, query_string=f"{own}&{query}" if own else query,
        encoded=True,
    )  # fmt: skip
