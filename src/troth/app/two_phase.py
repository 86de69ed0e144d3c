"""The Troth object's verb for two-phase commit, and what its node looks up: databases by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from troth.app.naming import checked_name, checked_seconds
from troth.app.outcome import Until
from troth.app.tcc_running import checked_tcc, checked_until
from troth.app.two_phase_block import Opening, TwoPhase
from troth.app.two_phase_end import PATTERN
from troth.core.plan import Plan
from troth.core.reply import NULL
from troth.engine.branches import DatabaseParticipant, database_of
from troth.engine.participants import Participant
from troth.ports.errors import DefinitionError
from troth.ports.resource import Resource
from troth.wire.codec import content_hash

if TYPE_CHECKING:
    from troth.app.troth import Troth

NAME = PATTERN
"""What a transaction is listed as, unless it is given a name."""
WHAT = "troth.two_phase(…)"


class RunsTwoPhase:
    """The part of the Troth object that opens two-phase transactions."""

    def two_phase(
        self,
        gid: str | None = None,
        *,
        timeout: float | None = None,
        vote_by: float | None = None,
        until: Until = "decided",
        name: str = NAME,
    ) -> TwoPhase:
        """A transaction over several databases: ``with`` or ``async with``; all commit, or none does.

        ``tx.enlist(bank_a)`` gives the database's own connection. Leaving the block commits, an exception rolls back and
        goes on.

        :param gid: the transaction's id; default: a generated one. Nothing is committed twice under one gid.
        :param timeout: seconds for its undecided part, the block's own code included; default 30.
        :param vote_by: seconds within which all must have prepared; default ``timeout``. Afterwards another process may
            roll back what it finds prepared.
        :param until: leave the block when it is ``decided``: the decision is durable and each connection has been asked to
            commit. Or ``finished``: each has answered, and the log says so.
        :param name: what it is listed as.
        :raises AlreadyBegun: at entry or at the end: the gid was begun before, here or by another process at the same time.
        :raises GidConflict: at entry or at the end: the gid belongs to something else.
        :raises NotAccepted: at entry or at the end: nothing was committed; try again.
        :raises Cancelled: at the end: all is rolled back.
        :raises NeedsAttention: at the end: a database was settled otherwise behind our back, or can't say what it did.
        :raises InDoubt: at the end: whether it was decided is unknown; ask again with the same gid.
        """
        plan = two_phase_plan(checked_name(name, "troth.two_phase"))
        seconds, votes = checked_times(timeout, vote_by)
        content = content_hash(PATTERN, plan.name, NULL)
        opening = Opening(plan, checked_tcc(gid, WHAT), content, NULL, seconds, votes, checked_until(until))
        return TwoPhase(cast("Troth", self), opening)

    # --- the engine's registry

    def database_participant(self, name: str) -> Participant | None:
        """What ends the branches of a database, by the participant's name; None if it isn't known here."""
        database = cast("Troth", self).databases.get(database_of(name))
        resource: Resource | None = getattr(database, "resource", None)
        return None if resource is None else DatabaseParticipant(resource)

    def resources(self) -> list[Resource]:
        """The databases whose prepared branches a node looks after."""
        found = [getattr(database, "resource", None) for database in cast("Troth", self).databases.values()]
        return [resource for resource in found if resource is not None]


_plans: dict[str, Plan] = {}


def two_phase_plan(name: str) -> Plan:
    """The plan of two-phase transactions listed under a name: there is no code to find."""
    plan = _plans.get(name)
    if plan is None:
        plan = _plans[name] = Plan(name, "two_phase", pattern="two_phase")
    return plan


def checked_times(timeout: float | None, vote_by: float | None) -> tuple[float | None, float | None]:
    """The times, if they are some.

    :raises DefinitionError: if they aren't.
    """
    seconds = None if timeout is None else checked_seconds(timeout, "troth.two_phase", "timeout")
    votes = None if vote_by is None else checked_seconds(vote_by, "troth.two_phase", "vote_by")
    if seconds is not None and votes is not None and votes > seconds:
        raise DefinitionError(f"troth.two_phase: vote_by={votes:g} is later than timeout={seconds:g}. Give it less.")
    return seconds, votes
