"""troth: the same two steps as a declared graph and as a function, on an SQLite log."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bench.load import run
from bench.sampling import Profile, Sampler
from bench.sides.side import TEXT, counters
from troth import Troth

app = Troth(f"sqlite:///{os.environ.get('TROTH_BENCH_LOG', 'bench.db')}")


@dataclass(frozen=True, slots=True)
class Order:
    """The input of both."""

    text: str


@app.step(guarded=True)
async def reserve(text: str) -> str:
    """The first step."""
    return text


@reserve.compensate
async def release(text: str) -> None:
    """Its undo, never needed here."""


@app.step(guarded=True)
async def charge(text: str) -> str:
    """The second step."""
    return text


@charge.compensate
async def refund(text: str) -> None:
    """Its undo, never needed here."""


declared = app.graph("declared", input=Order)
declared.returns(declared.step(charge, after=declared.step(reserve)).result)


@app.saga
async def function(order: Order) -> str:
    """The same as a function."""
    await reserve(order.text)
    return await charge(order.text)


class Sagas:
    """troth in one process, in either form."""

    def __init__(self, name: str) -> None:
        self._order = Order(TEXT)
        self._function = "function" in name

    async def start(self) -> None:
        """Become a node."""
        await app.__aenter__()

    async def stop(self) -> None:
        """Drain and leave."""
        await app.__aexit__(None, None, None)

    async def one(self) -> object:
        """One saga of two steps."""
        return await (function(self._order) if self._function else declared.aio(self._order))

    async def profile(self, in_flight: int, seconds: float) -> Profile:
        """Where the time goes while so many are in flight."""
        with Sampler() as sampler:
            await run(self.one, in_flight, seconds)
        return sampler.profile()

    def stats(self) -> dict[str, int]:
        """What the node counted."""
        return counters(app.stats())


def make(name: str, log: str) -> Sagas:
    """The side of that name; the log was named by the environment before this module was imported."""
    return Sagas(name)
