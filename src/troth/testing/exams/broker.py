"""The broker exam: every numbered clause of `troth.ports.broker`, examined on a broker of yours.

```python
class TestMyBroker(BrokerExam):
    @pytest.fixture
    def bench(self) -> Iterator[BrokerBench]:
        ...
```
"""

from __future__ import annotations

import asyncio

from troth.core.words import Word
from troth.testing.exams.broker_bench import PATIENCE, BrokerBench, Reader, confirmed, new_message, new_topic, order_of, present
from troth.testing.exams.broker_consuming import ConsumingExam


class BrokerExam(ConsumingExam):
    """Subclass it under a name that begins with ``Test`` and give it the fixture ``bench``."""

    def test_c01_a_broker_that_is_down_raises_nothing(self, bench: BrokerBench) -> None:
        """One answer per message, none of them a yes, and in time."""

        async def exam() -> None:
            broker = bench.broker()
            await bench.away(bench.kill)
            try:
                messages = [new_message("nowhere", number=number) for number in range(3)]
                answers = await asyncio.wait_for(broker.publish(messages, 1.0), PATIENCE)
                assert [answer.word for answer in answers] == [Word.NOT_DONE] * 3, answers
                assert all(answer.reason and answer.retry for answer in answers)
                assert await broker.publish([], 1.0) == []
            finally:
                await bench.away(bench.start)

        bench.run(exam())

    def test_c02_what_is_confirmed_outlives_a_kill(self, bench: BrokerBench) -> None:
        """Killed right after the confirms, and started again, it delivers every one."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            messages = [new_message(topic, str(number % 3), number) for number in range(30)]
            await confirmed(broker, messages)
            await bench.away(bench.kill)
            await bench.away(bench.start)
            reader = Reader(bench.broker(), topic).begin()
            await reader.until_seen(messages)
            await reader.end()

        bench.run(exam())

    def test_c03_without_an_answer_it_is_unknown_in_time(self, bench: BrokerBench) -> None:
        """A hung broker costs the timeout, and published again with its id the message arrives."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            message = new_message(topic)
            await bench.away(bench.hang)
            try:
                (answer,) = await asyncio.wait_for(broker.publish([message], 0.3), PATIENCE)
            finally:
                await bench.away(bench.resume)
            assert answer.word is Word.UNKNOWN, answer
            assert answer.retry
            await confirmed(broker, [message])
            reader = Reader(broker, topic).begin()
            await reader.until_seen([message])
            await reader.end()

        bench.run(exam())

    def test_c04_not_done_was_not_taken(self, bench: BrokerBench) -> None:
        """What is answered so while it is down never arrives by itself."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            await bench.away(bench.kill)
            lost, kept = new_message(topic), new_message(topic)
            # the first finds the connection broken, which is unknown; the next can't be sent
            await broker.publish([new_message(topic)], 1.0)
            (answer,) = await broker.publish([lost], 1.0)
            await bench.away(bench.start)
            assert answer.word is Word.NOT_DONE, answer
            await confirmed(broker, [kept])
            reader = Reader(broker, topic).begin()
            await reader.until_seen([kept])
            await reader.end()
            assert lost.id not in reader.ids()

        bench.run(exam())

    def test_c05_what_it_never_takes_is_refused_alone(self, bench: BrokerBench) -> None:
        """Too large, or nobody there to receive it: refused, and its neighbours are taken."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            messages = [new_message(topic), new_message(topic, size=bench.too_large), new_message(topic)]
            first, large, last = await broker.publish(messages, PATIENCE)
            assert (first.word, large.word, last.word) == (Word.DONE, Word.REFUSED, Word.DONE), (first, large, last)
            assert large.reason
            assert not large.retry
            if bench.unroutable is not None:
                nowhere = new_message(bench.unroutable())
                first, lost = await broker.publish([new_message(topic), nowhere], PATIENCE)
                assert (first.word, lost.word, lost.retry) == (Word.DONE, Word.REFUSED, True), (first, lost)

        bench.run(exam())

    def test_c06_it_connects_again(self, bench: BrokerBench) -> None:
        """The same object, after a kill while it was connected."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            for _ in range(2):
                await bench.away(bench.kill)
                await bench.away(bench.start)
                await confirmed(broker, [new_message(topic)])

        bench.run(exam())

    def test_c07_a_message_arrives_as_it_was(self, bench: BrokerBench) -> None:
        """Id, topic, key, payload and headers; published twice, under one id."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            sent = [new_message(topic, "größe 5/ø*>.", 7), new_message(topic, "", 8)]
            await confirmed(broker, sent)
            await confirmed(broker, sent[:1])
            reader = Reader(broker, topic).begin()
            await reader.until_seen(sent)
            await reader.end()
            for each in reader.seen:
                assert each.message in sent

        bench.run(exam())

    def test_c08_one_calls_messages_keep_their_order(self, bench: BrokerBench) -> None:
        """Per key, as they stand in the call."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            messages = [new_message(topic, f"k{number % 4}", number) for number in range(100)]
            await confirmed(broker, messages)
            reader = Reader(broker, topic).begin()
            await reader.until_seen(messages)
            await reader.end()
            for key in range(4):
                assert order_of(reader.seen, f"k{key}") == list(range(key, 100, 4))

        bench.run(exam())

    def test_c16_closed_or_abandoned_it_can_be_used_again(self, bench: BrokerBench) -> None:
        """Closing twice is closing once."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            await broker.close()
            await broker.close()
            await present(broker, topic)

        bench.run(exam())

    def test_c17_preflight_answers(self, bench: BrokerBench) -> None:
        """Each finding says what is so and what to do about it; a broker that can't be asked is one."""

        async def exam() -> None:
            broker = bench.broker()
            for finding in await broker.preflight(PATIENCE):
                assert finding.what
                assert finding.cure
            await bench.away(bench.kill)
            try:
                found = await asyncio.wait_for(broker.preflight(1.0), PATIENCE)
            finally:
                await bench.away(bench.start)
            assert any(finding.serious for finding in found), found

        bench.run(exam())


