"""Names of prepared branches, as databases keep them: ours can be told from a stranger's, and say whom to ask.

A prepared branch outlives its process, so its name carries all that a sweep needs to judge it: which *log* decides, which
*incarnation* prepared it (one that is known dead and whose log holds no decision has aborted), which transaction and which
of its branches it is, and until when it may vote.

PostgreSQL takes one text of at most 199 bytes (``PREPARE TRANSACTION``, GIDSIZE 200). XA (The Open Group, *Distributed
TP: The XA Specification*, C193, 4.2) takes a format number and two strings of at most 64 bytes each: *gtrid*, equal for
all branches of a transaction, and *bqual*, which tells them apart. Both forms are plain ASCII, for what a server lists is
decoded by whatever character set the connection has.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final, NamedTuple

from troth.core import limits
from troth.core.ids import ROOT, branch_id

PREFIX: Final = "troth1:"
"""What a name of ours starts with on PostgreSQL; the digit is the form's version."""
FORMAT: Final = 0x54524F31
"""The XA format number of our names: ``TRO1`` in ASCII, which MariaDB and MySQL show as 1414680369."""
GTRID_BYTES: Final = 64
BQUAL_BYTES: Final = 64
TEXT_BYTES: Final = 199
_HEX32: Final = "[0-9a-f]{32}"
_TEXT: Final = re.compile(rf"{PREFIX}({_HEX32}):({_HEX32}):({_HEX32}):([0-9a-f]{{1,8}}):([0-9a-f]{{1,16}})")
_BQUAL: Final = re.compile(r"([0-9a-f]{1,8})\.([0-9a-f]{1,16})\.([0-9A-Za-z_$\-]*)")
_PLACE: Final = re.compile(r"[0-9A-Za-z_$\-]{0,32}")


class Xid(NamedTuple):
    """The name of one branch of a two-phase transaction.

    :param log: the id of the log that decides: 32 hex digits, in small letters.
    :param incarnation: who prepares it: 32 hex digits, in small letters.
    :param uid: the transaction's: 16 bytes.
    :param branch: the branch's number within its transaction, from 0; each is given once.
    :param vote_by: microseconds since the Unix epoch; a sweep may abort what is prepared later than that.
    """

    log: str
    incarnation: str
    uid: bytes
    branch: int
    vote_by: int

    @property
    def witness(self) -> str:
        """The branch column of its witness row: known from the name alone, so that a sweep can write a tombstone."""
        return branch_id(ROOT, "xid", self.branch + 1)

    def to_text(self) -> str:
        """As PostgreSQL takes it: ASCII, without quotes."""
        return f"{PREFIX}{self.log}:{self.incarnation}:{self.uid.hex()}:{self.branch:x}:{self.vote_by:x}"

    def to_xa(self, place: str = "") -> tuple[bytes, bytes, int]:
        """As XA takes it: gtrid, bqual and the format number.

        :param place: the database, where the server lists the branches of all its databases to each; see `place_of`.
        """
        whole = bytes.fromhex(self.log + self.incarnation) + self.uid
        return urlsafe_b64encode(whole), f"{self.branch:x}.{self.vote_by:x}.{place_of(place)}".encode(), FORMAT


def checked(xid: Xid) -> Xid:
    """The name, if it can be written.

    :raises ValueError: if a part of it doesn't fit.
    """
    if from_text(xid.to_text()) != xid or xid.branch >= limits.BRANCHES:
        raise ValueError(f"{xid!r} is no name of a branch")
    return xid


def place_of(database: str) -> str:
    """A database's name as it stands in a bqual: itself, or a hash where it is long or has other characters."""
    if _PLACE.fullmatch(database):
        return database
    return blake2b(database.encode(), digest_size=16).hexdigest()


def from_text(text: str) -> Xid | None:
    """The name that PostgreSQL lists; None: it is a stranger's, which is never touched."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    log, incarnation, uid, branch, vote_by = found.groups()
    return _same(Xid(log, incarnation, bytes.fromhex(uid), int(branch, 16), int(vote_by, 16)), text)


def from_xa(gtrid: bytes, bqual: bytes, format_id: int, place: str = "") -> Xid | None:
    """The name that MariaDB or MySQL lists; None: it is a stranger's, or of another database of the server.

    :param place: the database.
    """
    found = _BQUAL.fullmatch(bqual.decode("latin-1"))
    if format_id != FORMAT or len(gtrid) != GTRID_BYTES or found is None:
        return None
    try:
        whole = urlsafe_b64decode(gtrid)
    except ValueError:
        return None
    branch, vote_by, _ = found.groups()
    made = Xid(whole[:16].hex(), whole[16:32].hex(), whole[32:], int(branch, 16), int(vote_by, 16))
    return made if made.to_xa(place) == (gtrid, bqual, format_id) else None


def _same(xid: Xid, text: str) -> Xid | None:
    """The name, unless it was written otherwise than we do."""
    return xid if xid.to_text() == text else None
