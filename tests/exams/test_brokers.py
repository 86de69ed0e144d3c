"""Every broker sits the exam of its port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.budget import CHAOS
from troth.adapters.brokers import open_broker
from troth.adapters.brokers.memory import MemoryBroker
from troth.testing.exams.broker import BrokerExam
from troth.testing.exams.broker_bench import BrokerBench, new_topic
from troth.testing.servers.proxy import Cable
from troth.testing.servers.rabbitmq import RabbitmqServer


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


@pytest.mark.services
class TestRabbitmq(BrokerExam):
    """A server of its own. As it takes seconds to start, it is its cable that is cut; where there is time, it is killed."""

    @pytest.fixture
    def bench(self, rabbitmq_server: RabbitmqServer) -> Iterator[BrokerBench]:
        """See above."""
        cable = Cable(rabbitmq_server.port)
        url = rabbitmq_server.uri.replace(str(rabbitmq_server.port), str(cable.port))
        bench = BrokerBench(
            lambda: open_broker("rabbit", url),
            kill=rabbitmq_server.crash if CHAOS else cable.cut, start=rabbitmq_server.start if CHAOS else cable.mend,
            hang=cable.stall, resume=cable.flow, unroutable=new_topic,
        )  # fmt: skip
        yield bench
        bench.close()
        cable.close()
