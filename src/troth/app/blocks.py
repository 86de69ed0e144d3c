"""What the Troth object can open as a block: TCC and two-phase transactions."""

from __future__ import annotations

from troth.app.tcc_running import RunsTcc
from troth.app.two_phase import RunsTwoPhase, two_phase_plan
from troth.core.plan import Plan


class OpensBlocks(RunsTcc, RunsTwoPhase):
    """The part of the Troth object whose transactions have no recorded function."""

    def __init__(self) -> None:
        RunsTcc.__init__(self)

    def block_plan(self, name: str, form: str) -> Plan:
        """The plan of transactions listed under a name.

        :param form: ``open`` or ``declared`` of a TCC, or ``two_phase``.
        """
        return two_phase_plan(name) if form == "two_phase" else self.tcc_plan(name, form)
