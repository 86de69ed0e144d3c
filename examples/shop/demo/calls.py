"""What passes between the gateway and a service: which calls a request holds, and how each was answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

KEPT = frozenset({200, 409})
"""Answers that a repetition must get again."""


class Call(NamedTuple):
    """One op of one branch, asked of a service once.

    :param n: its number in a batch; 0: it came alone.
    :param name: of the step or TCC class.
    """

    service: str
    n: int
    gid: str
    branch: str
    op: str
    name: str
    attempt: int

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for repetitions."""
        return self.gid, self.branch, self.op

    def __str__(self) -> str:
        return f"{self.op} of {self.branch} in {self.gid}"


class Answer(NamedTuple):
    """What a service said to a call."""

    call: Call
    status: int
    body: bytes


def calls_in(service: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> list[Call]:
    """The calls of a request; none if it is no request of a transaction's."""
    kind, _, name = path.removeprefix("/troth/").partition("/")
    if path.startswith("/troth/") and kind == "batch":
        return [_of_line(service, msgspec.json.decode(line)) for line in body.splitlines() if line]
    if not (path.startswith("/troth/") and "gid=" in query):
        return []
    asked = {key: values[0] for key, values in parse_qs(query).items()}
    attempt = int(headers.get("troth-attempt", "1"))
    return [Call(service, 0, asked["gid"], asked["branch_id"], asked["op"], name, attempt)]


def _of_line(service: str, line: Mapping[str, Any]) -> Call:
    name = line["path"].partition("/")[2]
    return Call(service, line["n"], line["gid"], line["branch"], line["op"], name, line["attempt"])


class Line(msgspec.Struct):
    """A line of a batch's answer, as far as it matters here."""

    n: int
    status: int
    body: msgspec.Raw = msgspec.Raw(b"null")


_line = msgspec.json.Decoder(Line).decode


def answers_in(calls: list[Call], lines: bytes) -> Iterator[tuple[Answer, bytes]]:
    """The answers of a batch, each with its line."""
    by_number = {call.n: call for call in calls}
    for raw in lines.splitlines(keepends=True):
        line = _line(raw)
        yield Answer(by_number[line.n], line.status, bytes(line.body)), raw
