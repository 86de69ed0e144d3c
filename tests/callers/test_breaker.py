"""The circuit breaker."""

from __future__ import annotations

from troth.adapters.callers.breaker import Breaker
from troth.core import limits

SECOND = 1_000_000


def opened() -> Breaker:
    """One whose destination has just gone down, at time 0 (microseconds, and never 0 in life)."""
    breaker = Breaker()
    for _ in range(limits.CIRCUIT_FAILURES):
        assert breaker.wait(1, 0.0) == 0
        breaker.failed(1, 0.0)
    return breaker


def test_failures_in_a_row_open_it_and_any_answer_starts_the_count_anew() -> None:
    """Five in a row, not five in all."""
    breaker = Breaker()
    for _ in range(3):
        assert not any(breaker.failed(1, 0.0) for _ in range(limits.CIRCUIT_FAILURES - 1))
        assert not breaker.answered()
    assert [breaker.failed(1, 0.0) for _ in range(limits.CIRCUIT_FAILURES + 1)] == [False] * 4 + [True, False]


def test_one_call_at_a_time_tries_again() -> None:
    """When the pause is over one call goes through; the others wait, twice as long each time, up to the cap."""
    breaker, now = opened(), 1
    assert breaker.wait(now, 0.0) == SECOND
    for pause in (2, 4, 8, 16, 30, 30):
        now += breaker.wait(now, 0.0)
        assert breaker.wait(now, 0.0) == 0
        assert breaker.wait(now, 0.0) == pause * SECOND
        breaker.failed(now, 0.0)
        assert breaker.wait(now, 0.0) == pause * SECOND


def test_an_answer_closes_it_whoever_got_it() -> None:
    """The first answer lets everyone in again, and the next outage begins with a short pause."""
    breaker = opened()
    assert breaker.answered() and not breaker.answered()
    assert breaker.wait(2, 0.0) == 0
    for _ in range(limits.CIRCUIT_FAILURES):
        breaker.failed(2, 0.0)
    assert breaker.wait(2, 0.0) == SECOND


def test_jitter_keeps_nodes_apart() -> None:
    """Up to half of the pause is taken away, so that not all come back at once."""
    breaker = Breaker()
    for _ in range(limits.CIRCUIT_FAILURES):
        breaker.failed(1, 1.0)
    assert breaker.wait(1, 0.0) == SECOND // 2


def test_an_outage_that_lasts_uses_up_attempts() -> None:
    """Waiting is free for ten minutes; after that a person is to be asked."""
    breaker = opened()
    assert breaker.free(599 * SECOND)
    assert not breaker.free(601 * SECOND)
