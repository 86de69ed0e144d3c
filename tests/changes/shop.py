"""A user's program, made anew for each deploy: the same steps on one database, and sagas as the test wants them."""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.changes.bodies import Body, source

NAMES = itertools.count()

STEPS = '''
import os
from troth import Refused, Troth

async def held(order, place):
    """Between two statements of an async saga: go on."""

def held_here(order, place):
    """The same in a sync one."""

def draw():
    return os.urandom(8).hex()

troth = Troth("sqlite:///{folder}/log.db", drain=0.0)
shop = troth.database("shop", "sqlite:///{folder}/shop.db")

def note(db, what, order, arg):
    call = troth.current()
    db.execute("CREATE TABLE IF NOT EXISTS happened (gid TEXT, branch TEXT, what TEXT, arg TEXT)")
    db.execute("INSERT INTO happened VALUES (?, ?, ?, ?)", (call.gid, call.branch, what, arg))

def order_gid(order):
    return f"order-{{order}}"
'''

STEP = '''
@troth.step(on=shop, name="{name}", aliases={aliases!r}, role="{role}"{waived})
def {function}(db, order: int, arg: str) -> str:
    note(db, "done", order, arg)
    return arg
'''

UNDO = '''
@{function}.compensate
def un{function}(db, order: int, arg: str) -> None:
    note(db, "undone", order, arg)
'''

REFUSE = '''
@troth.step(on=shop, name="refuse", compensate=None)
def refuse(db, order: int, arg: str) -> None:
    raise Refused("not this way")
'''

ROLES = {"pay": "pivot", "tell": "retriable", "ship": "retriable"}
ALL = ("pick", "pack", "weigh", "label", "pay", "tell", "ship")


def step(name: str, *, function: str = "", aliases: tuple[str, ...] = ()) -> str:
    """A step's definition.

    :param function: what it is called in the code; default: its name.
    """
    role = ROLES.get(name, "compensable")
    waived = ", compensate=None" if role == "retriable" else ""  # an edit may put it before the pivot
    texts = [STEP.format(name=name, function=function or name, aliases=aliases, role=role, waived=waived)]
    if role == "compensable":
        texts.append(UNDO.format(function=function or name))
    return "".join(texts)


def program(folder: Path, *sagas: str, without: tuple[str, ...] = (), more: str = "") -> str:
    """The program's text.

    :param without: steps that it has no more.
    :param more: further definitions.
    """
    steps = [step(name) for name in ALL if name not in without]
    return "\n".join([STEPS.format(folder=folder), *steps, REFUSE, more, *sagas])


def shop(folder: Path, bodies: dict[str, Body], *, asynchronous: bool, without: tuple[str, ...] = ()) -> str:
    """The program of these sagas."""
    sagas = [source(name, body, asynchronous=asynchronous) for name, body in bodies.items()]
    return program(folder, *sagas, without=without)


def deploy(text: str, **hooks: Callable[..., Any]) -> Any:
    """Import the program's text as a module of its own.

    :param hooks: what ``held`` and ``held_here`` shall be instead.
    """
    name = f"shop_{next(NAMES)}"
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(text, f"{name}.py", "exec"), vars(module))
    vars(module).update(hooks)
    return module
