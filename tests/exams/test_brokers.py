"""Every broker sits the exam of its port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from troth.adapters.brokers.memory import MemoryBroker
from troth.testing.exams.broker import BrokerExam
from troth.testing.exams.broker_bench import BrokerBench


class TestMemory(BrokerExam):
    """Lists in this process."""

    @pytest.fixture
    def bench(self) -> Iterator[BrokerBench]:
        """One object plays the server and all its clients."""
        broker = MemoryBroker("memory")

        def be(word: str, value: bool) -> None:
            setattr(broker, word, value)
            broker.wake()

        bench = BrokerBench(
            lambda: broker, kill=lambda: be("down", True), start=lambda: be("down", False),
            hang=lambda: be("hung", True), resume=lambda: be("hung", False),
        )  # fmt: skip
        yield bench
        bench.close()
