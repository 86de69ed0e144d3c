"""Which seed catches a mutant."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.breaking import broken
from troth.testing.simulation.campaign import run

REMEMBERED = Path(__file__).with_name("seeds.json")
"""Mutant -> the seed that caught it last time."""


def remembered(name: str) -> list[int]:
    """The last catching seed, if there is one."""
    known: dict[str, int] = json.loads(REMEMBERED.read_text(encoding="utf-8"))
    return [known[name]] if name in known else []


def caught(name: str, seeds: Iterable[int]) -> tuple[int, str] | None:
    """The first of the seeds that catches the mutant, and how. A run that falls over is a catch as well."""
    with broken(name):
        for seed in seeds:
            try:
                problems = run(seed).problems
            except Exception as error:
                problems = (f"{type(error).__name__}: {error}",)
            if problems:
                return seed, problems[0]
    return None
