"""Rules that hold for every test: nothing is swallowed, nothing is skipped unseen.

Warnings are errors, which covers an exception in a thread, one in a destructor, and a coroutine never awaited. What an
event loop would only log is collected here and fails the test that caused it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.budget import CHAOS, EXAMPLES

pytest_plugins = ["tests.servers"]

settings.register_profile(
    "troth", deadline=None, max_examples=EXAMPLES, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("troth")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: the programs that tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

REQUIRED = os.environ.get("TROTH_REQUIRE_SERVICES", "")
"""``all``: a test that would be skipped for want of something fails instead."""


def pytest_report_header() -> str:
    """Say which budget this run has."""
    skips = "failures" if REQUIRED == "all" else "allowed"
    return f"budget: {'chaos' if CHAOS else 'test'} (tests/budget.py); skips are {skips}"


def _describe(context: dict[str, Any]) -> str:
    error = context.get("exception")
    told = "".join(traceback.format_exception(error)) if error is not None else ""
    return f"{context.get('message', 'unhandled')}\n{told}"


@pytest.fixture(autouse=True)
def loop_errors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What an event loop's exception handler was told during the test; anything left in it fails the test.

    A test that means to cause one takes the fixture, looks, and clears it.
    """
    seen: list[str] = []
    monkeypatch.setattr(
        asyncio.BaseEventLoop, "default_exception_handler", lambda loop, context: seen.append(_describe(context))
    )
    yield seen
    if seen:
        pytest.fail("an event loop reported what nobody handled:\n" + "\n".join(seen), pytrace=False)


def _unskip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if REQUIRED == "all" and report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"TROTH_REQUIRE_SERVICES=all allows no skip. {why}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where everything is required."""
    report = yield
    _unskip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module."""
    report = yield
    _unskip(report)
    return report
