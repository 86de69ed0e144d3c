"""What a participant of ours answers over HTTP: requests as values in, answers as values out.

No server, thread, loop or clock is known here. A server hands in the `Head` of a request and is told how much body to
read (`Desk.look`), hands in the body and gets a `Task` for each call in it (`Desk.opened`), has each done as it likes, and
is given the `Answer` to send (`Desk.answer`). The wire itself is `troth.wire.http`'s and `troth.wire.problem`'s.

The order of refusals is that of trust: method and size (before anything is read), signature, path, kind of content, the
call's own parts. Nothing of an unsigned request is parsed where a signature is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from troth.core import limits
from troth.core.reply import Reply
from troth.core.words import Op, Word
from troth.ports.caller import Call
from troth.ports.errors import PayloadError
from troth.wire import http
from troth.wire import problem as problems
from troth.wire.signing import NotSigned, Signer

PROTOCOL: Final = 1
"""The version of the participant protocol, in the description."""
BUSY_SECONDS: Final = 1.0
"""Seconds until a request that was turned away should come again."""
OFFER: Final = ((http.BATCH, http.BATCH_PATH),)
"""Below the mount, so that it holds behind a proxy that changes paths."""
STEP_OPS: Final = frozenset({Op.ACTION, Op.COMPENSATE, Op.CHECK, Op.SEAL})
TCC_OPS: Final = frozenset({Op.TRY, Op.CONFIRM, Op.CANCEL})
"""A try is never checked or sealed: its cancel does both."""


class Head(NamedTuple):
    """A request before its body.

    :param path: below the path where the participant is mounted, decoded.
    :param query: without the question mark.
    :param headers: by lower-case name.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


class Answer(NamedTuple):
    """What to answer.

    :param headers: besides the content's type and length; lower-case names.
    :param after: seconds, as ``Retry-After`` says them; for a line of a batch.
    """

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    after: float | None = None


class Offered(Protocol):
    """One step or TCC class that is served.

    :ivar name: its stored name.
    :ivar ops: what it can be asked to do.
    :ivar timeout: seconds one call may take.
    """

    @property
    def name(self) -> str: ...
    @property
    def ops(self) -> frozenset[Op]: ...
    @property
    def timeout(self) -> float: ...
    def unfit(self, call: Call) -> str:
        """Why the call's arguments are none that it takes; "" if they are."""
        ...


class NotServed(NamedTuple):
    """Why something isn't served, for whoever asked for it."""

    reason: str


class Catalogue(Protocol):
    """What a service offers."""

    def find(self, kind: str, name: str) -> Any | NotServed:
        """The `Offered` of that name, alias or short name.

        :param kind: ``steps`` or ``tcc``.
        """
        ...

    def described(self) -> Mapping[str, Any]:
        """What is served, and what isn't and why; JSON."""
        ...


class Wanted(NamedTuple):
    """What a request is for, once its head has been looked at.

    :param kind: ``steps``, ``tcc``, ``batch`` or "" for the description.
    :param most: bytes of body that may be read; more is answered with `Desk.too_large`.
    """

    head: Head
    kind: str
    name: str
    most: int


class Task(NamedTuple):
    """One call to be made.

    :param n: its number in a batch, else 0.
    :param offered: whom to ask; what the catalogue gave.
    """

    n: int
    offered: Any
    call: Call

    @property
    def key(self) -> tuple[str, str]:
        """The same for repetitions of one call: who, and the idempotency key."""
        return self.offered.name, self.call.idempotency_key

    @property
    def ordinary(self) -> bool:
        """A call of no transaction: a step used as a plain remote function. Nothing tells its repetitions apart from others."""
        return not self.call.uid


class Batch(NamedTuple):
    """Many calls.

    :param answers: lines that are answered already: what couldn't be a call.
    """

    tasks: list[Task]
    answers: list[bytes]


