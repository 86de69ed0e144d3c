"""Signatures over requests, in the form of the Standard Webhooks specification (standardwebhooks.com, 1.0.0).

What is signed is ``id.timestamp.body``: HMAC-SHA256 under each of the secrets, written ``v1,<base64>`` and separated by
blanks, so that a secret can be changed while both sides still know the old one. Pure: the time is handed in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
TOLERANCE: Final = 300
"""Seconds between a request's timestamp and the receiver's clock, either way: the specification's own."""
PREFIX: Final = "whsec_"
VERSION: Final = "v1"
KEY_BYTES: Final = (24, 64)
"""How long a secret is, at least and at most: the specification's own."""


class BadSecret(ValueError):
    """What was given is no secret; the message says what would be, and never shows it."""


class NotSigned(Exception):
    """A request that isn't signed as it should be.

    :ivar args: one short reason that can be told to the sender.
    """


class Signer:
    """Signs and verifies.

    :param secrets: ``whsec_`` and base64 of 24 to 64 bytes; the first one is the newest. All of them sign, any verifies.
    :raises BadSecret: if one is none.
    """

    __slots__ = ("_keys",)

    def __init__(self, secrets: str | Sequence[str]) -> None:
        given = tuple(secrets) if isinstance(secrets, (list, tuple)) else (secrets,)
        if not given:
            raise BadSecret("no secret was given")
        self._keys = tuple(_key(secret) for secret in given)

    def headers(self, message_id: str, body: bytes, now: int) -> dict[str, str]:
        """The three headers of a request.

        :param message_id: without a full stop, for full stops divide what is signed.
        :param now: seconds since 1970.
        """
        return {ID: message_id, TIMESTAMP: str(now), SIGNATURE: self.sign(message_id, now, body)}

    def sign(self, message_id: str, now: int, body: bytes) -> str:
        """The value of ``webhook-signature``."""
        return " ".join(f"{VERSION},{base64.b64encode(mac).decode()}" for mac in self._macs(message_id, now, body))

    def verify(self, headers: Mapping[str, str], body: bytes, now: int, tolerance: int = TOLERANCE) -> str:
        """The id of a request that is signed as it should be.

        :param headers: by lower-case name.
        :param now: seconds since 1970.
        :param tolerance: seconds.
        :raises NotSigned: if it isn't, or is too old or too new.
        """
        message_id, stamp, signature = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
        if not (message_id and stamp and signature):
            raise NotSigned("the request is not signed")
        if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 16):
            raise NotSigned("its timestamp is no number")
        if abs(now - int(stamp)) > tolerance:
            raise NotSigned("its timestamp is too far from this machine's clock")
        if not self._matches(signature, self._macs(message_id, int(stamp), body)):
            raise NotSigned("its signature doesn't match")
        return message_id

    def _macs(self, message_id: str, now: int, body: bytes) -> Iterable[bytes]:
        signed = f"{message_id}.{now}.".encode() + body
        return [hmac.digest(key, signed, hashlib.sha256) for key in self._keys]

    def _matches(self, signature: str, expected: Iterable[bytes]) -> bool:
        """Is one of the signatures one of ours? Every pair is compared, in the same time."""
        found = False
        for part in signature.split(" ")[: 2 * len(self._keys) + 8]:
            version, _, text = part.partition(",")
            if version == VERSION:
                given = text.encode("utf-8", "replace")
                for mac in expected:
                    found |= hmac.compare_digest(base64.b64encode(mac), given)
        return found


def _key(secret: object) -> bytes:
    if not isinstance(secret, str):
        raise BadSecret(f"a secret is a str, not {type(secret).__name__}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecret(f"the secret is not {PREFIX} and base64") from None
    least, most = KEY_BYTES
    if not least <= len(key) <= most:
        raise BadSecret(f"the secret has {len(key)} bytes; {least} to {most} are right")
    return key
