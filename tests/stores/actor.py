"""A process of its own that does to a SQLite log what its standard input says, one JSON line a deed.

Answers are JSON lines too: ``{"answer": …}`` or ``{"error": type, "message": …}``.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

from troth.adapters.stores.sqlite import SqliteStore
from troth.ports.errors import TrothError
from troth.ports.store import Batch
from troth.testing.exams.store_bench import START, accept, go_on

NOBODY = 65_534


class Actor:
    """The deeds."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.store = SqliteStore(path)
        self.number = 0

    def open(self, name: int) -> int:
        return self.store.open(f"{name:032x}", START).node

    def begin(self, *names: int) -> int:
        return self._commit([accept(name) for name in names])

    def go_on(self, rev: int, *names: int) -> int:
        return self._commit([go_on(name, rev) for name in names])

    def _commit(self, writes: list[Any]) -> int:
        self.number += 1
        outcome = self.store.commit(Batch(self.number, START, writes))
        assert not outcome.conflicts and not outcome.lost
        return self.number

    def work(self, first: int, batches: int) -> int:
        """Write batches of three rows each, saying each on a line of its own once it is durable."""
        for k in range(batches):
            names = range(first + 3 * k, first + 3 * k + 3)
            self.begin(*names)
            self.go_on(2, *names)
            print(json.dumps({"durable": list(names)}), flush=True)
        return batches

    def settle(self, number: int) -> bool:
        return self.store.settle(number) is not None

    def dead_nodes(self) -> list[int]:
        return self.store.dead_nodes()

    def get_revs(self) -> dict[str, int]:
        return {record.gid: record.rev for record in self.store.find(limit=1_000)}

    def become_nobody(self) -> bool:
        """Drop root's rights, if they are held: root may write everything."""
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return os.getuid() != 0

    def let_no_file_grow(self) -> None:
        """From here on a write past the write-ahead log's present end fails with EFBIG."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(f"{self.path}-wal"), hard))

    def let_files_grow(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    def close(self) -> None:
        self.store.close()


def main() -> None:
    actor = Actor(sys.argv[1])
    for line in sys.stdin:
        deed, arguments = json.loads(line)
        try:
            answer = {"answer": getattr(actor, deed)(*arguments)}
        except TrothError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
