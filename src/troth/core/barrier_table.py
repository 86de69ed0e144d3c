"""The barrier's table, enumerated: the published one is made from it, and a test sees that it is total."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

from troth.core.barrier import Kind, Outcome, Row, Verdict, verdict
from troth.core.words import Op


class Cell(NamedTuple):
    """One cell of the table; None stands for no row."""

    kind: Kind
    own: Outcome | None
    origin: Outcome | None
    opposite: Outcome | None
    same_payload: bool
    older: bool
    verdict: Verdict


_SAMPLES: Final = {
    Kind.DO: Op.TRY,
    Kind.UNDO: Op.CANCEL,
    Kind.CONFIRM: Op.CONFIRM,
    Kind.SEAL: Op.SEAL,
    Kind.CHECK: Op.CHECK,
}


def table() -> Iterator[Cell]:
    """Every cell, in a fixed order; columns that don't matter to a kind are given once, as None or True."""
    for kind, op in _SAMPLES.items():
        undoes = kind in (Kind.UNDO, Kind.CONFIRM)
        owns = _outcomes() if kind is Kind.DO or undoes else (None,)
        origins = (None,) if kind is Kind.DO else _outcomes()
        opposites = _outcomes() if undoes else (None,)
        payloads = (True, False) if kind is Kind.DO else (True,)
        for own, origin, opposite, same, older in product(owns, origins, opposites, payloads, (False, True)):
            judged = verdict(op, _row(own), _row(origin), _row(opposite), same_payload=same, older=older)
            yield Cell(kind, own, origin, opposite, same, older, judged)


def _outcomes() -> tuple[Outcome | None, ...]:
    return (None, *Outcome)


def _row(outcome: Outcome | None) -> Row | None:
    return None if outcome is None else Row(outcome)
