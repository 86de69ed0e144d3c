"""Taking encoded values apart and putting them together by their bytes, without decoding what is only passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from troth.ports.errors import PayloadError

_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])
_ITEMS: Final = msgspec.json.Decoder(list[Raw])
_key = msgspec.json.Encoder().encode


def fields(raw: Raw | bytes) -> dict[str, Raw]:
    """The members of an encoded object, each still encoded.

    :raises PayloadError: if it is no object.
    """
    try:
        return _FIELDS.decode(raw)
    except msgspec.DecodeError as error:
        raise PayloadError("value", "is not an object", "Give a JSON object by name") from error


def items(raw: Raw | bytes) -> list[Raw]:
    """The members of an encoded array, each still encoded.

    :raises PayloadError: if it is no array.
    """
    try:
        return _ITEMS.decode(raw)
    except msgspec.DecodeError as error:
        raise PayloadError("value", "is not an array", "Give a JSON array") from error


def pick(raw: Raw | bytes, path: Sequence[str | int]) -> Raw:
    """The encoded value at a path of names and indexes.

    :raises PayloadError: if there is none; the path is named.
    """
    here = Raw(raw)
    for depth, part in enumerate(path):
        try:
            here = items(here)[part] if isinstance(part, int) else fields(here)[part]
        except (KeyError, IndexError, PayloadError) as error:
            where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[: depth + 1])
            raise PayloadError(where.removeprefix("."), "is not there", "Refer to what the value has") from error
    return here


def join(members: Mapping[str, Raw | bytes]) -> Raw:
    """One encoded object of encoded members."""
    return Raw(b"{" + b",".join([prefix(name) + bytes(value) for name, value in members.items()]) + b"}")


def prefix(name: str) -> bytes:
    """A member's key as it stands before its value: ``"name":``."""
    return _key(name) + b":"
