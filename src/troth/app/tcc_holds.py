"""Reading what a TCC's tries returned, from a stored transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from troth.app.tcc_form import TccForm
from troth.core.state import Transaction


class Holds:
    """The results of TCC transactions: the holds of the initiator's own branches, in the order of their calls.

    :param find: the class of a stored name, or None if its code isn't here.
    """

    def __init__(self, find: Callable[[str], TccForm | None]) -> None:
        self._find = find

    def of(self, doc: Transaction) -> list[Any]:
        """Each hold by its class's annotation, or as plain JSON values where its code isn't here."""
        holds = []
        for branch in doc.branches:
            if "#" in branch.id.rpartition("/")[0]:  # a child: its try's business
                continue
            form = self._find(branch.name)
            holds.append(msgspec.json.decode(branch.result) if form is None else form.decode_hold(branch.result))
        return holds
