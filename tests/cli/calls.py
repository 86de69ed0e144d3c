"""Calls of the command line in this process, as a person at a terminal of 100 columns makes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from troth.cli.main import cli


def troth(*args: str, store: str = "", env: dict[str, str] | None = None) -> Result:
    """Run ``troth`` with these words."""
    named = ["--store", store] if store else []
    result = CliRunner().invoke(cli, [*named, *args], env={"COLUMNS": "100", "TROTH_STORE": "", **(env or {})})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def said(result: Result) -> str:
    """What it printed, on one line: for looking for words that may be broken over two."""
    return " ".join(result.output.split())


def answer(*args: str, store: str = "", code: int = 0) -> Any:
    """Its answer for programs."""
    result = troth(*args, "--json", store=store)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def refused(result: Result, code: int = 1) -> str:
    """What it said when it would not."""
    if result.exit_code != code:
        pytest.fail(f"exit code {result.exit_code}, wanted {code}: {result.output}")
    return said(result)
