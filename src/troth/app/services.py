"""What lives on a node's loop beside the node: consumers, relays."""

from __future__ import annotations

from typing import Protocol

from troth.engine.node import Node


class Service(Protocol):
    """Something that begins when a process's node has started, and ends before the node drains.

    A node that was fenced, or whose process was forked, is followed by another: `begin` is called again then, and whatever
    of it still runs belongs to the one before.
    """

    def begin(self, node: Node) -> None:
        """Begin, on the node's loop. It must not block, and raises nothing for something that is down."""
        ...

    async def end(self) -> None:
        """Take nothing new, let what is in flight end, and close. On the loop where it began; it can be called twice."""
        ...

    def abandon(self) -> None:
        """Forget everything, without a word to anyone: this is a forked child, or the loop is closed."""
        ...
