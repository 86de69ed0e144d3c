"""A process that opens a TCC, holds things on both sides, says so, and waits to be killed (or told to end well).

``["held", gid]`` once all tries are done, ``["ended", gid, state]`` if the block was left. With ``watch`` it only runs a node.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from tests.processes import market
from troth import Tcc


def say(*words: Any) -> None:
    """One line, whole, at once."""
    os.write(1, json.dumps(words).encode() + b"\n")


def book(side: str, op: str) -> str:
    """The books' move of one op: ours, held, theirs."""
    move = {"try": ("ours", "held"), "confirm": ("held", "theirs"), "cancel": ("held", "ours")}[op]
    return move[0] if side == "from" else move[1]


def move(db: Any, op: str, n: int) -> None:
    """From one side to the other."""
    db.execute("UPDATE book SET amount = amount - ? WHERE side = ?", (n, book("from", op)))
    db.execute("UPDATE book SET amount = amount + ? WHERE side = ?", (n, book("to", op)))


class Side(Tcc):
    """What both classes do."""

    def try_(self, db: Any, n: int) -> int:
        move(db, "try", n)
        return n

    def confirm(self, db: Any, hold: int) -> None:
        move(db, "confirm", hold)

    def cancel(self, db: Any, hold: int | None) -> None:
        if hold is not None:
            move(db, "cancel", hold)


@market.troth.tcc(on=market.bank, name="money")
class Money(Side):
    """Money in the bank."""


@market.troth.tcc(on=market.stock, name="things")
class Things(Side):
    """Things in stock."""


def main(what: str) -> None:
    with market.troth:
        if what == "watch":
            say("watching")
            sys.stdin.read()
            return
        with market.troth.transaction(what, timeout=3600) as tx:
            tx(Money).try_(5)
            tx(Things).try_(7)
            say("held", what)
            sys.stdin.read()
        say("ended", what, str(tx.outcome.state) if tx.outcome else None)


if __name__ == "__main__":
    main(sys.argv[1])
