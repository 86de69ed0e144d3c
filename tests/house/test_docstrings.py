"""Everything public says what it means."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.source import SRC, Function, Module, complain, modules

SILENT = {"overload", "override", "setter"}


def decorated(node: Function) -> set[str]:
    """The last words of its decorators: ``x.setter`` is ``setter``."""
    calls = (item.func if isinstance(item, ast.Call) else item for item in node.decorator_list)
    return {ast.unparse(item).rsplit(".", 1)[-1] for item in calls}


def interface_methods() -> set[str]:
    """Methods of Protocols and abstract methods: a documented Protocol (a port by its clauses) describes them once for
    all, an abstract method is described where it is declared."""
    return {
        item.name
        for module in modules("src")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and ast.get_docstring(node)
        for item in node.body
        if isinstance(item, Function)
        and (
            any("Protocol" in ast.unparse(base) for base in node.bases)
            or ("abstractmethod" in decorated(item) and ast.get_docstring(item))
        )
    }


def public(body: list[ast.stmt], inside: str = "") -> Iterator[tuple[str, ast.ClassDef | Function]]:
    """Public classes and functions of a module, and the methods of its public classes."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield inside + node.name, node
            yield from public(node.body, f"{inside}{node.name}.")
        elif isinstance(node, Function) and not node.name.startswith("_") and not decorated(node) & SILENT:
            yield inside + node.name, node


def undocumented(module: Module, known: set[str]) -> Iterator[str]:
    """What in the module is public and says nothing."""
    if not ast.get_docstring(module.tree) and module.text.strip():
        yield f"{module.place}: the module"
    if any(part.startswith("_") and not part.startswith("__") for part in module.path.relative_to(SRC).parts):
        return
    for name, node in public(module.tree.body):
        if ast.get_docstring(node) is None and not ("." in name and node.name in known):
            yield f"{module.at(node)}: {name}"


def test_everything_public_has_a_docstring() -> None:
    """A user who types help() is answered. Methods of a Protocol are described there, once."""
    known = interface_methods()
    found = [line for module in modules("src") for line in undocumented(module, known)]
    complain(found, "public modules, classes, functions and methods have a docstring")
