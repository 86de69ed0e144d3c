"""Generated documentation says what the code does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_generated_page_is_what_the_rules_answer_today() -> None:
    """docs/rules.md is made from `decide` and `verdict`, and is up to date."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "regen.py"), "--check"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": "random"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
