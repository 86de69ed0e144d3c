"""Find the Python blocks of a Markdown file and run them, in order, as one program.

A block follows those above it in its file: one namespace, one working directory. A comment on the line before the fence
changes that: ``<!-- no-run -->`` leaves the block out, ``<!-- fresh -->`` starts anew. A block may use ``await`` at
its top level. Run as a program, this file executes what it finds on its standard input.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import linecache
import re
import sys
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\s*$")
COMMENT = re.compile(r"^\s*<!--\s*(?P<word>no-run|fresh)\s*-->\s*$")


class Block(NamedTuple):
    """One Python block: the line of its first statement (from 1) and its text."""

    line: int
    code: str


def programs(text: str) -> list[list[Block]]:
    """The runnable Python blocks of a file, as the programs they make together."""
    found: list[list[Block]] = [[]]
    word, lines = "", text.splitlines()
    number = 0
    while number < len(lines):
        comment, fence = COMMENT.match(lines[number]), FENCE.match(lines[number])
        if fence:
            end = next(at for at in range(number + 1, len(lines)) if lines[at].strip() == "```")
            if fence["language"] == "python" and word != "no-run":
                if word == "fresh":
                    found.append([])
                cut = len(fence["indent"])
                found[-1].append(Block(number + 2, "\n".join(line[cut:] for line in lines[number + 1 : end]) + "\n"))
            number = end
        if comment:
            word = comment["word"]
        elif lines[number].strip():
            word = ""
        number += 1
    return [program for program in found if program]


def execute(place: str, blocks: list[Block]) -> None:
    """Run one program in ``__main__``, so that names have a module as in a user's own file."""
    linecache.cache[place] = (0, None, Path(place).read_text(encoding="utf-8").splitlines(keepends=True), place)
    names = sys.modules["__main__"].__dict__
    for block in blocks:
        padded = "\n" * (block.line - 1) + block.code
        code = compile(padded, place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)


if __name__ == "__main__":
    order = json.load(sys.stdin)
    execute(order["place"], [Block(*block) for block in order["blocks"]])
