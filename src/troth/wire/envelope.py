"""What a message is stored and delivered as: the payload, and what is said about it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from troth.ports.errors import PayloadError
from troth.wire.codec import codec_of
from troth.wire.signature import Signature


class Envelope(msgspec.Struct, omit_defaults=True):
    """A message's content.

    :param payload: as JSON.
    :param key: messages with the same key keep their order where the broker keeps one; "": none.
    :param business_id: the sender's own name for what it is about.
    :param headers: further ones, by name.
    """

    topic: str
    payload: Raw
    key: str = ""
    business_id: str = ""
    headers: dict[str, str] = {}

    def to_raw(self) -> Raw:
        """As it is stored."""
        return Raw(msgspec.json.encode(self))


def envelope_of(raw: Raw | bytes) -> Envelope:
    """The envelope that was stored."""
    return msgspec.json.decode(raw, type=Envelope)


def payload_of(value: Any, what: str) -> Raw:
    """A payload, encoded.

    :param what: how errors call it.
    :raises PayloadError: if it can't be encoded; names the field.
    """
    kind = type(value)
    plain = value is None or kind in (bool, int, float, str, list, dict, tuple)
    return codec_of(Any if plain else kind).encode(value, f"{what}: payload")


def arguments_of(payload: Raw, signature: Signature, what: str) -> Raw:
    """The arguments of a function that gets the payload: its fields by name, or, by a single parameter, the whole.

    :raises PayloadError: if the function needs what the payload doesn't have.
    """
    given = fields_of(payload)
    known = signature.parameters
    if given is not None and all(each.name in given for each in known.values() if each.default is None):
        return Raw(msgspec.json.encode({name: given[name] for name in known if name in given}))
    if len(known) == 1:
        return Raw(msgspec.json.encode({next(iter(known)): payload}))
    missing = ", ".join(name for name in known if given is None or name not in given)
    raise PayloadError(
        f"{what}: payload", f"has no {missing}",
        "The parameters are taken from the payload's fields by name; one single parameter gets it whole",
    )  # fmt: skip


def fields_of(payload: Raw) -> dict[str, Raw] | None:
    """The fields of an object; None if it is none."""
    try:
        return msgspec.json.decode(payload, type=dict[str, Raw])
    except msgspec.DecodeError:
        return None
