"""Run in a process of its own: opens a log, forks, and says on both sides what became of it, as JSON lines."""

from __future__ import annotations

import json
import os
import sys

from troth.adapters.stores.sqlite import SqliteStore
from troth.ports.errors import StoreError
from troth.ports.store import Batch
from troth.testing.exams.store_bench import START, accept


def child(store: SqliteStore) -> dict[str, object]:
    """What a forked child meets: a store that is not its own, then a node of its own."""
    said: dict[str, object] = {}
    try:
        store.commit(Batch(2, START, [accept(9)]))
    except StoreError as error:
        said["refused"] = str(error)
    store.close()
    said["node"] = store.open("2" * 32, START).node
    said["dead"] = store.dead_nodes()
    store.commit(Batch(1, START, [accept(2)]))
    said["count"] = store.counts()
    store.close()
    return said


def main() -> None:
    path, mode = sys.argv[1:]
    store = SqliteStore(path)
    node = store.open("1" * 32, START).node
    store.commit(Batch(1, START, [accept(1)]))
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = child(store) if mode == "use" else {}
        os.write(into, json.dumps(said).encode())
        os.close(into)
        if mode == "outlive":
            sys.stdin.read()
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as answers:
        answer = answers.read()
    if mode == "outlive":
        print(json.dumps({"node": node}), flush=True)
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    store.commit(Batch(2, START, [accept(3)]))
    print(json.dumps({"node": node, "child": json.loads(answer), "count": store.counts()}), flush=True)
    store.close()


if __name__ == "__main__":
    main()
