"""A process that runs shops' sagas, each up to a point where it stays; then it is killed, or leaves without a goodbye.

``worker.py FOLDER...``: each folder has ``shop.py``, the program, and ``orders.json``: ``[[saga, order, point, number],
…]``. The points: ``between`` statements (after that one), ``before`` or ``after`` the local transaction of that action,
``unbefore`` or ``unafter`` that of a compensation. Says ``ready`` once every order stays at its point or has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from tests.changes.shop import deploy
from troth.app.participant import StepParticipant
from troth.core.words import Op
from troth.ports.caller import Call

HELD = threading.Semaphore(0)
"""Released for each order that stays."""
COUNTING = threading.Lock()


class Shop:
    """One program, its orders, and where they stay."""

    def __init__(self, folder: Path) -> None:
        self.orders: list[Any] = json.loads((folder / "orders.json").read_text())
        self.points = {order: (point, number) for _, order, point, number in self.orders}
        self.module = deploy((folder / "shop.py").read_text(), held=self.held, held_here=self.held_here)

    async def held(self, order: int, place: int) -> None:
        if self.points[order] == ("between", place):
            HELD.release()
            await asyncio.Event().wait()

    def held_here(self, order: int, place: int) -> None:
        if self.points[order] == ("between", place):
            stay()

    def start(self) -> None:
        app = self.module.troth
        handles = [app.start(getattr(self.module, saga), order) for saga, order, _, _ in self.orders]
        for handle in handles:
            threading.Thread(target=self.ended, args=(handle,), daemon=True).start()

    def ended(self, handle: Any) -> None:
        handle.wait()
        HELD.release()


def stay() -> None:
    HELD.release()
    threading.Event().wait()


def with_points(shops: list[Shop]) -> None:
    """Let the steps' calls stay before or after their local transaction."""
    real = StepParticipant.call
    counts: Counter[tuple[int, str, Op]] = Counter()
    shop_of = {id(shop.module.troth.steps.find(name)): n for n, shop in enumerate(shops) for name in names_of(shop)}

    def call(participant: StepParticipant, call: Call) -> Any:
        number = shop_of[id(participant.step)]
        with COUNTING:
            counts[number, call.gid, call.op] += 1
            count = counts[number, call.gid, call.op]
        point = shops[number].points[int(call.gid.rpartition("-")[2])]
        un = "un" if call.op is Op.COMPENSATE else ""
        if point == (f"{un}before", count):
            stay()
        reply = real(participant, call)
        if point == (f"{un}after", count):
            stay()
        return reply

    StepParticipant.call = call  # type: ignore[method-assign,assignment]


def names_of(shop: Shop) -> list[str]:
    return [step.name for step in shop.module.troth.steps]


def main() -> None:
    shops = [Shop(Path(folder)) for folder in sys.argv[1:]]
    with_points(shops)
    for shop in shops:
        shop.start()
    for shop in shops:
        for _ in shop.orders:
            HELD.acquire()
    print("ready", flush=True)
    if sys.stdin.readline().strip() == "leave":
        os._exit(0)
    threading.Event().wait()


if __name__ == "__main__":
    main()
