"""A call as an HTTP request, alone or as one line of many. The names here are what participants in other languages see.

Alone: ``POST <url>?gid=…&branch_id=…&op=…&trans_type=…``, the action's arguments as one JSON object in the body (the same
bytes for every op of the branch), everything else in headers. Batched: ``POST <mount>/batch``, newline-delimited JSON, a
line a call; answered with a line a call, in the order in which they end.

Header names are lower-case: HTTP/1.1 doesn't care, HTTP/2 demands it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import msgspec
from msgspec import UNSET, Raw, UnsetType

from troth.core import ids, limits
from troth.core.words import Op
from troth.ports.caller import Call
from troth.ports.errors import PayloadError

KEY: Final = "idempotency-key"
BEGUN: Final = "troth-begun"
LOW_WATER: Final = "troth-low-water"
LOG: Final = "troth-log"
ATTEMPT: Final = "troth-attempt"
RESULT: Final = "troth-result"
BATCH: Final = "troth-batch"
"""On any answer of a participant: the path its batches go to."""
RETRY_AFTER: Final = "retry-after"
TRACEPARENT: Final = "traceparent"
RESERVED: Final = frozenset({KEY, BEGUN, LOW_WATER, LOG, ATTEMPT, RESULT, BATCH, RETRY_AFTER})

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
STEPS: Final = "steps"
TCC: Final = "tcc"
BATCH_PATH: Final = "batch"
"""Under a mount: ``steps/<name>``, ``tcc/<name>``, ``batch``."""

SAFE: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""Printable ASCII, ``%`` apart: what a header's value holds as it is."""
LARGEST: Final = 2**63 - 1
TRANS_TYPES: Final = {
    Op.ACTION: "saga", Op.COMPENSATE: "saga", Op.CHECK: "saga", Op.SEAL: "saga",
    Op.TRY: "tcc", Op.CONFIRM: "tcc", Op.CANCEL: "tcc",
    Op.PREPARE: "two_phase", Op.COMMIT: "two_phase", Op.ROLLBACK: "two_phase", Op.DELIVER: "message",
}  # fmt: skip
_OPS: Final = {op.value: op for op in Op}


class Parts(NamedTuple):
    """A call as the parts of a request.

    :param query: without the question mark.
    :param headers: by lower-case name.
    """

    query: str
    headers: dict[str, str]
    body: bytes


def parts_of(call: Call, trans_type: str = "") -> Parts:
    """The request that carries a call.

    :param trans_type: the transaction's pattern; default: what the op belongs to (check and seal: a saga).
    """
    headers = {
        KEY: key_of(call), BEGUN: str(call.begun), LOW_WATER: str(call.low_water), LOG: call.log, ATTEMPT: str(call.attempt)
    }
    if call.result is not None and (short := header_json(call.result)) is not None:
        headers[RESULT] = short
    named = f"gid={call.gid}&branch_id={_quoted(call.branch)}&op={call.op.value}&trans_type={trans_type or TRANS_TYPES[call.op]}"
    return Parts(named, headers, bytes(call.args))


def call_of(
    name: str, query: Mapping[str, str], headers: Mapping[str, str], body: Raw | bytes, timeout: float = limits.PARTICIPANT_TIMEOUT
) -> Call:
    """The call that a request carries.

    :param name: what the path names: the step, or the TCC class.
    :param query: the decoded query, by name.
    :param headers: by lower-case name.
    :param timeout: seconds that it may take here.
    :raises PayloadError: if something is missing, or isn't what it should be; names it.
    """
    branch = _text(query, "branch_id", limits.BRANCH_ID_LENGTH)
    op = _op(_text(query, "op", 16))
    raw = headers.get(RESULT)
    return Call(
        uid=uid_of(unquote(_text(headers, KEY, 4 * limits.BRANCH_ID_LENGTH)), branch, op),
        gid=_gid(_text(query, "gid", limits.GID_LENGTH)),
        branch=branch,
        op=op,
        name=name,
        attempt=_number(headers.get(ATTEMPT, "1"), ATTEMPT),
        args=object_of(body),
        result=None if raw is None else _json(raw.encode("utf-8", "replace"), RESULT),
        begun=_number(_text(headers, BEGUN, 20), BEGUN),
        low_water=_number(headers.get(LOW_WATER, "0"), LOW_WATER),
        log=_text(headers, LOG, 64),
        timeout=timeout,
    )


