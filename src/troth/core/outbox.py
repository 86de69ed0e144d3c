"""The local message table, pure: what a row says, which status it may have, and where its key has its place in line.

A message is written into the database of the change that it tells of, in the same local transaction, and moved to a broker
afterwards (P. Helland, *Life beyond Distributed Transactions*, 2007; D. Pritchett, *BASE: An Acid Alternative*, 2008; the
"local message table" of eBay and Alipay; C. Richardson's *transactional outbox*). So it is there if and only if the
change is.

Order: a row's number is drawn while its key is locked, and the lock is held until commit; so number order is commit order.
A relay publishes a key's next row only after the last one's confirm.
"""

from __future__ import annotations

import hashlib
from typing import Final

SLOTS: Final = 4_096
"""Locks that keys share: few enough that a transaction of many keys can hold them all, so many that two keys seldom meet."""
CHANNEL: Final = "troth_outbox"
"""What PostgreSQL's LISTEN and NOTIFY are told."""
START: Final = "troth:start"
"""The destination of a row that begins a saga."""

PENDING: Final = "pending"
"""In line."""
DELAYED: Final = "delayed"
"""Not in line before its time."""
SENT: Final = "sent"
"""The broker has confirmed it."""
DEAD: Final = "dead"
"""A dead letter: the broker will never take it, and says why."""
BLOCKED: Final = "blocked"
"""Behind a dead letter of its key."""
STATUSES: Final = (PENDING, DELAYED, BLOCKED, DEAD, SENT)


def slot_of(key: str) -> int:
    """The slot of a key: the same in every process and release."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=2).digest(), "big") % SLOTS
