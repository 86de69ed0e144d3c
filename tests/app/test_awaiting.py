"""Cancelling an await stops waiting, never the transaction; and nothing of it is left behind in a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.app.patience import auntil
from tests.app.trades import Trade
from troth import Troth
from troth.adapters.databases.psycopg_connection import AsyncStepConnection


async def cancelled_at(k: int, make: Callable[[], Awaitable[Any]]) -> bool:
    """Await it, and cancel that at the k-th turn of the loop; False if it had ended by then."""
    task = asyncio.ensure_future(make())
    for _ in range(k):
        await asyncio.sleep(0)
        if task.done():
            task.result()
            return False
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return True


@pytest.mark.parametrize("place", ["own loop", "other loop"])
@pytest.mark.parametrize("form", ["coro", "sync", "graph", "run"])
def test_cancelling_at_every_turn_never_stops_a_transaction(place: str, form: str) -> None:
    """Wherever the wait is broken off, the transaction either never began or goes on to its end."""
    trade = Trade()

    async def rest(n: int) -> int:
        await asyncio.sleep(0)
        return n

    step = trade.astep("rest", rest)

    @trade.troth.saga(name="coro")
    async def coro(n: int) -> int:
        return int(await trade.abuy(await step(n)))

    @trade.troth.saga(name="sync")
    def sync(n: int) -> int:
        return int(trade.buy(n))

    graph = trade.troth.graph("graph", input=int)
    graph.step(step, args={"n": graph.input})
    spellings: dict[str, Callable[[int], Awaitable[Any]]] = {
        "coro": lambda n: coro.options(gid=f"tx-{n}")(n),
        "sync": lambda n: sync.options(gid=f"tx-{n}").aio(n),
        "graph": lambda n: graph.options(gid=f"tx-{n}").aio(n),
        "run": lambda n: trade.troth.aio.run(coro, n, gid=f"tx-{n}"),
    }

    async def main() -> None:
        if place == "own loop":
            await trade.troth.__aenter__()
        ended, k = 0, 0
        while ended < 3 and k < 400:
            ended += not await cancelled_at(k, lambda k=k: spellings[form](k))  # type: ignore[misc]
            k += 1
        assert ended == 3 or place == "other loop"
        node = trade.troth.runtime.node
        assert node is not None
        await auntil(lambda: not node.driver.open, "the end of all transactions")
        begun = await trade.troth.aio.find(limit=1_000)
        assert {str(each.state) for each in begun} == {"confirmed"}
        assert len(begun) >= 3
        await trade.troth.aclose()

    asyncio.run(main())


def test_a_timeout_around_a_run_stops_only_the_wait() -> None:
    """asyncio.timeout around a saga raises TimeoutError; with its gid the transaction is found again."""
    trade = Trade()

    async def main() -> None:
        gate = asyncio.Event()

        async def wait(n: int) -> int:
            await gate.wait()
            return n

        step = trade.astep("gated", wait)

        @trade.troth.saga(name="gated-saga")
        async def saga(n: int) -> int:
            return int(await step(n))

        async with trade.troth:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await saga.options(gid="slow")(7)
            handle = trade.troth.attach("slow")
            with pytest.raises(TimeoutError):
                await handle.aio.result(timeout=0.01)
            gate.set()
            assert await handle.aio.result(timeout=30) == 7

    asyncio.run(main())


def test_cancelling_a_call_inside_the_function_stops_only_its_wait() -> None:
    """A function may give up waiting for a step; the call goes on, and the outcome waits for it."""
    trade = Trade()

    async def main() -> None:
        gate = asyncio.Event()

        async def wait(n: int) -> int:
            await gate.wait()
            return n

        step = trade.astep("gated", wait)

        @trade.troth.saga(name="impatient")
        async def saga(n: int) -> str:
            try:
                async with asyncio.timeout(0.01):
                    await step(n)
            except TimeoutError:
                gate.set()
            return "left"

        async with trade.troth:
            assert await saga(1) == "left"
            assert trade.did("gated") == [1]

    asyncio.run(main())


@pytest.mark.services
def test_every_pooled_connection_still_answers_its_own_query(postgres_server: Any) -> None:
    """Clients that stop waiting, and calls that time out in the middle of a query, leave no connection out of step."""
    troth = Troth("memory://")
    bank = troth.database("bank", postgres_server.new_schema())

    @troth.step(on=bank, name="pay", timeout=0.5, attempts=1)
    async def pay(db: Any, n: int, seconds: float) -> int:
        cursor = await db.execute("SELECT %s::int, pg_sleep(%s)", (n, seconds))
        await db.execute("INSERT INTO paid VALUES (%s)", (n,))
        row = await cursor.fetchone()
        return int(row[0])

    @pay.compensate
    async def refund(db: Any, n: int, seconds: float) -> None:
        await db.execute("DELETE FROM paid WHERE n = %s", (n,))

    @troth.saga(name="paying")
    async def paying(n: int, seconds: float) -> int:
        return await pay(n, seconds)

    async def main() -> None:
        async with troth:
            await bank.aplain(lambda db: db.execute("CREATE TABLE paid (n int)"))
            assert await paying(0, 0.0) == 0
            for k in range(0, 60, 2):
                await cancelled_at(k, lambda k=k: paying(1 + k, 0.0))  # type: ignore[misc]
            slow = [troth.aio.run(paying, 1_000 + k, 1.0 if k % 2 else 0.0) for k in range(12)]
            outcomes = await asyncio.gather(*slow)
            assert {str(o.state) for o in outcomes[1::2]} == {"cancelled"}
            node = troth.runtime.node
            assert node is not None
            await auntil(lambda: not node.driver.open, "the end of all transactions")
            confirmed = await troth.aio.find(state="confirmed", limit=1_000)
            rows = await bank.aplain(_count)
            assert rows == len(confirmed)
            await _answers_its_own(bank)

    asyncio.run(main())


async def _count(db: Any) -> int:
    row = await (await db.execute("SELECT count(*) FROM paid")).fetchone()
    return int(row[0])


async def _answers_its_own(bank: Any) -> None:
    """Ask each idle connection for a number of its own, all at once."""
    idle: list[AsyncStepConnection] = [c for c in bank.driver.loop_pool.everything() if not c.closed]
    assert idle

    meet = asyncio.Barrier(len(idle))

    async def together(number: int) -> int:
        async def effect(db: Any) -> int:
            await meet.wait()
            row = await (await db.execute("SELECT %s::int", (number,))).fetchone()
            return int(row[0])

        value: int = await bank.aplain(effect)
        return value

    numbers = list(range(len(idle)))
    assert await asyncio.gather(*[together(n) for n in numbers]) == numbers
