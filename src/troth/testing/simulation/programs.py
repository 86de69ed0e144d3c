"""Sagas written as functions, for the simulator: small programs as data, so that they can be drawn and edited, and the
generator that runs one. A generator yields what it wants of the engine and gets what a real function would get.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from msgspec import Raw

from troth.core.reply import NULL
from troth.ports.errors import Refused, StepFailed


class Call(NamedTuple):
    """Call a step and wait. A refusal or a giving-up is caught if there is another way to go."""

    step: str
    number: int
    uses_last: bool = False
    other: tuple[Any, ...] | None = None


class Spawn(NamedTuple):
    """Call a step and never wait for it."""

    step: str
    number: int


class Hurry(NamedTuple):
    """Call a participant and wait so many microseconds at most."""

    step: str
    number: int
    micros: int


class Gather(NamedTuple):
    """Run parts side by side; all are waited for, then the first exception goes on."""

    parts: tuple[tuple[Any, ...], ...]
    other: tuple[Any, ...] | None = None


class Inner(NamedTuple):
    """A saga called inside the saga; left by an exception, it is abandoned."""

    body: tuple[Any, ...]
    other: tuple[Any, ...] | None = None


class Remember(NamedTuple):
    """Draw a value that a later run gets again; later calls use it."""


class Sleep(NamedTuple):
    """Do something else for so many microseconds."""

    micros: int


class Swallow(NamedTuple):
    """``except Exception: pass`` round a body, as careless code has it."""

    body: tuple[Any, ...]


class Fail(NamedTuple):
    """A bug, or a business decision, of the function's own."""


class Leave(NamedTuple):
    """Return early."""


Item = Call | Spawn | Hurry | Gather | Inner | Remember | Sleep | Swallow | Fail | Leave
Body = tuple[Item, ...]


class OwnError(Exception):
    """What `Fail` raises."""


class Left(Exception):
    """Carries an early return out of nested bodies; never seen by the engine."""


Steps = Generator[tuple[Any, ...], Any, None]


class Frame:
    """What one task of a run knows: the last result, and whether values were remembered."""

    __slots__ = ("last", "memo")

    def __init__(self, last: Raw = NULL, memo: Raw = NULL) -> None:
        self.last = last
        self.memo = memo


def run_body(body: Body, frame: Frame) -> Steps:
    """Run a body. Yields ``(what, ...)``; is sent the answer, or has it thrown in."""
    for item in body:
        match item:
            case Call(step, number, uses_last, other):
                args = arguments(number, frame.last if uses_last else NULL, frame.memo)
                frame.last = yield from either(ask(("call", step, args)), other, frame)
            case Spawn(step, number):
                yield ("spawn", step, arguments(number, NULL, frame.memo))
            case Hurry(step, number, micros):
                frame.last = yield from ask(("hurry", step, arguments(number, NULL, frame.memo), micros))
            case Gather(parts, other):
                tasks = tuple(run_body(part, Frame(frame.last, frame.memo)) for part in parts)
                yield from either(ask(("gather", tasks)), other, frame)
            case Inner(inner, other):
                yield from either(inner_saga(inner, frame), other, frame)
            case Remember():
                frame.memo = yield ("remember",)
            case Sleep(micros):
                yield ("sleep", micros)
            case Swallow(inner):
                try:
                    yield from run_body(inner, frame)
                except Left:
                    raise
                except Exception:
                    frame.last = NULL
            case Fail():
                raise OwnError("the function's own error")
            case Leave():
                raise Left


def arguments(number: int, last: Raw, memo: Raw) -> Raw:
    """A call's encoded arguments."""
    return Raw(b'{"n":%d,"last":%b,"memo":%b}' % (number, bytes(last), bytes(memo)))


def ask(request: tuple[Any, ...]) -> Generator[tuple[Any, ...], Any, Raw]:
    """One request, as a generator of its own."""
    answer = yield request
    return answer if isinstance(answer, Raw) else NULL


def either(way: Generator[tuple[Any, ...], Any, Any], other: Body | None, frame: Frame) -> Generator[tuple[Any, ...], Any, Raw]:
    """One way; the other, if there is one, where the first is refused or gives up."""
    if other is None:
        answer = yield from way
        return answer if isinstance(answer, Raw) else NULL
    try:
        answer = yield from way
    except (Refused, StepFailed):
        yield from run_body(other, frame)
        return frame.last
    return answer if isinstance(answer, Raw) else NULL


def inner_saga(body: Body, frame: Frame) -> Steps:
    """A body whose branches are abandoned if an exception leaves it."""
    yield ("enter",)
    try:
        yield from run_body(body, frame)
    except Left:
        yield ("leave",)
        raise
    except Exception:
        yield ("abandon",)
        raise
    yield ("leave",)


def whole(body: Body) -> Generator[tuple[Any, ...], Any, Raw]:
    """The function."""
    frame = Frame()
    try:
        yield from run_body(body, frame)
    except Left:
        return Raw(b'"left early"')
    return frame.last


def calls_of(body: Body) -> list[str]:
    """The steps that a body may call, in order."""
    found: list[str] = []
    for item in body:
        match item:
            case Call(step, _, _, other):
                found += [step, *calls_of(other or ())]
            case Spawn(step, _) | Hurry(step, _, _):
                found.append(step)
            case Gather(parts, other):
                found += [step for part in parts for step in calls_of(part)] + calls_of(other or ())
            case Inner(inner, other):
                found += calls_of(inner) + calls_of(other or ())
            case Swallow(inner):
                found += calls_of(inner)
            case _:
                pass
    return found
