"""What is counted while the shop runs: of what passes on the network, and of what customers are told."""

from __future__ import annotations

from examples.shop.demo.calls import KEPT, Answer, Call

Key = tuple[str, str, str]
"""gid, branch, op."""


class Tally:
    """Answers, calls, and what the barriers did with repeated ones."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, str]] = {}
        """What was told about an order: what becomes of it and why, by order id."""
        self.changed: list[str] = []
        """Orders about which different things were told."""
        self.differs: list[str] = []
        """Calls whose repetition got another answer."""
        self.calls = 0
        """Made by the gateway."""
        self.repeated = 0
        """Made once more by the network."""
        self.absorbed = 0
        """Calls that had no effect any more, because an earlier one had had it."""
        self._asked: set[Key] = set()
        self._kept: dict[Key, Answer] = {}

    @property
    def retries(self) -> int:
        """Calls of the gateway beyond the first of an op on a branch."""
        return self.calls - len(self._asked)

    def told(self, order: str, status: str, reason: str) -> None:
        """A customer has an answer."""
        first = self.answers.setdefault(order, (status, reason))
        if first != (status, reason):
            self.changed.append(f"order {order}: told {first}, then {(status, reason)}")

    def asked(self, call: Call, *, again: bool) -> None:
        """A call has been made."""
        if again:
            self.repeated += 1
        else:
            self.calls += 1
            self._asked.add(call.key)

    def said(self, answer: Answer) -> None:
        """A service has answered: with something final, it must say the same to every repetition."""
        if answer.status not in KEPT:
            return
        first = self._kept.setdefault(answer.call.key, answer)
        if first is answer:
            return
        self.absorbed += 1
        if (first.status, first.body) != (answer.status, answer.body):
            self.differs.append(f"{answer.call}: {first.status} {first.body!r}, then {answer.status} {answer.body!r}")