class CallLine(msgspec.Struct, omit_defaults=True):
    """One call of a batch.

    :param n: its number within the batch, from 1; the answer bears it.
    :param path: below the mount: ``steps/<name>`` or ``tcc/<name>``.
    :param key: the idempotency key, percent-encoded as in the header.
    :param begun: microseconds, as ``low_water``.
    :param result: the action's stored result, for undo ops, where the log knows it.
    :param headers: the transaction's own, and ``traceparent``.
    """

    n: int
    path: str
    gid: str
    branch: str
    op: str
    trans_type: str
    key: str
    begun: int
    low_water: int
    log: str
    attempt: int
    body: Raw
    result: Raw | UnsetType = UNSET
    headers: dict[str, str] = {}


class AnswerLine(msgspec.Struct, omit_defaults=True):
    """One answer of a batch: what the single call would have been answered.

    :param n: the number of the call.
    :param body: JSON: the result, or a problem document.
    :param retry_after: seconds.
    """

    n: int
    status: int
    body: Raw = Raw(b"null")
    retry_after: float | None = None


_encode: Final = msgspec.json.Encoder().encode
_decode_call: Final = msgspec.json.Decoder(CallLine).decode
_decode_answer: Final = msgspec.json.Decoder(AnswerLine).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any: Final = msgspec.json.Decoder().decode


def call_line(n: int, path: str, call: Call, headers: dict[str, str] | None = None, trans_type: str = "") -> bytes:
    """A call as a line of a batch, its end included."""
    line = CallLine(
        n=n,
        path=path,
        gid=call.gid,
        branch=call.branch,
        op=call.op.value,
        trans_type=trans_type or TRANS_TYPES[call.op],
        key=key_of(call),
        begun=call.begun,
        low_water=call.low_water,
        log=call.log,
        attempt=call.attempt,
        body=call.args,
        result=UNSET if call.result is None else call.result,
        headers=headers or {},
    )
    return _encode(line) + b"\n"


