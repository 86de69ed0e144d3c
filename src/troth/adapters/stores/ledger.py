"""What the ledger is keyed by, and what there is to say of a uid."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from troth.ports.store import LedgerEntry, Record

ABORTED: Final = LedgerEntry(b"", "aborted", 0)
GONE: Final = LedgerEntry(b"", "purged", 0)
"""It was decided, and so long ago that nobody knows how."""


def gid_key(gid: str) -> bytes:
    """The 16 bytes that a purged gid is remembered by."""
    return blake2b(gid.encode(errors="surrogatepass"), digest_size=16).digest()


def decided(uid: bytes, at: int, found: Record | LedgerEntry | None) -> Record | LedgerEntry:
    """What a two-phase transaction's key leads to.

    :param at: when the key was taken, in microseconds.
    :param found: what is under the gid that the key names; it may be another transaction's by now.
    """
    if isinstance(found, Record) and found.uid == uid:
        return found
    entry = found if isinstance(found, LedgerEntry) else GONE
    return entry if entry.finished else msgspec.structs.replace(entry, finished=at)
