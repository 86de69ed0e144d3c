"""How a script of the database port is run, in either colour, and how its statements are written for a library."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeVar

from troth.ports.database import Request, Script
from troth.ports.errors import ConfigurationError

T = TypeVar("T")


def run(script: Script[T], perform: Callable[[Request], Any]) -> T:
    """Run a script to its end: what it asks for is performed; what that raises is thrown into it."""
    try:
        request = next(script)
        while True:
            try:
                answer = perform(request)
            except Exception as error:
                request = script.throw(error)
            else:
                request = script.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def arun(script: Script[T], perform: Callable[[Request], Awaitable[Any]]) -> T:
    """`run` in the other colour."""
    try:
        request = next(script)
        while True:
            try:
                answer = await perform(request)
            except Exception as error:
                request = script.throw(error)
            else:
                request = script.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


@lru_cache(maxsize=256)
def placed(sql: str, style: str) -> str:
    """A statement with a library's placeholders where it has ``?``.

    :param style: PEP 249's word, or SQLAlchemy's ``numeric_dollar``.
    :raises ConfigurationError: if it is a style that isn't written here.
    """
    if style == "qmark":
        return sql
    if style in ("format", "pyformat"):
        return sql.replace("?", "%s")
    if style in ("numeric", "numeric_dollar"):
        first, *others = sql.split("?")
        mark = "$" if style == "numeric_dollar" else ":"
        return first + "".join(f"{mark}{number}{part}" for number, part in enumerate(others, 1))
    raise ConfigurationError(f"the connection's paramstyle {style!r} is none that troth writes. Use another driver.")