def read_call_line(line: bytes) -> CallLine:
    """A line of a batch.

    :raises PayloadError: if it is none.
    """
    try:
        return _decode_call(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("batch line", f"can't be read: {error}", "Send one JSON object a line") from error


def call_of_line(line: CallLine, name: str, timeout: float = limits.PARTICIPANT_TIMEOUT) -> Call:
    """The call that a line carries; arguments and errors as `call_of`."""
    op = _op(line.op)
    return Call(
        uid=uid_of(unquote(line.key), line.branch, op),
        gid=_gid(line.gid),
        branch=line.branch,
        op=op,
        name=name,
        attempt=line.attempt,
        args=object_of(line.body),
        result=None if line.result is UNSET else line.result,
        begun=_bounded(line.begun, BEGUN),
        low_water=_bounded(line.low_water, LOW_WATER),
        log=_text({LOG: line.log}, LOG, 64),
        timeout=timeout,
    )


def answer_line(n: int, status: int, body: Raw | bytes, retry_after: float | None = None) -> bytes:
    """An answer as a line of a batch, its end included."""
    return _encode(AnswerLine(n, status, Raw(body) if body else Raw(b"null"), retry_after)) + b"\n"


def read_answer_line(line: bytes) -> AnswerLine:
    """An answer of a batch.

    :raises PayloadError: if it is none.
    """
    try:
        return _decode_answer(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("batch answer", f"can't be read: {error}", "Answer one JSON object a line") from error


def key_of(call: Call) -> str:
    """The idempotency key as a header's value: what isn't printable ASCII is percent-encoded, and so is ``%``."""
    key = call.idempotency_key
    return key if key.isascii() and "%" not in key else quote(key, safe=SAFE)


def uid_of(key: str, branch: str, op: Op) -> bytes:
    """The transaction's uid in an idempotency key.

    :raises PayloadError: if the key isn't ``uid/branch/op`` of this branch and op.
    """
    head, tail = key[:32], key[32:]
    try:
        uid = bytes.fromhex(head)
    except ValueError:
        uid = b""
    if len(uid) != 16 or len(head) != 32 or tail != f"/{branch}/{op.value}":
        raise PayloadError(KEY, "is not uid/branch/op of this call", "Send 32 hex digits, the branch_id and the op")
    return uid


def object_of(body: Raw | bytes) -> Raw:
    """The arguments in a body.

    :raises PayloadError: if it is no JSON object, or larger than `limits.PAYLOAD_BYTES`.
    """
    if len(body) > limits.PAYLOAD_BYTES:
        raise PayloadError("body", f"is larger than PAYLOAD_BYTES ({limits.PAYLOAD_BYTES})", "Store it elsewhere, pass its key")
    try:
        _decode_object(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("body", "is no JSON object", "Send the arguments as one object by parameter name") from error
    return Raw(body)


def header_json(value: Raw | bytes) -> str | None:
    """JSON as a header's value: ASCII by JSON's own escapes; None if it would be longer than `limits.RESULT_HEADER_BYTES`."""
    data = bytes(value)
    if len(data) > limits.RESULT_HEADER_BYTES:
        return None
    text = data.decode()
    if not text.isascii():
        text = "".join(c if c.isascii() else _escaped(c) for c in text)
    if not text.isprintable():  # blanks of another's making: JSON of ours has none
        return None
    return text if len(text) <= limits.RESULT_HEADER_BYTES else None


def message_id(call: Call) -> str:
    """What a signed request is called: a digest of what lies outside of its body, so that the signature holds all of it.

    The same for every attempt; a receiver of ours makes it again from what arrived, and compares.
    """
    parts = (
        call.gid, key_of(call), str(call.begun), str(call.low_water), call.log, "" if call.result is None else result_text(call)
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def result_text(call: Call) -> str:
    """The action's result as the header says it; "" if it isn't there."""
    return (header_json(call.result) or "") if call.result is not None else ""


def batch_id(body: bytes) -> str:
    """What a signed batch is called."""
    return hashlib.sha256(body).hexdigest()


@lru_cache(maxsize=4096)
def _quoted(branch: str) -> str:
    """A branch id within a query; there are few, and a gid has no character that would need it."""
    return quote(branch, safe="")


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[n] << 8 | units[n + 1]:04x}" for n in range(0, len(units), 2))


def _op(value: str) -> Op:
    op = _OPS.get(value)
    if op is None:
        raise PayloadError("op", f"{value[:32]!r} is none", f"Send one of {', '.join(_OPS)}")
    return op


def _gid(value: str) -> str:
    try:
        return ids.check_gid(value)
    except ids.Unfit as error:
        raise PayloadError("gid", error.problem, error.cure) from error


def _text(given: Mapping[str, str], name: str, longest: int) -> str:
    value = given.get(name, "")
    if not value:
        raise PayloadError(name, "is missing", "Send it")
    if len(value) > longest or not value.isprintable():
        raise PayloadError(name, f"is longer than {longest} or can't be printed", "Send what the coordinator made")
    return value


def _number(value: str, name: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 20):
        raise PayloadError(name, f"{value[:32]!r} is no number", "Send a whole number")
    return _bounded(int(value), name)


def _bounded(value: int, name: str) -> int:
    if not 0 <= value <= LARGEST:
        raise PayloadError(name, "is out of range", "Send microseconds since 1970")
    return value


def _json(data: bytes, name: str) -> Raw:
    try:
        _decode_any(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError(name, "is no JSON", "Send JSON") from error
    return Raw(data)
