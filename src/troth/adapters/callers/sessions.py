"""aiohttp, as a caller of participants needs it: one pool of connections a loop, nothing done behind the caller's back."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from importlib.metadata import version
from typing import Final, NamedTuple

import aiohttp
from yarl import URL

from troth.core import limits

NO_CEILING: Final = 1e9
"""aiohttp rounds longer timeouts up to whole seconds; ours mean what they say."""
READ_BYTES: Final = 64 * 1024
KEPT: Final[list[aiohttp.BaseConnector | None]] = []
"""Connections of loops that are gone, and those a forked child inherited: never used again, and never closed from there."""


class NotSent(Exception):
    """Nothing of the request was sent: the other side can't have done anything."""


class NoAnswer(Exception):
    """The request may have been sent, and no whole answer came."""


class Answer(NamedTuple):
    """A whole answer.

    :param batch: where the service takes batches, if it says so; else "".
    """

    status: int
    content_type: str
    retry_after: str
    batch: str
    body: bytes


class Sessions:
    """The session of the running loop, made at first use. Follows no redirect, heeds no proxy or netrc of the environment,
    keeps no cookies and unpacks nothing.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def here(self) -> aiohttp.ClientSession:
        """The running loop's session."""
        loop = asyncio.get_running_loop()
        session = self._session
        if session is not None and self._loop is loop and not session.closed:
            return session
        self.abandon()
        self._session, self._loop = _open(), loop
        return self._session

    async def close(self) -> None:
        """Close the session, if it is the running loop's, and wait until its connections are gone."""
        session = self._session
        if session is not None and self._loop is asyncio.get_running_loop():
            self._session = self._loop = None
            await session.close()

    def abandon(self) -> None:
        """Forget a session whose loop is gone, or a forked parent's; its connections are the parent's to close."""
        if self._session is not None:
            KEPT.append(self._session.connector)
            self._session.detach()
            self._session = self._loop = None

    async def post(self, url: URL, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
        """One request and its whole answer.

        :param timeout: seconds for all of it.
        :raises NotSent: if it surely wasn't sent.
        :raises NoAnswer: if no answer came whole, in time and within `limits.ANSWER_BYTES`.
        """
        response = await self.begin(url, body, headers, timeout)
        try:
            data = await _whole(response)
        except asyncio.CancelledError:
            response.close()
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            response.close()
            raise NoAnswer(words(error, timeout)) from error
        return heard(response, data)

    async def begin(self, url: URL, body: bytes, headers: dict[str, str], timeout: float) -> aiohttp.ClientResponse:
        """One request, until its answer's headers are there; raises as `post`."""
        try:
            return await self.here().request(
                "POST", url, data=body, headers=headers, allow_redirects=False, timeout=patience(timeout)
            )
        except aiohttp.ClientConnectorError as error:
            raise NotSent(words(error, timeout)) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise NotSent("no connection in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(words(error, timeout)) from error


def heard(response: aiohttp.ClientResponse, data: bytes) -> Answer:
    """What of an answer counts."""
    headers = response.headers
    return Answer(
        response.status,
        headers.get("Content-Type", ""),
        headers.get("Retry-After", ""),
        headers.get("Troth-Batch", ""),
        data,
    )


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """The body; one that is too long is not read to its end."""
    content = response.content
    if (response.content_length or 0) > limits.ANSWER_BYTES:
        raise ValueError(TOO_LONG)
    data = await content.readany()
    while not content.at_eof():
        if len(data) > limits.ANSWER_BYTES:
            raise ValueError(TOO_LONG)
        data += await content.readany()
    if len(data) > limits.ANSWER_BYTES:
        raise ValueError(TOO_LONG)
    response.release()
    return data


TOO_LONG: Final = f"its answer is longer than ANSWER_BYTES ({limits.ANSWER_BYTES})"


def words(error: Exception, timeout: float) -> str:
    """Why, for people: aiohttp's own words where they say something."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed before an answer came"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the answer is no HTTP: {error.message}"
    return " ".join(str(error).split()) or type(error).__name__


@lru_cache(maxsize=256)
def patience(timeout: float) -> aiohttp.ClientTimeout:
    """A call's seconds as aiohttp has them."""
    return aiohttp.ClientTimeout(total=timeout, connect=timeout * limits.CONNECT_SHARE, ceil_threshold=NO_CEILING)


def _open() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=limits.IDLE_SECONDS, timeout_ceil_threshold=NO_CEILING)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=READ_BYTES,
        headers={
            "User-Agent": f"troth/{version('troth')}", "Accept": "application/json", "Accept-Encoding": "identity",
        },
    )  # fmt: skip
