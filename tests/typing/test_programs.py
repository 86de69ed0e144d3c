"""Types reach through every decorator: programs that must type-check do, and each wrong line is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "programs"
ROOT = HERE.parents[2]
MARK = re.compile(r"# E: (?P<codes>[a-z\- ]+)$")
FOUND = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z\-]+)\]$")


@cache
def errors() -> dict[tuple[str, int], list[str]]:
    """The error codes of `mypy --strict` by file and line; one run for all programs."""
    programs = [str(path) for path in sorted(HERE.glob("*.py"))]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-incremental"]
    quiet = "--disable-error-code=unused-coroutine"
    run = subprocess.run([*command, quiet, *programs], cwd=ROOT, capture_output=True, text=True, check=False)
    assert not run.stderr, run.stderr
    found: dict[tuple[str, int], list[str]] = {}
    for line in run.stdout.splitlines():
        match = FOUND.match(line)
        if match is None:
            assert ": note: " in line, line
            continue
        found.setdefault((Path(match["file"]).name, int(match["line"])), []).append(match["code"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("program", ["shop.py", "good.py"])
def test_right_programs_type_check(program: str) -> None:
    """Calls, awaits, verbs, options and graphs have the types of the functions that were decorated."""
    assert {line: codes for (name, line), codes in errors().items() if name == program} == {}


@pytest.mark.slow
def test_wrong_lines_are_refused() -> None:
    """Wrong arguments, results, colours and options are errors where they stand."""
    expected = {}
    for number, line in enumerate((HERE / "bad.py").read_text().splitlines(), 1):
        if match := MARK.search(line):
            expected[number] = sorted(match["codes"].split())
    assert {line: sorted(codes) for (name, line), codes in errors().items() if name == "bad.py"} == expected
