"""How much a run of the benchmark measures, and the bars it is held against."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

LEVELS: Final = (1, 16, 64, 256)
"""Transactions in flight in one process."""
FULL: Final = 256
"""The level at which throughput is compared."""
SIDES: Final = ("bare-declared", "troth-declared", "bare-function", "troth-function", "dbos", "dbos-wal")
"""In the order in which a round measures them."""
FAST_SIDES: Final = ("troth-declared-uvloop", "troth-function-uvloop") if find_spec("uvloop") else ()
"""The same code on uvloop's event loop: shown beside, judged by no bar."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one run measures.

    :param rounds: interleaved rounds; the median counts.
    :param sides: who races at all levels of concurrency.
    :param seconds: seconds one measurement takes.
    :param slow_seconds: the same for sides of some hundred transactions a second.
    :param finished: finished transactions in the log before throughput is measured.
    :param in_flight: transactions open at a time when memory is measured.
    :param unfinished: transactions a dead process leaves behind for recovery.
    """

    rounds: int = 5
    sides: tuple[str, ...] = SIDES + FAST_SIDES
    seconds: float = 1.0
    slow_seconds: float = 2.0
    finished: tuple[int, ...] = (0, 100_000, 1_000_000)
    in_flight: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    unfinished: int = 100_000
    processes: tuple[int, ...] = (1, 2, 4)
    takeovers: int = 5


QUICK: Final = Sizes(
    rounds=1,
    seconds=0.3,
    slow_seconds=0.5,
    finished=(0, 2_000),
    in_flight=(100, 1_000),
    unfinished=1_000,
    processes=(1, 2, 4),
    takeovers=1,
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One acceptance bar: a figure of the run and what it must be.

    :param key: path of the figure below ``figures`` in the JSON.
    :param relation: ``>=`` or ``<=``.
    """

    key: str
    title: str
    relation: str
    bar: float
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Whether the figure passes."""
        return value >= self.bar if self.relation == ">=" else value <= self.bar


BARS: Final = (
    Bar("declared_of_bare", "declared form, of its bare loop, 256 in flight", ">=", 0.25, "×"),
    Bar("function_of_bare", "function form, of its bare loop, 256 in flight", ">=", 0.20, "×"),
    Bar("declared_of_dbos", "declared form, of DBOS in WAL mode at its best level", ">=", 50, "×"),
    Bar("function_of_dbos", "function form, of DBOS in WAL mode at its best level", ">=", 30, "×"),
    Bar("declared_p50_of_bare", "declared form, p50 one at a time, of its bare loop", "<=", 3, "×"),
    Bar("function_p50_of_bare", "function form, p50 one at a time, of its bare loop", "<=", 3, "×"),
    Bar("transactions_per_commit", "declared form, transactions per commit, 256 in flight", ">=", 64),
    Bar("finished_ratio", "throughput with the most finished rows, of an empty log", ">=", 0.9, "×"),
    Bar("recovery_seconds", "recovery of all unfinished transactions", "<=", 15, " s"),
    Bar("four_of_one", "4 processes on one file, of one, in total", ">=", 0.8, "×"),
    Bar("four_p99_ms", "4 processes on one file, p99", "<=", 50, " ms"),
    Bar("call_added_ms", "saga over HTTP, added to the same calls made bare, p50 one at a time", "<=", 1, " ms"),
    Bar("call_of_bare", "saga over HTTP, of the same calls made bare, 64 in flight", ">=", 0.6, "×"),
    Bar("batched_of_bare", "saga over HTTP, batched, of the same calls made bare, 64 in flight", ">=", 0.6, "×"),
    Bar("tcc_of_bare", "TCC over HTTP, batched, of the same calls made bare, 64 in flight", ">=", 0.6, "×"),
    Bar("takeover_ms", "4 processes, one killed: its last transaction ended elsewhere", "<=", 1_000, " ms"),
)
