"""The words again, for the code that runs at every event: on Python 3.11 each look at an enum's member costs as much as a call.

Names, members and types are those of `troth.core.words`; only the look-up differs. From Python 3.12 on they are the same objects.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from troth.core import words

if TYPE_CHECKING:
    from troth.core.words import Fate, Op, Role, State, Word
else:

    def members(kind: Any) -> Any:
        """The enum's members as the attributes of a plain class."""
        return kind if sys.version_info >= (3, 12) else type(kind.__name__, (), dict(kind.__members__))

    State, Op, Word, Role, Fate = map(members, (words.State, words.Op, words.Word, words.Role, words.Fate))

made: Any = tuple.__new__
"""``made(Kind, fields)``: a named tuple of all its fields; its own constructor costs as much again as what it holds."""

__all__ = ["Fate", "Op", "Role", "State", "Word", "made"]
