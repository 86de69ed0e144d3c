"""DBOS Transact (pinned in the `bench` extra) on SQLite: a durable workflow of two steps, awaited.

``dbos`` is its SQLite as installed. ``dbos-wal`` has the file put into WAL mode beforehand, which its users can do by
hand and which makes it faster: the race is against that setting.
"""

from __future__ import annotations

import sqlite3

from dbos import DBOS

from bench.sides.side import TEXT


@DBOS.step()
async def reserve(text: str) -> str:
    """The first step."""
    return text


@DBOS.step()
async def charge(text: str) -> str:
    """The second step."""
    return text


@DBOS.workflow()
async def place_order(text: str) -> str:
    """Two durable steps."""
    await reserve(text)
    return await charge(text)


class Dbos:
    """DBOS in one process."""

    def __init__(self, name: str, log: str) -> None:
        if name.endswith("wal"):
            db = sqlite3.connect(log)
            db.execute("PRAGMA journal_mode = WAL")
            db.close()
        DBOS(
            config={
                "name": "bench",
                "system_database_url": f"sqlite:///{log}",
                "run_admin_server": False,
                "log_level": "ERROR",
            }
        )

    async def start(self) -> None:
        """Make its schema and start its threads."""
        DBOS.launch()

    async def stop(self) -> None:
        """Stop its threads."""
        DBOS.destroy()

    async def one(self) -> str:
        """One durable workflow of two steps."""
        return await place_order(TEXT)

    def stats(self) -> dict[str, int]:
        """It keeps no such counters."""
        return {}


def make(name: str, log: str) -> Dbos:
    """The side of that name."""
    return Dbos(name, log)
