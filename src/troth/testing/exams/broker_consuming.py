"""The broker exam's clauses on consuming; see `troth.testing.exams.broker`."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from troth.ports.broker import ACK, Delivery, Settle
from troth.testing.exams.broker_bench import PATIENCE, BrokerBench, Reader, confirmed, new_message, new_topic, order_of, present


class ConsumingExam:
    """The second part of the exam."""

    @pytest.fixture
    def bench(self) -> BrokerBench:
        """The candidate; overridden."""
        pytest.fail("a candidate for the broker exam must have a fixture `bench`: see BrokerBench")

    def test_c09_a_message_comes_until_it_is_acknowledged(self, bench: BrokerBench) -> None:
        """Killed and started under a consumer, the broker delivers what was not acknowledged, and what comes after."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            held, free = asyncio.Event(), asyncio.Event()

            async def slow(delivery: Delivery) -> Settle:
                held.set()
                await free.wait()
                return ACK

            before = [new_message(topic, str(number), number) for number in range(4)]
            reader = Reader(broker, topic, answer=slow).begin()
            await confirmed(broker, before)
            await asyncio.wait_for(held.wait(), PATIENCE)
            await bench.away(bench.kill)
            await bench.away(bench.start)
            free.set()
            after = [new_message(topic, str(number), number) for number in range(4, 8)]
            await confirmed(bench.broker(), after)
            await reader.until_seen(before + after)
            await reader.end()

        bench.run(exam())

    def test_c10_every_group_gets_every_message(self, bench: BrokerBench) -> None:
        """And the consumers of one group share them."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic, "one")
            await present(broker, topic, "two")
            shared: list[Delivery] = []
            readers = [Reader(bench.broker(), topic, "one", seen=shared).begin() for _ in range(2)]
            readers.append(Reader(bench.broker(), topic, "two").begin())
            messages = [new_message(topic, f"k{number}", number) for number in range(20)]
            await confirmed(broker, messages)
            for reader in readers:
                await reader.until_seen(messages)
            for reader in readers:
                await reader.end()
            wanted = {message.id for message in messages}
            assert Counter(each.message.id for each in shared if each.message.id in wanted) == dict.fromkeys(wanted, 1)

        bench.run(exam())

    def test_c11_a_key_keeps_its_order_over_all_consumers(self, bench: BrokerBench) -> None:
        """Three consumers, one of them cut off half-way; never more at a time than was said, nor two of one key."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            seen: list[Delivery] = []
            done: set[str] = set()
            running: Counter[str] = Counter()
            most = 0
            first: dict[str, list[int]] = {}

            async def careful(delivery: Delivery) -> Settle:
                nonlocal most
                message = delivery.message
                running[message.key] += 1
                most = max(most, running.total())
                try:
                    await asyncio.sleep(0.002)
                    if message.id not in done:
                        done.add(message.id)
                        first.setdefault(message.key, []).append(int(message.payload))
                finally:
                    running[message.key] -= 1
                return ACK

            readers = [Reader(bench.broker(), topic, seen=seen, at_once=3, answer=careful).begin() for _ in range(3)]
            messages = [new_message(topic, f"k{number % 5}", number) for number in range(100)]
            await confirmed(broker, messages[:50])
            await readers[0].until(lambda: len(seen) > 10)
            assert readers[0].task is not None
            readers[0].task.cancel()
            await asyncio.gather(readers[0].task, return_exceptions=True)
            await readers[0].broker.close()
            await confirmed(broker, messages[50:])
            await readers[1].until_seen(messages)
            for reader in readers[1:]:
                await reader.end()
            assert {key: first[key] for key in sorted(first)} == {f"k{key}": list(range(key, 100, 5)) for key in range(5)}
            assert most <= 9

        bench.run(exam())

    def test_c12_again_comes_before_the_keys_next(self, bench: BrokerBench) -> None:
        """Said so, or by an exception; and what is dead comes no more."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)

            async def wayward(delivery: Delivery) -> Settle:
                number = int(delivery.message.payload)
                if number == 0 and delivery.attempt < 3:
                    return Settle.again(0.01)
                return Settle.dead("it is poison") if number == 1 else ACK

            messages = [new_message(topic, "k", number) for number in range(3)]
            reader = Reader(broker, topic, answer=wayward).begin()
            await confirmed(broker, messages)
            await reader.until_seen(messages)
            await reader.end()
            assert [(int(each.message.payload), each.attempt) for each in reader.seen][:3] == [(0, 1), (0, 2), (0, 3)]
            assert order_of(reader.seen, "k") == [0, 1, 2]
            again = Reader(bench.broker(), topic).begin()
            marker = new_message(topic, "k", 9)
            await confirmed(broker, [marker])
            await again.until_seen([marker])
            await again.end()
            assert messages[1].id not in again.ids()

        bench.run(exam())

    def test_c13_stop_settles_what_is_being_handled(self, bench: BrokerBench) -> None:
        """What was not begun is another's, at once."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)
            begun, free = asyncio.Event(), asyncio.Event()

            async def slow(delivery: Delivery) -> Settle:
                begun.set()
                await free.wait()
                return ACK

            messages = [new_message(topic, "k", number) for number in range(5)]
            await confirmed(broker, messages)
            reader = Reader(broker, topic, answer=slow).begin()
            await asyncio.wait_for(begun.wait(), PATIENCE)
            reader.stop.set()
            free.set()
            await reader.end()
            handled = order_of(reader.seen, "k")
            assert handled == list(range(len(handled))) != []
            other = Reader(bench.broker(), topic).begin()
            last = new_message(topic, "k", 5)
            await confirmed(broker, [last])
            await other.until_seen([*messages[len(handled) :], last])
            await other.end()
            assert handled + order_of(other.seen, "k") == list(range(6))

        bench.run(exam())

    def test_c14_who_is_cut_off_leaves_it_to_others(self, bench: BrokerBench) -> None:
        """A cancelled consumer's message comes to the next one."""

        async def exam() -> None:
            topic, begun = new_topic(), asyncio.Event()
            broker = bench.broker()
            await present(broker, topic)

            async def stuck(delivery: Delivery) -> Settle:
                begun.set()
                await asyncio.Event().wait()
                return ACK

            message = new_message(topic, "k", 1)
            reader = Reader(bench.broker(), topic, answer=stuck).begin()
            await confirmed(broker, [message])
            await asyncio.wait_for(begun.wait(), PATIENCE)
            assert reader.task is not None
            reader.task.cancel()
            await asyncio.gather(reader.task, return_exceptions=True)
            await reader.broker.close()
            other = Reader(bench.broker(), topic).begin()
            await other.until_seen([message])
            await other.end()

        bench.run(exam())

    def test_c15_deliveries_count(self, bench: BrokerBench) -> None:
        """Also over consumers, as far as the broker counts them."""

        async def exam() -> None:
            broker, topic = bench.broker(), new_topic()
            await present(broker, topic)

            async def third(delivery: Delivery) -> Settle:
                return ACK if delivery.attempt >= 3 else Settle.again()

            message = new_message(topic, "k", 1)
            reader = Reader(broker, topic, answer=third).begin()
            await confirmed(broker, [message])
            await reader.until(lambda: len(reader.seen) >= 3)
            await reader.end()
            assert [each.attempt for each in reader.seen] == [1, 2, 3]

        bench.run(exam())
