"""What is counted of the workers' reports while they run."""

from __future__ import annotations

from typing import Any

Key = tuple[str, str, str]
"""gid, branch, op."""


class Tally:
    """Answers, calls, and what the barrier did with repeated ones."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, str]] = {}
        """What was told about an order: state and reason, by order id."""
        self.changed: list[str] = []
        """Orders about which different things were told."""
        self.twice: list[str] = []
        """Calls whose effect was kept more than once."""
        self.differs: list[str] = []
        """Calls whose repetition got another answer."""
        self.calls = 0
        self.absorbed = 0
        """Calls that had no effect any more, because an earlier one had had it."""
        self._asked: set[Key] = set()
        self._ran: set[Key] = set()

    @property
    def retries(self) -> int:
        """Calls beyond the first of an op on a branch."""
        return self.calls - len(self._asked)

    def hear(self, message: dict[str, Any]) -> None:
        """Count one report."""
        match message["at"]:
            case "answer":
                self._answer(message["order"], (message["state"], message["reason"]))
            case "before":
                self.calls += 1
                self._asked.add(self._key(message))
            case "after" | "repeat":
                self._delivered(message)
            case "differs":
                self.differs.append(f"{self._words(message)}: {message['first']}, then {message['second']}")

    def _answer(self, order: str, answer: tuple[str, str]) -> None:
        first = self.answers.setdefault(order, answer)
        if first != answer:
            self.changed.append(f"order {order}: told {first}, then {answer}")

    def _delivered(self, message: dict[str, Any]) -> None:
        key = self._key(message)
        if message["ran"]:
            if message["word"] == "done":
                if key in self._ran:
                    self.twice.append(self._words(message))
                self._ran.add(key)
        elif message["op"] == "action":
            stored = message["word"] == "refused" and not message["reason"].startswith("sealed")
            self.absorbed += message["word"] == "done" or stored
        elif key in self._ran:  # one that had nothing to undo is no repetition
            self.absorbed += message["word"] == "done"

    @staticmethod
    def _key(message: dict[str, Any]) -> Key:
        return message["gid"], message["branch"], message["op"]

    @staticmethod
    def _words(message: dict[str, Any]) -> str:
        return f"{message['op']} of {message['branch']} in {message['gid']}"
