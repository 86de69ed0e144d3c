"""Django's own connections are understood."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_states_and_fences_on_an_alias(tmp_path: Path) -> None:
    """A move in autocommit is one statement; a fence there is refused, and holds inside ``atomic``."""
    pytest.importorskip("django", reason="Django isn't installed")
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests" / "idempotency" / "django_program.py"), str(tmp_path / "django.db")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.stdout.split(), ran.returncode) == (
        ["True", "False", "IllegalTransition", "ConfigurationError", "None", "StaleToken"], 0
    ), ran.stderr  # fmt: skip
