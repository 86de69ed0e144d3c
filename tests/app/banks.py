"""Banks in memory that can be enlisted, and one transfer in every way that code can be written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from troth import Outcome, Troth
from troth.testing.resources import FakeDatabase, FakeServer

WAYS = ("thread", "its loop", "another loop")
"""A `with` block; an `async with` block on the node's loop; one on a loop of its own."""


class FakeBank(FakeDatabase):
    """What a `Troth` object keeps of a database, around a fake."""

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


class Banks:
    """A Troth object with banks on servers that outlive it.

    :param last: names of those that can't prepare.
    """

    def __init__(self, names: Sequence[str] = ("a", "b"), store: str = "memory://", last: Sequence[str] = (),
                 servers: dict[str, FakeServer] | None = None) -> None:  # fmt: skip
        self.troth = Troth(store)
        self.servers = servers if servers is not None else {name: FakeServer() for name in names}
        self.banks = {name: FakeBank(name, self.servers[name], prepares=name not in last) for name in names}
        self.troth.databases.update(self.banks)  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Any:
        return self.banks[name]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """What is committed, by bank."""
        return {name: server.rows for name, server in self.servers.items()}

    @property
    def prepared(self) -> int:
        """Branches that are prepared anywhere."""
        return sum(len(server.branches) for server in self.servers.values())

    def put(self, way: str, gid: str | None = None, value: object = 1, error: BaseException | None = None,
            reads: Sequence[str] = (), **options: Any) -> Outcome[Any]:  # fmt: skip
        """One transaction that writes ``x`` in every bank.

        :param error: raised inside the block, at its end.
        :param reads: banks that are only read.
        """
        if way == "thread":
            with self.troth, self.troth.two_phase(gid, **options) as tx:
                for name, bank in self.banks.items():
                    use(tx.enlist(bank), value, name in reads)
                if error is not None:
                    raise error
            return told(tx)
        return asyncio.run(self._aput(way, gid, value, error, reads, options))

    async def _aput(self, way: str, gid: str | None, value: object, error: BaseException | None, reads: Sequence[str],
                    options: Any) -> Outcome[Any]:  # fmt: skip
        if way == "another loop":
            await asyncio.to_thread(self.troth.runtime.enter_blocking)
            try:
                return await self._inside(gid, value, error, reads, options)
            finally:
                if self.troth.runtime.leave():
                    await asyncio.to_thread(self.troth.close)
        async with self.troth:
            return await self._inside(gid, value, error, reads, options)

    async def _inside(self, gid: str | None, value: object, error: BaseException | None, reads: Sequence[str],
                      options: Any) -> Outcome[Any]:  # fmt: skip
        async with self.troth.two_phase(gid, **options) as tx:
            for name, bank in self.banks.items():
                use(await tx.enlist(bank), value, name in reads)
            if error is not None:
                raise error
        return told(tx)


def use(connection: Any, value: object, reads: bool) -> None:
    """Read or write."""
    if reads:
        connection.get("x")
    else:
        connection.put("x", value)


def told(tx: Any) -> Outcome[Any]:
    """The outcome that a block that was left has."""
    outcome: Outcome[Any] | None = tx.outcome
    assert outcome is not None
    return outcome
