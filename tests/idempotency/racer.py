"""A process that adds to a counter under a lock, and each time shows its token: ``racer.py redis-uri sqlite-file rounds``."""

from __future__ import annotations

import sqlite3
import sys

from troth import Troth, fence


def main(redis: str, file: str, rounds: str) -> None:
    """Read, then write what was read plus one: only a lock makes that right."""
    locks = Troth("memory://").locks(redis)
    for _ in range(int(rounds)):
        with locks.hold("counter", ttl=30, wait=60) as held:
            db = sqlite3.connect(file, timeout=30)
            (count,) = db.execute("SELECT n FROM counter").fetchone()
            fence(db, held.key, held.token)
            db.execute("UPDATE counter SET n = ?", (count + 1,))
            db.commit()
            db.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
