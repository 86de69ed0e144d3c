"""What the README and the documentation show is run as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.snippets import Block, programs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if path.exists()]
PROGRAMS = [
    pytest.param(path, blocks, id=f"{path.relative_to(ROOT).as_posix()}:{blocks[0].line}")
    for path in PAGES
    for blocks in programs(path.read_text(encoding="utf-8"))
]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#:\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize(("path", "blocks"), PROGRAMS)
def test_the_python_blocks_of_a_page_run(path: Path, blocks: list[Block], tmp_path: Path) -> None:
    """Every Python block runs, in a program of its own process and directory, without a warning."""
    order = json.dumps({"place": str(path), "blocks": blocks})
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests" / "docs" / "snippets.py")],
        input=order,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


@pytest.mark.parametrize("path", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
def test_the_links_of_a_page_lead_somewhere(path: Path) -> None:
    """A link to a file of the repository names one that exists."""
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing, f"{path.name} links to what isn't there: {missing}"


def test_blocks_follow_each_other_and_comments_change_that() -> None:
    """Blocks of a page are one program; a fresh one starts another, one not to be run is left out."""
    lines = ["```python", "a = 1", "```", "", "<!-- no-run -->", "```python", "boom()", "```", "```sh", "ls", "```"]
    lines += ["<!-- fresh -->", "", "  ```python", "  b = 2", "  ```", "```python", "c = b", "```"]
    assert programs("\n".join(lines)) == [[Block(2, "a = 1\n")], [Block(15, "b = 2\n"), Block(18, "c = b\n")]]
