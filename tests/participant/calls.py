"""Calls and effects for tests of real databases."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from msgspec import Raw

from troth.core.words import Op
from troth.ports.caller import Call

_NUMBERS = itertools.count(1)
TABLE = "CREATE TABLE IF NOT EXISTS note (n INTEGER)"
Effect = Callable[[Any, Raw | None], Raw]


def new_call(op: Op = Op.ACTION, timeout: float = 10.0, uid: bytes | None = None) -> Call:
    """A call to a branch that nobody called before."""
    number = uid or next(_NUMBERS).to_bytes(16, "big")
    return Call(number, "gid", "step#1", op, "step", 1, Raw(b"{}"), None, 1, 0, "log", timeout)


def doing(*statements: str, also: Callable[[Any], Any] | None = None) -> Effect:
    """An effect that runs the statements, then calls *also* with the connection."""

    def effect(db: Any, stored: Raw | None) -> Raw:
        for statement in statements:
            db.execute(statement)
        if also is not None:
            also(db)
        return Raw(b"1")

    return effect


NOTE = doing("INSERT INTO note VALUES (1)")


def notes(database: Any) -> int:
    """How many notes effects left."""
    return int(database.plain(lambda db: db.execute("SELECT count(*) FROM note").fetchone())[0])
