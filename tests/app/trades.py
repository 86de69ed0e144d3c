"""Steps and sagas that every test of the front door starts from: each effect and each undo is noted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from troth import Refused, Troth


class Trade:
    """A Troth object with a few guarded steps whose deeds are noted in order.

    :ivar deeds: ``("did" | "undid", step, n)``.
    """

    def __init__(self, store: str = "memory://", **options: Any) -> None:
        self.troth = Troth(store, **options)
        self.deeds: list[tuple[str, str, int]] = []
        self.buy = self.step("buy")
        self.sell = self.step("sell")
        self.abuy = self.astep("abuy")
        self.asell = self.astep("asell")

    def step(self, name: str, act: Callable[[int], int] | None = None, **options: Any) -> Any:
        """A sync step; refuses a negative number.

        :param act: what it does; default: ten times the number.
        :param undo: what its compensation does before it is noted.
        """

        def fn(n: int) -> int:
            if n < 0:
                raise Refused(f"{name} of {n}")
            result = act(n) if act is not None else n * 10
            self.deeds.append(("did", name, n))
            return result

        undo = options.pop("undo", None)
        return self._undone(self.troth.step(name=name, guarded=True, **options)(fn), name, options, undo)

    def astep(self, name: str, act: Callable[[int], Any] | None = None, **options: Any) -> Any:
        """An async step; refuses a negative number."""

        async def fn(n: int) -> int:
            if n < 0:
                raise Refused(f"{name} of {n}")
            result = await act(n) if act is not None else n * 10
            self.deeds.append(("did", name, n))
            return result

        undo = options.pop("undo", None)
        return self._undone(self.troth.step(name=name, guarded=True, **options)(fn), name, options, undo)

    def _undone(self, step: Any, name: str, options: dict[str, Any], act: Callable[[int], Any] | None) -> Any:
        if "compensate" not in options and options.get("role", "compensable") == "compensable":

            def undo(n: int) -> None:
                if act is not None:
                    act(n)
                self.deeds.append(("undid", name, n))

            step.compensate(undo)
        return step

    def did(self, name: str) -> list[int]:
        """What the step was done with."""
        return [n for what, step, n in self.deeds if what == "did" and step == name]

    def undid(self, name: str) -> list[int]:
        """What the step was undone with."""
        return [n for what, step, n in self.deeds if what == "undid" and step == name]


def after(gate: threading.Event) -> Callable[[int], int]:
    """Something for a step to do: wait for the gate, give the number back."""

    def act(n: int) -> int:
        assert gate.wait(30)
        return n

    return act
