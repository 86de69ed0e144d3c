"""What the ledger is keyed by."""

from __future__ import annotations

from hashlib import blake2b


def gid_key(gid: str) -> bytes:
    """The 16 bytes that a purged gid is remembered by."""
    return blake2b(gid.encode(errors="surrogatepass"), digest_size=16).digest()
