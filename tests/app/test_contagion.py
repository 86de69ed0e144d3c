"""L4: one stuck participant slows no transaction that doesn't use it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from troth import Troth
from troth.core import limits

WAIT = 60.0
"""Seconds after which a test counts as hung."""


class Gate:
    """Where calls get stuck.

    :ivar arrived: released once by each call that got here.
    """

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.opened = threading.Event()

    def pass_through(self) -> None:
        """Say that you are here, and wait."""
        self.arrived.release()
        assert self.opened.wait(WAIT)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A closed gate; open at the latest when the test ends, so that nothing waits for ever."""
    made = Gate()
    yield made
    made.opened.set()


def test_a_hung_step_leaves_threads_to_the_others(gate: Gate) -> None:
    """However many calls of one sync step hang, another step's calls are made."""
    troth = Troth("memory://")

    @troth.step(name="hang", guarded=True, compensate=None, timeout=WAIT)
    def hang() -> None:
        gate.pass_through()

    @troth.step(name="pass", guarded=True, compensate=None)
    def go(n: int) -> int:
        return n

    stuck = troth.graph("stuck", input=int, timeout=WAIT)
    stuck.step(hang)
    free = troth.graph("free", input=int)
    free.step(go, n=free.input)
    with troth:
        handles = [stuck.start(number) for number in range(2 * limits.SYNC_THREADS)]
        for _ in range(limits.SYNC_THREADS_PER_STEP):
            assert gate.arrived.acquire(timeout=WAIT)
        assert [free.start(n).result(timeout=WAIT) for n in range(5)] == [{"pass": n} for n in range(5)]
        assert not any(view.finished for view in troth.find(definition="stuck"))
        gate.opened.set()
        assert all(handle.wait(timeout=WAIT).state == "confirmed" for handle in handles)
