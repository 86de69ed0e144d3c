"""``troth doctor --code module:troth``: can this code finish everything that is in flight?"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from troth.cli.finding import Finding, fail, ok, warn
from troth.cli.plain import many
from troth.ports.store import Record

if TYPE_CHECKING:
    from troth.app.code_check import Checked, Problem

SHOWN = 20
"""Differences shown one by one; more of them are only counted."""
NAMED = 5
"""Transactions named for one difference."""


class Unloadable(Exception):
    """The code can't be had; the message says why."""


def load(code: str) -> Any:
    """The Troth object that ``module:attribute`` names; the current directory can be imported from.

    :raises click.UsageError: that is not what it looks like.
    :raises Unloadable: there is none, or its module can't be imported.
    """
    module, colon, attribute = code.partition(":")
    if not (module and colon and attribute):
        raise click.UsageError(f"--code {code!r} is not module:attribute, e.g. --code shop:troth")
    from troth.app.troth import Troth

    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise Unloadable(f"{module} can't be imported from {os.getcwd()}: {type(error).__name__}: {error}") from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise Unloadable(f"{module} has no {attribute}: name the variable that holds the Troth object")
        found = getattr(found, name)
    if not isinstance(found, Troth):
        raise Unloadable(f"{code} is a {type(found).__name__}, not a Troth object")
    return found


def unloadable(error: Unloadable) -> Finding:
    """What to do about it."""
    return fail("code check", str(error), "run it where your program runs, with the same environment")


def check_code(code: str, records: Sequence[Record]) -> Iterator[Finding]:
    """A finding for each transaction that this code can't finish, or one that all is well."""
    from troth.app.code_check import check_code as check
    from troth.ports.errors import DefinitionError

    try:
        checked = check(load(code), records)
    except Unloadable as error:
        yield unloadable(error)
        return
    except DefinitionError as error:
        yield fail("code check", f"no node would start with {code}: {error}", "")
        return
    yield from told(code, checked)


def told(code: str, checked: Checked) -> Iterator[Finding]:
    """One line for all that differ in the same way; what can't be finished comes first."""
    groups: dict[Problem, list[str]] = {}
    for problem in sorted(checked.problems, key=lambda problem: not problem.sure):
        groups.setdefault(problem._replace(gid=""), []).append(problem.gid)
    shown = list(groups.items())[:SHOWN]
    for number, (problem, gids) in enumerate(shown):
        text = f"{listed(gids)}: {problem.recorded}; {code} {problem.now}"
        last = number + 1 == len(shown) or shown[number + 1][0].cures != problem.cures
        yield (fail if problem.sure else warn)("code check", text, "\n".join(problem.cures) if last else "")
    if len(groups) > SHOWN:
        yield fail("code check", f"and {len(groups) - SHOWN} more differences", "cure these first, then look again")
    if not groups:
        ran = many(checked.ran, "function")
        yield ok("code check", f"{code} can finish all {checked.looked} of them ({ran} run against their records)")


def listed(gids: Sequence[str]) -> str:
    """Some gids, and how many there are beside them."""
    more = f" and {len(gids) - NAMED} more" if len(gids) > NAMED else ""
    return ", ".join(gids[:NAMED]) + more
