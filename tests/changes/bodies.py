"""Bodies of sagas as trees: the source they make, the calls they make, and random edits of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

PIVOT = "pay"
COMPENSABLE = ("pick", "pack", "weigh", "label")
RETRIABLE = ("tell", "ship")
FREE = (*COMPENSABLE, *RETRIABLE)
"""Steps that an edit may add: a second pivot would be a broken program, not an edited one."""


class Step(NamedTuple):
    """A call of a step with one argument of its own."""

    name: str
    arg: str


class Value(NamedTuple):
    """A remembered value, and a call that takes it."""

    name: str


class Caught(NamedTuple):
    """A step that refuses, and another way."""

    instead: Step


class Inner(NamedTuple):
    """An inner saga that makes the calls and is left by an exception, which is caught."""

    calls: tuple[Step, ...]


class Gather(NamedTuple):
    """Parts side by side."""

    parts: tuple[tuple[Step, ...], ...]


class Leave(NamedTuple):
    """The end of the function: by returning early, or by an exception."""

    how: str


Statement = Step | Value | Caught | Inner | Gather | Leave
Body = tuple[Statement, ...]
Calls = dict[str, list[tuple[str, str]]]
"""By place, the (step, argument) of each call, in order. ``*``: an argument that was remembered."""

BODIES: dict[str, Body] = {
    "plain": (Step("pick", "1"), Step("pack", "2"), Step("weigh", "3"), Step("label", "4")),
    "pivot": (Step("pick", "1"), Step("pack", "2"), Step(PIVOT, "3"), Step("tell", "4"), Step("ship", "5")),
    "gather": (
        Step("pick", "1"),
        Gather(((Step("pack", "2"), Step("weigh", "3")), (Step("label", "4"),))),
        Step(PIVOT, "5"),
        Step("tell", "6"),
    ),
    "value": (Value("pick"), Caught(Step("pack", "1")), Step("weigh", "2"), Step("label", "3")),
    "nested": (Step("pick", "1"), Inner((Step("pack", "2"), Step("weigh", "3"))), Step(PIVOT, "4"), Step("ship", "5")),
    "leaving": (Step("pick", "1"), Step("pack", "2"), Step("weigh", "3"), Leave("raise")),
}
"""One saga each."""


# --- source


def source(name: str, body: Body, *, asynchronous: bool) -> str:
    """The saga's definition in Python, in one colour."""
    prefix = "async " * asynchronous
    lines = [line for part in body if isinstance(part, Inner) for line in _inner(part, asynchronous)]
    lines += [f'@troth.saga(name="{name}", gid=order_gid)', f"{prefix}def {name}(order: int) -> str:"]
    for number, statement in enumerate(body, 1):
        lines += [f"    {line}" for line in _lines(statement, asynchronous)]
        if not isinstance(statement, Leave):
            lines.append(f"    {'await held' if asynchronous else 'held_here'}(order, {number})")
    return "\n".join([*lines, '    return "done"', ""])


def _call(step: Step | Value, asynchronous: bool, arg: str = "") -> str:
    given = arg or repr(step.arg if isinstance(step, Step) else "")
    return f"await {step.name}.aio(order, {given})" if asynchronous else f"{step.name}(order, {given})"


def _lines(statement: Statement, asynchronous: bool) -> Iterator[str]:
    match statement:
        case Step():
            yield _call(statement, asynchronous)
        case Value():
            yield "token = troth.remember(draw, type=str)"
            yield _call(statement, asynchronous, "token")
        case Caught(instead):
            yield from ("try:", f"    {_call(Step('refuse', 'x'), asynchronous)}", "except Refused:")
            yield f"    {_call(instead, asynchronous)}"
        case Inner():
            yield from ("try:", f"    {'await ' * asynchronous}inner(order)", "except Refused:", "    pass")
        case Gather(parts):
            for number, part in enumerate(parts):
                yield f"{'async ' * asynchronous}def part_{number}() -> None:"
                yield from (f"    {_call(step, asynchronous)}" for step in part)
                yield "    return None"
            names = ", ".join(f"part_{n}{'()' * asynchronous}" for n in range(len(parts)))
            yield f"await troth.gather({names})" if asynchronous else f"troth.parallel({names})"
        case Leave(how):
            yield "return 'early'" if how == "return" else "raise Refused('sold out')"


