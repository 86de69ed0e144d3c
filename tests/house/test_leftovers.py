"""Nothing unfinished, and nothing about how it was made."""

from __future__ import annotations

import ast
import re

from tests.house.source import ROOT, complain, modules

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\b|\bbreakpoint\(|\bpdb\.set_trace\b")
MACHINE = re.compile(r"(?<![\w.])/(work|root|home/\w+)/|\b(issue|ticket|pull request) #?\d", re.IGNORECASE)
TEXTS = ("*.md", "docs/**/*.md", ".github/**/*.yml", "*.toml", "Makefile", "scripts/*", ".ci/*")


def texts() -> list[tuple[str, str]]:
    """Every file of ours that people read: code and prose, this folder's own patterns apart."""
    code = [(module.place, module.text) for module in modules("src", "bench", "examples", "scripts", "tests")]
    prose = [
        (path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for pattern in TEXTS
        for path in sorted(ROOT.glob(pattern))
        if path.is_file()
    ]
    return [(place, text) for place, text in {**dict(code), **dict(prose)}.items() if "tests/house/" not in place]


def matches(pattern: re.Pattern[str]) -> list[str]:
    """``path:line: what`` for every match in every text."""
    return [
        f"{place}:{number}: {found.group(0)}"
        for place, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if (found := pattern.search(line))
    ]


def test_nothing_is_left_for_later() -> None:
    """What is in the repository is finished; what isn't is not in it."""
    complain(matches(UNFINISHED), "no notes to self, no stubs")


def test_code_names_no_machine_and_no_ticket() -> None:
    """Code explains itself: no path of one machine, no number of a ticket."""
    found = [line for line in matches(MACHINE) if line.split(":", 1)[0].endswith((".py", ".sh", "Makefile"))]
    complain(found, "code names no machine path and no ticket number")


def test_no_test_waits_by_sleeping() -> None:
    """A test waits for what it waits for; only functions named for slowness may sleep."""
    found = [
        f"{module.at(node)}: {ast.unparse(node)}"
        for module in modules("tests")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
        if "# simulates" not in module.text.splitlines()[node.lineno - 1]
    ]
    complain(found, "no time.sleep in tests; a participant that is slow on purpose says so with `# simulates ...`")
