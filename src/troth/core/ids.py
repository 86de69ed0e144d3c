"""Names of things: gids, step and saga names, branch ids. Derived, checked, never drawn here.

`core` knows no error tree; what is wrong is an `Unfit`, which the application turns into its own errors.
"""

from __future__ import annotations

import re
from typing import Final

from troth.core import limits

ROOT: Final = "0"
"""The place of the saga's own calls."""

_GID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]*")


class Unfit(ValueError):
    """A name that can't be used.

    :param problem: what is wrong with it.
    :param cure: what to do.
    :param limit: the name of the limit it is over, or "".
    :param value: its length.
    :param maximum: the length allowed.
    """

    def __init__(self, problem: str, cure: str, limit: str = "", value: int = 0, maximum: int = 0) -> None:
        super().__init__(f"{problem}. {cure}")
        self.problem = problem
        self.cure = cure
        self.limit = limit
        self.value = value
        self.maximum = maximum


def check_gid(gid: object) -> str:
    """The gid, if it is one: 1 to 128 of ``A-Za-z0-9._:-``, the first a letter or digit.

    ``.`` and ``..`` would be eaten from a URL's path, so the first character is no dot (B21).

    :raises Unfit: if it isn't.
    """
    if not isinstance(gid, str):
        raise Unfit(f"a gid is a str, not {type(gid).__name__}", 'Make it one, e.g. gid=f"order-{order.id}"')
    if len(gid) > limits.GID_LENGTH:
        raise _long("GID_LENGTH", gid, limits.GID_LENGTH, "Use a shorter key, or a hash of it")
    if _GID.fullmatch(gid) is None:
        cure = "Use 1 to 128 letters, digits and . _ : - only, a letter or digit first"
        raise Unfit(f"{gid!r} is no gid" if gid else "the gid is empty", cure)
    return gid


def check_name(name: object) -> str:
    """The name of a step, saga or database, if it is one: 1 to 128 printable characters without ``/`` and ``#``.

    :raises Unfit: if it isn't.
    """
    if not isinstance(name, str):
        raise Unfit(f"a name is a str, not {type(name).__name__}", "Give a text")
    if not name:
        raise Unfit("the name is empty", "Give one")
    if len(name) > limits.NAME_LENGTH:
        raise _long("NAME_LENGTH", name, limits.NAME_LENGTH, "Give a shorter name=")
    if not name.isprintable():
        raise Unfit(f"{name!r} contains a character that can't be printed", "Leave it out")
    if "/" in name or "#" in name:
        raise Unfit(f"{name!r} contains / or #, which separate the parts of a branch id", "Use . or - instead")
    return name


def branch_id(place: str, name: str, occurrence: int) -> str:
    """``place/name#occurrence``: the same in every run of the same code, whatever the timing (P16).

    :param place: where in a ``gather``; `ROOT` for the saga's own calls.
    :param occurrence: which call of that name at that place, from 1.
    :raises Unfit: if it is longer than its limit.
    """
    made = f"{place}/{name}#{occurrence}"
    if len(made) > limits.BRANCH_ID_LENGTH:
        raise _long("BRANCH_ID_LENGTH", made, limits.BRANCH_ID_LENGTH, "Give the step a shorter name=, or nest less")
    return made


def split_branch_id(branch: str) -> tuple[str, str, int]:
    """(place, name, occurrence) of a branch id.

    :raises ValueError: if it is none.
    """
    place, slash, rest = branch.rpartition("/")
    name, mark, occurrence = rest.rpartition("#")
    if not (slash and mark and occurrence.isdecimal()):
        raise ValueError(f"{branch!r} is no branch id (place/name#occurrence)")
    return place, name, int(occurrence)


def _long(limit: str, text: str, maximum: int, cure: str) -> Unfit:
    problem = f"{text[:32]!r}… has {len(text)} characters, {limit} is {maximum}"
    return Unfit(problem, cure, limit, len(text), maximum)
