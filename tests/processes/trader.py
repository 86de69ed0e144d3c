"""A worker process: buys without end, and says on its standard output what it was told, one JSON line each.

``["begun", gid, form, n]`` before a purchase, ``["accepted", gid]`` when `start` has returned, ``["ended", gid, state, result]``.
It ends when its standard input does.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
from typing import Any

from tests.processes import market
from troth import TrothError

FORMS: dict[str, Any] = {"buy": market.buy, "abuy": market.abuy, "buy-graph": market.buy_graph}
AT_ONCE = 4

say_lock = threading.Lock()
numbers = itertools.count(1)
over = threading.Event()


def say(*words: Any) -> None:
    """One line, whole, at once."""
    with say_lock:
        os.write(1, json.dumps(words).encode() + b"\n")


def purchases(me: int) -> None:
    """One after the other: started, or waited for at once."""
    while not over.is_set():
        n = next(numbers)
        form = list(FORMS)[n % 3]
        gid = f"{os.getpid()}-{n}"
        say("begun", gid, form, n)
        if n % 2:
            handle = market.troth.start(FORMS[form], n, gid=gid)
            say("accepted", gid)
            outcome = handle.wait()
        else:
            outcome = market.troth.run(FORMS[form], n, gid=gid)
        say("ended", gid, str(outcome.state), outcome.result)


def guarded(me: int) -> None:
    try:
        purchases(me)
    except TrothError as error:
        say("error", f"{type(error).__name__}: {error}")


def main() -> None:
    with market.troth:
        threads = [threading.Thread(target=guarded, args=(me,)) for me in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        over.set()
        for thread in threads:
            thread.join()
    say("left")


if __name__ == "__main__":
    main()
