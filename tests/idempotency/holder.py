"""A process that holds a lock, is stopped by its parent, and then tries to write: ``holder.py redis-uri sqlite-file``."""

from __future__ import annotations

import sys

from troth import StaleToken, Troth


def main(redis: str, file: str) -> None:
    """Say what happens, a line each; go on when told by a line."""
    troth = Troth("memory://")
    database = troth.database("bank", f"sqlite:///{file}")
    with troth.locks(redis).hold("acc-1", ttl=0.3) as held:
        print(f"held {held.token}", flush=True)
        sys.stdin.readline()
        print("lost" if held.lost else "held", flush=True)

        def write(db: object) -> None:
            held.fence(db)
            db.execute("INSERT INTO note VALUES ('paused')")  # type: ignore[attr-defined]

        try:
            database.plain(write)
            print("written", flush=True)
        except StaleToken as error:
            print(f"stale {error.seen}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
