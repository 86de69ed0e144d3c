"""Every numbered clause of a port is examined."""

from __future__ import annotations

import ast
import re

import pytest

from tests.house.source import SRC, Module, modules

CLAUSE = re.compile(r"^(\d+)\.\s", re.MULTILINE)
EXAMINED = re.compile(r"test_c(\d+)")


def exam_of(port: Module) -> list[Module]:
    """The exam's modules: ``testing/exams/<port>.py``, ``<port>_….py``, or a folder of that name."""
    exams = SRC / "testing" / "exams"
    return [
        module
        for module in modules("src/troth/testing")
        if (module.path.parent == exams and re.fullmatch(rf"{port.path.stem}(_\w+)?", module.path.stem))
        or module.path.parent == exams / port.path.stem
    ]


def examined(exam: list[Module]) -> set[int]:
    """The clauses that some test of the exam is named after: ``test_c07_…``."""
    functions = (function.name for module in exam for function in module.functions())
    return {int(found.group(1)) for name in functions if (found := EXAMINED.match(name))}


PORTS = [
    (port, clauses)
    for port in modules("src/troth/ports")
    if (clauses := {int(number) for number in CLAUSE.findall(ast.get_docstring(port.tree) or "")})
]


@pytest.mark.parametrize(("port", "clauses"), PORTS, ids=[port.path.stem for port, _ in PORTS])
def test_every_clause_of_a_port_has_a_test_in_its_exam(port: Module, clauses: set[int]) -> None:
    """A clause that nobody examines is a wish."""
    exam = exam_of(port)
    missing = sorted(clauses - examined(exam)) if exam else []
    assert not missing, f"{port.place}: no test_cNN in its exam for clauses {missing}"


@pytest.mark.parametrize(("port", "clauses"), PORTS, ids=[port.path.stem for port, _ in PORTS])
def test_the_clauses_of_a_port_are_numbered_without_gaps(port: Module, clauses: set[int]) -> None:
    """A clause can be named by its number."""
    assert clauses == set(range(1, len(clauses) + 1)), port.place