def _inner(inner: Inner, asynchronous: bool) -> Iterator[str]:
    yield "@troth.saga(name='inner')"
    yield f"{'async ' * asynchronous}def inner(order: int) -> None:"
    yield from (f"    {_call(step, asynchronous)}" for step in inner.calls)
    yield from ("    raise Refused('another way')", "")


# --- what it does


def calls(body: Body) -> Calls:
    """The calls that a run makes if no step fails."""
    found: Calls = {"0": []}
    here = found["0"]
    gathers = 0
    for statement in body:
        match statement:
            case Step(name, arg):
                here.append((name, arg))
            case Value(name):
                here += [("troth.remember", "*"), (name, "*")]
            case Caught(instead):
                here += [("refuse", "x"), (instead.name, instead.arg)]
            case Inner(inner):
                here += [(step.name, step.arg) for step in inner]
            case Gather(parts):
                gathers += 1
                for number, part in enumerate(parts):
                    found[f"0.{gathers}_{number}"] = [(step.name, step.arg) for step in part]
            case Leave():
                break
    return found


def raises(body: Body) -> bool:
    """Is the function left by an exception?"""
    for statement in body:
        if isinstance(statement, Leave):
            return statement.how == "raise"
    return False


def still_makes(body: Body, recorded: Calls) -> bool:
    """Does a run of the body make each recorded call again, in order, place by place?"""
    now = calls(body)
    for place, made in recorded.items():
        again = now.get(place, [])
        if len(made) > len(again):
            return False
        if not all(a[0] == b[0] and (a[1] == b[1] or b[1] == "*") for a, b in zip(made, again, strict=False)):
            return False
    return True


# --- edits


def edited(body: Body, chance: random.Random) -> tuple[str, Body]:
    """(kind, body) of one random edit; the body always differs."""
    while True:
        kind = chance.choice(("drop", "add", "swap", "argument", "return"))
        made = _EDITS[kind](list(body), chance)
        if (calls(made), raises(made)) != (calls(body), raises(body)):
            return kind, made


def _drop(body: list[Statement], chance: random.Random) -> Body:
    at = chance.randrange(len(body))
    inside = body[at]
    if isinstance(inside, Gather) and chance.random() < 0.5:
        parts = [list(part) for part in inside.parts]
        part = chance.choice(parts)
        del part[chance.randrange(len(part))]
        body[at] = Gather(tuple(tuple(part) for part in parts if part))
    else:
        del body[at]
    return tuple(body)


def _add(body: list[Statement], chance: random.Random) -> Body:
    new = Step(chance.choice(FREE), f"new-{chance.randrange(9)}")
    at = chance.randrange(len(body) + 1)
    inside = body[at - 1]
    if isinstance(inside, Gather) and chance.random() < 0.5:
        parts = list(inside.parts)
        which = chance.randrange(len(parts))
        place = chance.randrange(len(parts[which]) + 1)
        parts[which] = (*parts[which][:place], new, *parts[which][place:])
        body[at - 1] = Gather(tuple(parts))
    else:
        body.insert(at, new)
    return tuple(body)


def _swap(body: list[Statement], chance: random.Random) -> Body:
    at = chance.randrange(len(body))
    inside = body[at]
    if isinstance(inside, Gather):
        body[at] = Gather(inside.parts[::-1])
    else:
        other = chance.randrange(len(body))
        body[at], body[other] = body[other], body[at]
    return tuple(body)


def _argument(body: list[Statement], chance: random.Random) -> Body:
    at = chance.randrange(len(body))
    match body[at]:
        case Step(name, arg):
            body[at] = Step(name, f"{arg}-changed")
        case Caught(instead):
            body[at] = Caught(Step(instead.name, "changed"))
        case Inner(inner):
            body[at] = Inner((*inner[:-1], Step(inner[-1].name, "changed")))
        case Gather(parts):
            body[at] = Gather((*parts[:-1], (*parts[-1][:-1], Step(parts[-1][-1].name, "changed"))))
    return tuple(body)


def _return(body: list[Statement], chance: random.Random) -> Body:
    body.insert(chance.randrange(len(body)), Leave("return"))
    return tuple(body)


_EDITS = {"drop": _drop, "add": _add, "swap": _swap, "argument": _argument, "return": _return}
