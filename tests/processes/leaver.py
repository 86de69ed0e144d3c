"""Programs that end in different ways while sagas are in flight. What they bought is judged from the log afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

from tests.processes import market
from tests.processes.forker import say
from troth import NotAccepted

COUNT = 12


def start_all() -> None:
    """Durable, and in flight."""
    for n in range(1, COUNT + 1):
        market.troth.start((market.buy, market.abuy, market.buy_graph)[n % 3], n, gid=f"left-{n}")
    say("started")


def without_with() -> None:
    """First use starts the node; the interpreter's exit drains it."""
    start_all()


def by_exception() -> None:
    """An exception ends the program inside of the block."""
    with market.troth:
        start_all()
        raise LookupError("the program's own")


def by_sys_exit() -> None:
    """As above, without a block."""
    start_all()
    sys.exit(3)


def daemon_threads() -> None:
    """Daemon threads are in the middle of sagas when the main thread ends."""

    def shop(me: int) -> None:
        n = 100 * me + 1
        try:
            while True:
                market.buy.options(gid=f"daemon-{n}").run(n)
                n += 1
        except NotAccepted:
            return

    for me in range(1, 5):
        threading.Thread(target=shop, args=(me,), daemon=True).start()
    start_all()


def by_keyboard() -> None:
    """Ctrl-C in the main thread, which is in the middle of a saga."""

    def press() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def slow(n: int) -> int:
        paid = market.pay(n)
        if threading.current_thread() is threading.main_thread():
            threading.Timer(0.0, press).start()
            threading.Event().wait(60)
        return int(paid + market.ship(n))

    saga = market.troth.saga(name="abuy-slowly", timeout=120)(slow)
    try:
        saga.options(gid="keyboard-1").run(1)
    except KeyboardInterrupt:
        say("interrupted")


def awaited() -> None:
    """asyncio.run with a block; the main task is cancelled by Ctrl-C."""

    async def main() -> None:
        async with market.troth:
            for n in range(1, COUNT + 1):
                await market.troth.aio.start((market.buy, market.abuy, market.buy_graph)[n % 3], n, gid=f"left-{n}")
            say("started")
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        say("interrupted")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
