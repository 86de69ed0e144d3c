"""Colours, and the console that tables and trees are printed on."""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.text import Text

STATE = {
    "trying": "blue",
    "confirming": "cyan",
    "confirmed": "green",
    "cancelling": "yellow",
    "cancelled": "magenta",
    "failed": "bold red",
}
FATE = {
    "idle": "dim",
    "held": "dim",
    "calling": "blue",
    "done": "green",
    "refused": "magenta",
    "not_done": "yellow",
    "gave_up": "yellow",
    "compensated": "magenta",
    "confirmed": "green",
    "cancelled": "magenta",
}
WORD = {
    "done": "green",
    "refused": "magenta",
    "sealed": "magenta",
    "ongoing": "cyan",
    "not_done": "yellow",
    "unknown": "yellow",
    "conflict": "bold red",
}
PIPED = 200
"""Characters a line where the output is no terminal and COLUMNS says nothing: a pipe has no edge to fit."""


def console() -> Console:
    """Where to print: a terminal's own width and colours; plain and wide into a pipe."""
    wide = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPED
    return Console(width=wide, highlight=False, markup=False, emoji=False, soft_wrap=False)


def state(text: str) -> Text:
    """A transaction's state in its colour."""
    return Text(text, STATE.get(text.split(" ", 1)[0], ""))


def fate(text: str) -> Text:
    """A branch's fate in its colour."""
    return Text(text, FATE.get(text, ""))


def word(text: str) -> Text:
    """A reply's word in its colour."""
    return Text(text, WORD.get(text, ""))
