"""`decide(state, event) -> Move`: one pure function for every pattern. Each pattern's file has its own table of rules.

Ongaro and Ousterhout's raft in etcd's library is the model of "decide, persist, then send".
"""

from __future__ import annotations

from typing import Final

from troth.core import message, tcc, twophase
from troth.core import saga as sagas
from troth.core.draft import Draft
from troth.core.move import Call, Event, Move
from troth.core.state import Saga

RULES: Final = {"saga": sagas.RULES, "tcc": tcc.RULES, "two_phase": twophase.RULES, "message": message.RULES}


def decide(saga: Saga, event: Event) -> Move:
    """What follows from an event. Pure: the same state and event give the same move, and the state given is not changed."""
    draft = Draft(saga, event.now)
    if not saga.finished:
        RULES[saga.plan.pattern][type(event)](draft, event)
    return draft.move()


def pending(saga: Saga) -> tuple[Call, ...]:
    """The calls that are owed now: what is in flight, derivable from the state alone."""
    return tuple(Call(i, b.op, b.attempt) for i, b in enumerate(saga.doc.branches) if b.calling)