class Desk:
    """Where requests are looked at and answered.

    :param signer: verifies requests; None: unsigned ones are taken.
    :param batch: many calls in one request are offered.
    """

    def __init__(self, catalogue: Catalogue, signer: Signer | None = None, *, batch: bool = True) -> None:
        self.catalogue = catalogue
        self.signer = signer
        self.batch = batch

    def look(self, head: Head) -> Wanted | Answer:
        """What the request is for and how much of it may be read, or why it is refused unread."""
        kind, _, name = head.path.strip("/").partition("/")
        allowed = "POST" if kind else "GET, HEAD"
        if head.method not in allowed.split(", "):
            return self.refusal(head, 405, f"{head.method} means nothing here; use {allowed}", (("allow", allowed),))
        most = limits.BATCH_BYTES if kind == http.BATCH_PATH else limits.PAYLOAD_BYTES if kind else 0
        length = head.headers.get("content-length", "")
        if kind and length.isascii() and length.isdecimal() and (len(length) > 12 or int(length) > most):
            return self.too_large(head, most)
        return Wanted(head, kind, name, most)

    def opened(self, wanted: Wanted, body: bytes, now: int) -> Task | Batch | Answer:
        """The calls in a request, or why there are none.

        :param now: seconds since 1970.
        """
        head = wanted.head
        try:
            signed_as = None if self.signer is None else self.signer.verify(head.headers, body, now)
        except NotSigned as error:
            return self.refusal(head, 401, f"{error}. Both sides need the same secret, and clocks that agree within 5 minutes")
        if not wanted.kind:
            return self.description(head)
        if (answer := self._misplaced(wanted)) is not None:
            return answer
        if wanted.kind == http.BATCH_PATH:
            return self._batch(head, body, signed_as)
        return self._single(wanted, body, signed_as)

    def answer(self, task: Task, reply: Reply, head: Head | None = None) -> Answer:
        """The answer that says a reply.

        :param head: of the request; None for a line of a batch.
        """
        if isinstance(reply.cause, PayloadError) and reply.word in (Word.NOT_DONE, Word.UNKNOWN):
            unfit = task.offered.unfit(task.call)
            if unfit:
                return self.refusal(head, 400, unfit)
        if reply.word is Word.DONE and len(reply.result) > limits.ANSWER_BYTES:
            return self.refusal(head, 500, over_long(len(reply.result)))
        status, content_type, body = problems.body_of(reply)
        after = problems.retry_after_of(reply)
        headers = ((http.RETRY_AFTER, after),) if after and status != 200 else ()
        return Answer(status, content_type, body, (*headers, *self._offers(head)), reply.after if headers else None)

    def line(self, task: Task, reply: Reply) -> bytes:
        """The line that answers a call of a batch."""
        return line_of(task.n, self.answer(task, reply))

    def description(self, head: Head) -> Answer:
        """What is served here."""
        said = {
            "participant": "troth",
            "protocol": PROTOCOL,
            "signed": self.signer is not None,
            "batch": http.BATCH_PATH if self.batch else None,
            **self.catalogue.described(),
        }
        return Answer(200, http.JSON, msgspec.json.encode(said) + b"\n", self._offers(head))

    def too_large(self, head: Head, most: int) -> Answer:
        """The body is larger than what may be read; the rest of it is not."""
        detail = f"the body is larger than {most} bytes. Store what is large elsewhere and pass its key"
        return self.refusal(head, 413, detail, (("connection", "close"),))

    def refusal(self, head: Head | None, status: int, detail: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
        """A problem document of the desk's own."""
        offers = self._offers(head)
        return Answer(status, problems.CONTENT_TYPE, problems.problem(status, detail), (*headers, *offers))

    def _offers(self, head: Head | None) -> tuple[tuple[str, str], ...]:
        """The header that says where batches go, on every answer of a request of its own."""
        return OFFER if self.batch and head is not None else ()

    def _misplaced(self, wanted: Wanted) -> Answer | None:
        """Why nothing can be there, by path and content type."""
        head, kind = wanted.head, wanted.kind
        if kind == http.BATCH_PATH and self.batch and not wanted.name:
            expected = http.NDJSON
        elif kind in (http.STEPS, http.TCC) and wanted.name:
            expected = http.JSON
        else:
            paths = f"{http.STEPS}/<name>, {http.TCC}/<name>{f', {http.BATCH_PATH}' if self.batch else ''}"
            return self.refusal(head, 404, f"nothing is served at {head.path[:200]!r}. POST goes to {paths}")
        given = head.headers.get("content-type", expected).partition(";")[0].strip().lower()
        if given != expected:
            return self.refusal(head, 415, f"the content type {given[:64]!r} is not taken here; send {expected}")
        return None

    def _single(self, wanted: Wanted, body: bytes, signed_as: str | None) -> Task | Answer:
        head = wanted.head
        offered = self.catalogue.find(wanted.kind, wanted.name)
        if isinstance(offered, NotServed):
            return self.refusal(head, 404, offered.reason)
        try:
            if not head.query and http.KEY not in head.headers and wanted.kind == http.STEPS:
                return self._ordinary(head, Task(0, offered, ordinary(offered, http.object_of(body))), signed_as)
            query = dict(parse_qsl(head.query, keep_blank_values=True, max_num_fields=64))
            call = http.call_of(offered.name, query, head.headers, body, offered.timeout)
        except PayloadError as error:
            return self.refusal(head, 400, str(error))
        except ValueError:  # what parse_qsl raises
            return self.refusal(head, 400, "the query can't be read. Send gid, branch_id, op and trans_type")
        if signed_as is not None and signed_as != http.message_id(call):
            return self.refusal(head, 401, "the signature is not over this call: its headers or query were changed on the way")
        return self._asked(head, Task(0, offered, call))

    def _ordinary(self, head: Head, task: Task, signed_as: str | None) -> Task | Answer:
        if signed_as is not None and signed_as != http.batch_id(bytes(task.call.args)):
            return self.refusal(head, 401, "the signature is not over this call: sign it as the digest of its body")
        return task

    def _asked(self, head: Head | None, task: Task) -> Task | Answer:
        """The task, if whom it is for does such things."""
        if task.call.op in task.offered.ops:
            return task
        ops = ", ".join(sorted(task.offered.ops))
        return self.refusal(head, 400, f"op: {task.offered.name} is never asked to {task.call.op}. It knows {ops}")

    def _batch(self, head: Head, body: bytes, signed_as: str | None) -> Batch | Answer:
        if signed_as is not None and signed_as != http.batch_id(body):
            return self.refusal(head, 401, "the signature is not over this batch: sign it as its digest")
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) > limits.BATCH_CALLS:
            return self.refusal(head, 413, f"{len(lines)} calls are more than {limits.BATCH_CALLS}. Send them in parts")
        try:
            calls = [http.read_call_line(line) for line in lines]
        except PayloadError as error:  # which call it would be, and its number, is unknown: nothing is begun
            return self.refusal(head, 400, str(error))
        if len({line.n for line in calls}) != len(calls):
            return self.refusal(head, 400, "n: two calls have the same number, so their answers couldn't be told apart")
        batch = Batch([], [])
        for line in calls:
            found = self._task_of(line)
            if isinstance(found, Task):
                batch.tasks.append(found)
            else:
                batch.answers.append(line_of(line.n, found))
        return batch

    def _task_of(self, line: http.CallLine) -> Task | Answer:
        kind, _, name = line.path.strip("/").partition("/")
        if kind not in (http.STEPS, http.TCC) or not name:
            return self.refusal(None, 404, f"nothing is served at {line.path[:200]!r}")
        offered = self.catalogue.find(kind, name)
        if isinstance(offered, NotServed):
            return self.refusal(None, 404, offered.reason)
        try:
            return self._asked(None, Task(line.n, offered, http.call_of_line(line, offered.name, offered.timeout)))
        except PayloadError as error:
            return self.refusal(None, 400, str(error))


def ordinary(offered: Offered, args: Raw) -> Call:
    """The call of a step outside any transaction."""
    return Call(
        uid=b"", gid="", branch="", op=Op.ACTION, name=offered.name, attempt=1, args=args, result=None, begun=0, low_water=0,
        log="", timeout=offered.timeout,
    )  # fmt: skip


def line_of(n: int, answer: Answer) -> bytes:
    """An answer as a line of a batch."""
    return http.answer_line(n, answer.status, answer.body, answer.after)


def over_long(size: int) -> str:
    """Why a result can't be sent."""
    return f"the result has {size} bytes; an answer holds ANSWER_BYTES ({limits.ANSWER_BYTES}). Return a key to it instead"


def busy(reason: str) -> Reply:
    """A call that was not begun here, because there is too much to do; it may have been begun earlier, so: unknown."""
    return Reply(Word.UNKNOWN, reason=reason, after=BUSY_SECONDS)
