"""The core is pure: rules only."""

from __future__ import annotations

import ast

from tests.house.source import complain, modules

PURE = {
    "__future__", "abc", "base64", "bisect", "collections", "collections.abc", "contextlib", "dataclasses", "decimal", "enum",
    "fractions", "functools", "hashlib", "heapq", "itertools", "math", "operator", "re", "string", "textwrap", "types",
    "typing", "msgspec", "msgspec.json",
}  # fmt: skip
"""What core may import besides itself: nothing here reads a clock, draws chance, logs or touches the outside."""

OF_THE_INTERPRETER = {"sys.version_info"}
"""What core may read of `sys`: the same in every process of one interpreter."""

IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint", "id", "hash"}
"""Builtins with an effect, or with an answer that differs from one process to the next."""


def test_core_imports_only_itself_and_the_pure_part_of_the_standard_library() -> None:
    """No I/O, clock, chance, logging or asyncio can enter core, because nothing that has them is imported."""
    found = [
        f"{module.at(node)}: {name}"
        for module in modules("src/troth/core")
        for node, name in module.imports()
        if name not in PURE and name != "sys" and name != "troth.core" and not name.startswith("troth.core.")
    ]
    complain(found, "core imports only core and these: " + ", ".join(sorted(PURE)))


def test_core_reads_nothing_of_the_process() -> None:
    """Of `sys` core reads the interpreter's version, to be fast on each, and nothing else."""
    found = [
        f"{module.at(node)}: {ast.unparse(node)}"
        for module in modules("src/troth/core")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
        and ast.unparse(node) not in OF_THE_INTERPRETER
    ]
    found += [
        f"{m.at(node)}: from sys import"
        for m in modules("src/troth/core")
        for node in ast.walk(m.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "sys"
    ]
    complain(found, "core may read only " + ", ".join(OF_THE_INTERPRETER))


def test_core_has_no_coroutine_and_no_global_state() -> None:
    """A decision is a value: core has no async, no await, no global and no nonlocal."""
    forbidden = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Global, ast.Nonlocal)
    found = [
        f"{module.at(node)}: {type(node).__name__}"
        for module in modules("src/troth/core")
        for node in ast.walk(module.tree)
        if isinstance(node, forbidden)
    ]
    complain(found, "core is plain functions over plain values")


def test_core_calls_nothing_with_an_effect() -> None:
    """Core neither prints, opens nor evaluates, and never asks for what differs between processes."""
    found = [
        f"{module.at(node)}: {node.func.id}()"
        for module in modules("src/troth/core")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS
    ]
    complain(found, "core is deterministic and has no effects")


def test_core_keeps_no_mutable_module_state() -> None:
    """Two nodes in one process (the simulator has three) share nothing through core."""
    mutable = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    found = []
    for module in modules("src/troth/core"):
        for node in module.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, mutable):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                if names != ["__all__"] and not all(name.isupper() or name.lstrip("_").isupper() for name in names):
                    found.append(f"{module.at(node)}: {', '.join(names)}")
    complain(found, "tables in core are constants, in capitals, and typed Final or Mapping")
