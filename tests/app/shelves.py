"""Shelves of things that are free, held or sold, in a database of their own: what the tests of TCC reserve from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from troth import Refused, Troth

FULL = 10
Act = Callable[[Any], object]


@dataclass
class Hold:
    """What a try returns."""

    shelf: str
    n: int


class Shelves:
    """A Troth object, a database, and TCC classes on it that move things between free, held and sold.

    :param database: the URL of the database that the shelves stand in.
    :ivar deeds: ``(op, class, n or None)`` in the order of the calls that ran to their end.
    """

    def __init__(self, database: str, store: str = "memory://", **options: Any) -> None:
        self.troth = Troth(store, **options)
        self.database = self.troth.database("shelves", database)
        self.mark = "?" if database.startswith("sqlite") else "%s"
        self.deeds: list[tuple[str, str, int | None]] = []

    def tcc(self, name: str, *, on_try: Act | None = None, on_confirm: Act | None = None, on_cancel: Act | None = None,
            **options: Any) -> Any:  # fmt: skip
        """A class with plain methods, and a full shelf of its own. What is given acts before the books are written."""
        self._stack(name)
        world = self

        class Shelf:
            def try_(self, db: Any, n: int) -> Hold:
                act(on_try, n)
                taken = db.execute(world.sql("UPDATE shelf SET free = free - ?, held = held + ? WHERE name = ? AND free >= ?"),
                                   (n, n, name, n))  # fmt: skip
                if taken.rowcount == 0:
                    raise Refused(f"{name} has no {n} left")
                world.deeds.append(("try", name, n))
                return Hold(name, n)

            def confirm(self, db: Any, hold: Hold) -> None:
                act(on_confirm, hold)
                db.execute(world.sql("UPDATE shelf SET held = held - ?, sold = sold + ? WHERE name = ?"), (hold.n, hold.n, name))
                world.deeds.append(("confirm", name, hold.n))

            def cancel(self, db: Any, hold: Hold | None) -> None:
                act(on_cancel, hold)
                if hold is not None:
                    db.execute(world.sql("UPDATE shelf SET held = held - ?, free = free + ? WHERE name = ?"),
                               (hold.n, hold.n, name))  # fmt: skip
                world.deeds.append(("cancel", name, hold.n if hold else None))

        return self.troth.tcc(on=self.database, name=name, **{"interval": 0.01, **options})(Shelf)

    def atcc(self, name: str, **options: Any) -> Any:
        """A class with async methods, on a database that has such a library."""
        self._stack(name)
        world = self

        class Shelf:
            async def try_(self, db: Any, n: int) -> Hold:
                taken = await db.execute(
                    world.sql("UPDATE shelf SET free = free - ?, held = held + ? WHERE name = ? AND free >= ?"), (n, n, name, n)
                )
                if taken.rowcount == 0:
                    raise Refused(f"{name} has no {n} left")
                return Hold(name, n)

            async def confirm(self, db: Any, hold: Hold) -> None:
                await db.execute(
                    world.sql("UPDATE shelf SET held = held - ?, sold = sold + ? WHERE name = ?"), (hold.n, hold.n, name)
                )

            async def cancel(self, db: Any, hold: Hold | None) -> None:
                if hold is not None:
                    await db.execute(
                        world.sql("UPDATE shelf SET held = held - ?, free = free + ? WHERE name = ?"), (hold.n, hold.n, name)
                    )

        return self.troth.tcc(on=self.database, name=name, **{"interval": 0.01, **options})(Shelf)

    def free(self, name: str, *, on_try: Act | None = None, on_confirm: Act | None = None, **options: Any) -> Any:
        """A class that guards itself and keeps no books: only its deeds are noted."""
        world = self

        class Free:
            def try_(self, n: int) -> int:
                act(on_try, n)
                world.deeds.append(("try", name, n))
                return n

            def confirm(self, hold: int) -> None:
                act(on_confirm, hold)
                world.deeds.append(("confirm", name, hold))

            def cancel(self, hold: int | None) -> None:
                world.deeds.append(("cancel", name, hold))

        return self.troth.tcc(guarded=True, name=name, **{"interval": 0.01, **options})(Free)

    def afree(self, name: str, *, on_try: Callable[[int], Any] | None = None, **options: Any) -> Any:
        """The same with async methods."""
        world = self

        class Free:
            async def try_(self, n: int) -> int:
                if on_try is not None:
                    await on_try(n)
                world.deeds.append(("try", name, n))
                return n

            async def confirm(self, hold: int) -> None:
                world.deeds.append(("confirm", name, hold))

            async def cancel(self, hold: int | None) -> None:
                world.deeds.append(("cancel", name, hold))

        return self.troth.tcc(guarded=True, name=name, **{"interval": 0.01, **options})(Free)

    def books(self, name: str) -> tuple[int, int, int]:
        """(free, held, sold) of a shelf."""
        row = self.database.plain(
            lambda db: db.execute(self.sql("SELECT free, held, sold FROM shelf WHERE name = ?"), (name,)).fetchone()
        )
        return row[0], row[1], row[2]

    def did(self, op: str) -> list[tuple[str, int | None]]:
        """(class, n) of every call of that op."""
        return [(name, n) for word, name, n in self.deeds if word == op]

    def sql(self, text: str) -> str:
        """A statement with the library's own marks."""
        return text.replace("?", self.mark)

    def _stack(self, name: str) -> None:
        def stack(db: Any) -> None:
            db.execute("CREATE TABLE IF NOT EXISTS shelf (name VARCHAR(64) PRIMARY KEY, free INT, held INT, sold INT)")
            db.execute(self.sql("INSERT INTO shelf VALUES (?, ?, 0, 0)"), (name, FULL))

        self.database.plain(stack)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


def act(what: Act | None, given: Any) -> None:
    """Do what a test wants done there."""
    if what is not None:
        what(given)


def at(gate: threading.Event) -> Act:
    """Something to do: wait for the gate."""

    def wait(given: Any) -> None:
        assert gate.wait(30)

    return wait


def times(count: int, error: Exception) -> Act:
    """Something to do: raise so many times, then nothing any more."""
    left = [count]

    def fail(given: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise error

    return fail


ALWAYS = 1_000_000
