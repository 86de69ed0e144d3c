"""Calls to a participant as a coordinator makes them, one at a time or two at once; each answer is looked at once."""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw

from troth.cli.clock import now
from troth.core import limits
from troth.core.words import Op
from troth.ports.caller import Call
from troth.wire import http as wire
from troth.wire.problem import reason_of
from troth.wire.signing import Signer

LOG: Final = "troth-check-participant"
MILLION: Final = 1_000_000


class Said(NamedTuple):
    """An answer.

    :param status: 0 if there was none.
    :param kind: its content type.
    :param trouble: why there was none, or why it is none: "", else in words.
    """

    status: int
    body: bytes
    kind: str = ""
    trouble: str = ""

    @property
    def done(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300 and not self.trouble

    @property
    def words(self) -> str:
        """For a table."""
        if self.trouble:
            return self.trouble
        if self.done:
            return f"{self.status} {' '.join(self.body[:200].decode('utf-8', 'replace').split())[:80]}".strip()
        reason = reason_of(self.status, self.body, self.kind)
        return reason if reason.startswith(str(self.status)) else f"{self.status} {reason}"


class Target(NamedTuple):
    """What is examined.

    :param url: where its action (or try) is done.
    :param urls: where its other ops are, if elsewhere.
    :param args: the action's arguments, one JSON object.
    :param tcc: a TCC class: try, confirm and cancel instead of action and compensate.
    :param timeout: seconds an answer may take.
    :param since: microseconds; no branch of this examination begins before.
    """

    url: str
    urls: Mapping[Op, str]
    args: Raw
    tcc: bool
    timeout: float
    headers: Mapping[str, str]
    signer: Signer | None
    since: int

    @property
    def do(self) -> Op:
        """What makes the effect, or reserves it."""
        return Op.TRY if self.tcc else Op.ACTION

    @property
    def undo(self) -> Op:
        """What takes it back."""
        return Op.CANCEL if self.tcc else Op.COMPENSATE


class Branch:
    """One branch of a transaction that never was: its own key, everything else as ever."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.call = Call(
            uid=os.urandom(16), gid=f"check-{os.urandom(6).hex()}", branch="0/check#1", op=target.do, name="check", attempt=1,
            args=target.args, result=None, begun=now(), low_water=target.since, log=LOG, timeout=target.timeout,
        )  # fmt: skip

    def ask(self, op: Op, *, args: Raw | None = None, signer: Signer | str | None = "own", query: str = "") -> Said:
        """Ask for an op.

        :param args: other arguments than the target's.
        :param signer: another one, or None: unsigned.
        :param query: another query, for what no coordinator sends.
        """
        target = self.target
        call = self.call._replace(op=op, args=self.call.args if args is None else args)
        asked, headers, body = wire.parts_of(call)
        headers = {"content-type": wire.JSON, **headers, **target.headers}
        by = target.signer if isinstance(signer, str) else signer
        if by is not None:
            headers |= by.headers(wire.message_id(call), body, now() // MILLION)
        return send("POST", joined(target.urls.get(op, target.url), query or asked), body, headers, target.timeout)

    def twice_at_once(self, op: Op) -> list[Said]:
        """The same call two times, side by side."""
        with ThreadPoolExecutor(2) as pool:
            return [future.result() for future in [pool.submit(self.ask, op) for _ in range(2)]]

    def keep(self, said: Said) -> None:
        """Remember what the action answered: its undo is told, as a log would."""
        try:
            msgspec.json.decode(said.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self.call = self.call._replace(result=Raw(said.body))


def joined(url: str, query: str) -> str:
    """A URL with more query."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{query}"


def send(method: str, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Said:
    """One request on a connection of its own; no redirect is followed."""
    parts = urlsplit(url)
    connection: Any
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request(method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, dict(headers))
        answer = connection.getresponse()
        data = answer.read(limits.ANSWER_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        return Said(0, b"", trouble=f"no answer: {type(error).__name__}: {error}")
    finally:
        connection.close()
    trouble = f"{answer.status}, more than {limits.ANSWER_BYTES} bytes" if len(data) > limits.ANSWER_BYTES else ""
    kind = answer.headers.get_content_type()
    return Said(answer.status, data, kind, trouble)
