"""Forks in the middle of things, and says on both sides what became of it: ``[who, what, …]`` lines."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from typing import Any

from tests.processes import market
from troth import Troth, TrothError

troth = market.troth


def say(*words: Any) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def node_number() -> int:
    node = troth.runtime.node
    return 0 if node is None else node.number


def child_of(work: Any) -> int:
    """Fork; the child works and leaves by the ordinary way out of an interpreter's main."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            troth.close()
            code = 0
        except BaseException as error:
            say("child", "error", f"{type(error).__name__}: {error}")
        finally:
            os._exit(code)
    return pid


def use(who: str, n: int) -> None:
    """Buy in two colours, and say what came of it."""
    value = market.buy.options(gid=f"{who}-{n}").run(n)
    avalue = market.abuy.options(gid=f"{who}-{n + 1}").wait.run(n + 1)
    say(who, "bought", node_number(), str(value.state), str(avalue.state))


def wait_for(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    say("parent", "child ended", os.waitstatus_to_exitcode(status))


def before_use() -> None:
    """Definitions are inherited, nothing else: each side starts a node of its own."""
    pid = child_of(lambda: use("child", 1))
    use("parent", 1)
    wait_for(pid)
    use("parent", 11)


def after_use() -> None:
    """The parent's node goes on; the child's is another one."""
    use("parent", 1)
    stop = threading.Event()

    def keep_buying() -> None:
        n = 101
        while not stop.is_set():
            market.buy.options(gid=f"busy-{n}").run(n)
            n += 1

    threads = [threading.Thread(target=keep_buying) for _ in range(1)]
    for thread in threads:
        thread.start()
    pids = [child_of(lambda k=k: use(f"child{k}", 1)) for k in range(3)]
    for pid in pids:
        wait_for(pid)
    stop.set()
    for thread in threads:
        thread.join()
    use("parent", 11)
    troth.close()


def grandchildren() -> None:
    """A fork of a fork, each after use."""

    def child() -> None:
        use("child", 1)
        wait_for(child_of(lambda: use("grandchild", 1)))
        use("child", 11)

    use("parent", 1)
    wait_for(child_of(child))
    use("parent", 11)
    troth.close()


def pool_work(n: int) -> tuple[int, int, str]:
    outcome = market.buy.options(gid=f"pool-{n}").run(n)
    return os.getpid(), node_number(), str(outcome.state)


def pool() -> None:
    """multiprocessing with fork, after use."""
    use("parent", 1)
    with multiprocessing.get_context("fork").Pool(2) as workers:
        results = workers.map(pool_work, range(1, 13), chunksize=1)
        workers.close()
        workers.join()
    say("parent", "pool", node_number(), [list(result) for result in results])
    use("parent", 21)
    troth.close()


def outlived() -> None:
    """The child goes on alone: its parent leaves the log in order, and ends."""
    use("parent", 1)
    ended, held = os.pipe()
    ready, tell = os.pipe()
    child_of(lambda: outlive(ended, held, tell))
    os.read(ready, 1)
    troth.close()
    say("parent", "left")


def outlive(ended: int, held: int, tell: int) -> None:
    os.close(held)
    use("child", 1)
    os.write(tell, b"x")
    os.read(ended, 1)  # until its parent, which holds the other end, has ended
    for n in range(11, 21, 2):
        use("child", n)
    say("child", "alone")


def busy() -> None:
    """Forks while two threads write the log and the databases."""
    use("parent", 1)
    stop = threading.Event()

    def keep_buying(first: int) -> None:
        n = first
        while not stop.is_set():
            market.buy.options(gid=f"busy-{n}").run(n)
            n += 2

    threads = [threading.Thread(target=keep_buying, args=(first,)) for first in (1_001, 1_002)]
    for thread in threads:
        thread.start()
    for k in range(4):
        wait_for(child_of(lambda k=k: use(f"child{k}", 1)))
    stop.set()
    for thread in threads:
        thread.join()
    use("parent", 11)
    troth.close()


def inside() -> None:
    """A child that was forked in a saga's function may not make its parent's calls."""
    pids: list[int] = []

    def function(n: int) -> int:
        first = market.pay(n)

        def call() -> None:
            try:
                market.ship(n)
            except TrothError as error:
                say("child", "refused", type(error).__name__, str(error))

        if not pids:
            pids.append(child_of(call))
        return int(first + market.ship(n))

    forking = troth.saga(name="forking")(function)
    outcome = forking.options(gid="forking-1").run(1)
    wait_for(pids[0])
    say("parent", "bought", node_number(), str(outcome.state))
    troth.close()


def holding() -> None:
    """A child that outlives its killed parent doesn't keep the parent's node alive."""
    market.troth.start(market.buy, 1, gid="begun-1").wait()
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(tell, b"x")
        sys.stdin.read()
        os._exit(0)
    os.read(ready, 1)
    say("parent", "node", node_number(), pid)
    n = 11
    while True:
        handle = market.troth.start(market.buy, n, gid=f"begun-{n}")
        say("parent", "accepted", handle.gid)
        n += 1


if __name__ == "__main__":
    assert isinstance(troth, Troth)
    globals()[sys.argv[1]]()
    say("left")
