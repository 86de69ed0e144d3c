"""Small files, small functions: what a reader can hold in the head at once."""

from __future__ import annotations

import ast

from tests.house.source import Function, complain, modules

FILE_LINES = 400
FUNCTION_LINES = 60
"""Without the docstring."""
WORDLESS = {"utils", "util", "helpers", "helper", "misc", "common", "stuff"}


def length(function: Function) -> int:
    """Lines of a function from its ``def``, its docstring not counted."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_no_file_is_longer_than_the_cap() -> None:
    """A file holds one subject."""
    found = [
        f"{module.place}: {lines} lines"
        for module in modules("src", "tests", "bench", "examples", "scripts")
        if (lines := module.text.count("\n")) > FILE_LINES
    ]
    complain(found, f"at most {FILE_LINES} lines a file")


def test_no_function_is_longer_than_the_cap() -> None:
    """A function does one thing."""
    found = [
        f"{module.at(function)}: {function.name}, {lines} lines"
        for module in modules("src", "bench", "examples", "scripts")
        for function in module.functions()
        if (lines := length(function)) > FUNCTION_LINES
    ]
    complain(found, f"at most {FUNCTION_LINES} lines a function, docstring not counted")


def test_every_file_is_named_after_its_subject() -> None:
    """No file is a drawer for whatever found no other place."""
    found = [module.place for module in modules("src", "tests", "bench", "examples") if module.path.stem in WORDLESS]
    complain(found, "a file's name says what is in it")
