"""The steps that simulated sagas are made of: one of each kind that the rules tell apart."""

from __future__ import annotations

from typing import Final

from troth.core.plan import StepSpec
from troth.core.words import Role

TIMEOUT: Final = 0.4
"""Seconds one simulated call may take."""
INTERVAL: Final = 0.1
"""Seconds of the first pause."""


def _step(
    name: str,
    role: Role = Role.COMPENSABLE,
    *,
    guarded: bool = True,
    sealable: bool = True,
    undoable: bool = True,
    checkable: bool = False,
) -> StepSpec:
    return StepSpec(name, role, guarded, sealable, undoable, checkable, TIMEOUT, 3, INTERVAL, waived=not undoable)


STEPS: Final[dict[str, StepSpec]] = {
    spec.name: spec
    for spec in (
        _step("book"),
        _step("reserve"),
        _step("pack"),
        _step("charge"),
        _step("quote", sealable=False),
        _step("look", undoable=False),
        _step("mail", guarded=False, sealable=False),
        _step("pay", guarded=False, sealable=False, checkable=True),
        _step("commit", Role.PIVOT, undoable=False),
        _step("wire", Role.PIVOT, sealable=False, undoable=False),
        _step("launch", Role.PIVOT, guarded=False, sealable=False, undoable=False, checkable=True),
        _step("shout", Role.PIVOT, guarded=False, sealable=False, undoable=False),
        _step("ship", Role.RETRIABLE, undoable=False),
        _step("notify", Role.RETRIABLE, undoable=False),
        _step("bill", Role.RETRIABLE, undoable=False),
        _step("print", Role.RETRIABLE, guarded=False, sealable=False, undoable=False),
        _step("seat"),
        _step("fund"),
        _step("room"),
        _step("desk", guarded=False, sealable=False),
        StepSpec("tour", guarded=True, sealable=True, timeout=3 * TIMEOUT, attempts=3, interval=INTERVAL),
        StepSpec("trip", guarded=True, sealable=True, timeout=3 * TIMEOUT, attempts=3, interval=INTERVAL),
    )
}
GUARDED: Final = ("book", "reserve", "pack", "charge", "quote", "look")
BARE: Final = ("mail", "pay")
PIVOTS: Final = ("commit", "wire", "launch", "shout")
SURE: Final = ("ship", "notify", "bill")
"""Retriable: their participants never say no."""
HOLDS: Final = ("seat", "fund", "room", "tour", "trip")
"""Participants of a TCC."""
BARE_HOLDS: Final = ("desk",)
ROUTES: Final = {"tour": (("seat", "fund"), ("room",)), "trip": (("seat", "fund"),)}
"""Whose tries call others: the ways a run may take."""
SERVICES: Final = 4


def service_of(step: str) -> int:
    """The number of the service that does a step."""
    return list(STEPS).index(step) % SERVICES
