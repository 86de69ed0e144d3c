"""Breaking one rule: replacing a named function wherever it was imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from tests.mutants.table import TABLE
from troth.testing.simulation import compared


def found(path: str) -> tuple[Any, str, Any]:
    """(where it lives, its name, the function) of a dotted path."""
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            owner: Any = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:-1]:
            owner = getattr(owner, part)
        return owner, parts[-1], vars(owner)[parts[-1]]
    raise LookupError(path)


def no_move(*given: Any, **named: Any) -> None:
    """The smooth path, closed."""


@contextmanager
def broken(name: str) -> Iterator[None]:
    """While inside, the mutant's function is replaced, also under the names it was imported by.

    The rules are asked alone: that the smooth path comes to other moves than broken rules would catch every mutant.
    """
    path, replacement = TABLE[name]
    owner, attribute, original = found(path)
    if getattr(replacement, "wraps", False):
        replacement = replacement(original)
    places: list[tuple[Any, str]] = [(owner, attribute)]
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("troth."):
            places += [(module, key) for key, value in vars(module).items() if value is original and module is not owner]
    tables = [
        (table, key)
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("troth.")
        for table in list(vars(module).values())
        if isinstance(table, dict)
        for key, value in list(table.items())
        if value is original and table is not vars(module)
    ]
    for where, key in places:
        setattr(where, key, replacement)
    for table, key in tables:
        table[key] = replacement
    smooth = compared.first_move, compared.next_move
    compared.first_move = compared.next_move = no_move
    try:
        yield
    finally:
        compared.first_move, compared.next_move = smooth
        for where, key in places:
            setattr(where, key, original)
        for table, key in tables:
            table[key] = original
