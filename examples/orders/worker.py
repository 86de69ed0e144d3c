"""One worker process of the shop: orders come in on stdin, reports go out on stdout, one JSON object a line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from examples.orders import shop
from examples.orders.network import Network
from troth.ports.errors import NotAccepted


def report(message: dict[str, Any]) -> None:
    """Tell the parent; one write, so that whoever kills us leaves whole lines only."""
    try:
        os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")
    except OSError:
        os._exit(1)  # the parent is gone


def place(order: shop.Order, closing: threading.Event) -> None:
    """Place one order and report its outcome."""
    while True:
        try:
            outcome = shop.troth.run(shop.place_order, order)
        except NotAccepted as error:
            if closing.wait(error.retry_after):
                return
        else:
            report({"at": "answer", "order": order.id, "state": outcome.state, "reason": outcome.reason or ""})
            return


def work(in_flight: int, pace: float | None, seed: int) -> None:
    """Place orders until stdin ends, several at a time.

    :param pace: seconds that a call takes one way on a bad network; None: there is none in between.
    """
    network = None if pace is None else Network(seed, pace, report)
    if network is not None:
        for database in (shop.orders, shop.stock, shop.payments, shop.mail):
            network.stand_before(database)
    closing = threading.Event()
    with shop.troth, ThreadPoolExecutor(in_flight, "order") as threads:
        report({"at": "ready"})
        placed = [
            threads.submit(place, msgspec.json.decode(line, type=shop.Order), closing) for line in sys.stdin.buffer
        ]
        closing.set()
    if network is not None:
        network.wait()
    for order in placed:
        order.result()


def main() -> None:
    """Read the arguments and work; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parser = argparse.ArgumentParser()
    parser.add_argument("--in-flight", type=int, default=4)
    parser.add_argument("--pace", type=float)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    work(asked.in_flight, asked.pace, asked.seed)


if __name__ == "__main__":
    main()
