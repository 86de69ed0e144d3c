"""The caller port: how an op reaches a participant. One call, exactly one reply.

1. A call is answered exactly once, and only when nothing of it can still happen *in this process* (a timed-out sync
   function is answered when it really ends; a remote call may be answered unknown while it still travels).
2. An adapter never turns a missing answer into ``refused`` or ``not_done``.
3. ``not_done`` is answered only if nothing was sent, or a local transaction of ours was rolled back.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Raw

from troth.core.words import Op


class Call(NamedTuple):
    """One op on one branch.

    :param branch: the branch id, ``place/name#occurrence``.
    :param name: the step's stored name.
    :param attempt: from 1: a serial number of the branch's calls, whatever the op, per node life.
    :param args: the action's arguments: one JSON object by parameter name.
    :param result: for undo ops, the action's stored result where the log knows it, else None.
    :param begun: the transaction's begin, in microseconds; with ``low_water`` and ``log`` it lets a barrier purge its rows.
    :param low_water: every transaction of this log begun before it is durably finished.
    :param timeout: seconds.
    """

    uid: bytes
    gid: str
    branch: str
    op: Op
    name: str
    attempt: int
    args: Raw
    result: Raw | None
    begun: int
    low_water: int
    log: str
    timeout: float

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this op on this branch, different for all others: ``uid/branch/op``."""
        return f"{self.uid.hex()}/{self.branch}/{self.op}"
