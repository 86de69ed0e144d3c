"""The rules, and beside them the smooth path: at every event both are asked, and must come to the same move."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from troth.core import rules, smooth
from troth.core import saga as sagas
from troth.core.move import Event, Move
from troth.core.plan import Plan
from troth.core.state import Saga, next_due


def begin(plan: Plan, *, timeout: float | None = None, force: bool = True, **given: Any) -> Move:
    """The first move by the rules.

    :raises AssertionError: if the smooth path makes another.
    """
    move = sagas.begin(plan, timeout=timeout, force=force, **given)
    return same(move, first_move(plan, timeout=timeout, force=force, **given), "its beginning", 0)


def decide(saga: Saga, event: Event) -> Move:
    """The move by the rules.

    :raises AssertionError: if the smooth path makes another.
    """
    return same(rules.decide(saga, event), next_move(saga, event), event, next_due(saga))


def first_move(plan: Plan, **given: Any) -> Move | None:
    """The first move by the smooth path, or None."""
    return smooth.begin_smoothly(plan, **given)


def next_move(saga: Saga, event: Event) -> Move | None:
    """The next move by the smooth path, or None."""
    return smooth.decide_smoothly(saga, event)


def same(wanted: Move, found: Move | None, event: object, due: int) -> Move:
    """The smooth path's move if there is one and it is the same, else that of the rules."""
    if found is None:
        return wanted
    if structs.replace(found, steady=False) != wanted or (found.steady and not 0 < due <= next_due(found.state)):
        raise AssertionError(f"the smooth path differs at {event}:\n{found}\nthe rules say\n{wanted}")
    return found
