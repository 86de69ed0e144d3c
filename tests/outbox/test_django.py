"""Messages inside of Django's blocks and tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_atomic_blocks_and_test_cases(tmp_path: Path) -> None:
    """In autocommit it is refused; a savepoint, a block and a ``TestCase`` that are rolled back leave nothing; the migration
    goes both ways."""
    pytest.importorskip("django", reason="Django isn't installed")
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests" / "outbox" / "django_program.py"), str(tmp_path / "django.db")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (ran.stdout.splitlines(), ran.returncode) == (
        ["ConfigurationError", "['kept'] ['kept']", "True []", "False True"], 0
    ), ran.stderr  # fmt: skip
