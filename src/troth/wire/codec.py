"""JSON by annotations: what a value is encoded to, and what comes back. What can't come back as it was is refused here.

Every value is decoded once when it is encoded, so nothing is stored that the code can't read; a value thus never passes
the door and fails behind it.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec import inspect as ms

from troth.core import limits
from troth.ports.errors import PayloadError
from troth.wire import models
from troth.wire.faults import Fault, find_fault, hides_nan, largest
from troth.wire.plain import CURE, clean_of, find_foreign
from troth.wire.shapes import Shape, bounded

DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
LONG_NUMBER: Final = b"0" * 19
"""An integer this long may need more than 64 bits; looked for among digits made alike."""
PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$(?P<path>.*)`)?$", re.DOTALL)
INSIDE: Final = re.compile(r"^@(?P<path>.*?)@(?P<what>.*)$", re.DOTALL)
FIELD: Final = re.compile(r"^Object (?P<how>missing required|contains unknown) field `(?P<name>.*)`$")
ANSWER: Final = "Pass what its annotation says"
PLAIN_ENCODER: Final = msgspec.json.Encoder(enc_hook=models.dump)
SORTED_ENCODER: Final = msgspec.json.Encoder(enc_hook=models.dump, order="deterministic")


class Codec:
    """Encodes and decodes the values of one annotation.

    :param annotation: the type, or ``Any`` for what has no annotation.
    :raises Unencodable: if its values can't be encoded.
    """

    __slots__ = ("_check", "_decode", "_encode", "_plain", "_rare", "annotation", "shape")

    def __init__(self, annotation: Any) -> None:
        shape = Shape(annotation) if annotation is not Any else ANYTHING
        kind = bounded(annotation)
        self.annotation = annotation
        self.shape = Shape(kind) if kind is not annotation else shape
        self._plain = clean_of(self.shape.info)
        self._encode = (SORTED_ENCODER if self.shape.sets else PLAIN_ENCODER).encode
        self._decode = msgspec.json.Decoder(kind, dec_hook=models.load).decode
        self._check = not self.shape.anything
        self._rare = self.shape.nullable or self.shape.decimals or self.shape.wide

    def encode(self, value: Any, field: str = "") -> Raw:
        """The value as JSON.

        :param field: how an error names the value; "" where its members are named by themselves.
        :raises PayloadError: if it can't be encoded, is too large, or isn't what its annotation says.
        """
        try:
            if self._plain is not None and not self._plain(value):
                raise _foreign(self.shape.info, value, field)
            data = self._encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise unencodable(value, field, error) from error
        if b"\\u0000" in data or len(data) > limits.PAYLOAD_BYTES or (self._rare and self._suspicious(data, value)):
            inspect(value, data, field)
        if self._check:
            try:
                self._decode(data)
            except (msgspec.DecodeError, RecursionError) as error:
                found = find_fault(value, field)
                raise (_refused(found) if found else undecodable(error, field)) from error
        return Raw(data)

    def decode(self, raw: Raw | bytes, field: str = "") -> Any:
        """The value that was encoded.

        :raises PayloadError: if it isn't what the annotation says (any more).
        """
        try:
            return self._decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise undecodable(error, field) from error

    def same(self, a: Raw, b: Raw) -> bool:
        """Whether both mean the same value by this annotation; False if one of them means none."""
        if bytes(a) == bytes(b):
            return True
        try:
            left, right = self._decode(a), self._decode(b)
        except (msgspec.DecodeError, RecursionError):
            return False
        return bool(left == right) or SORTED_ENCODER.encode(left) == SORTED_ENCODER.encode(right)

    def _suspicious(self, data: bytes, value: Any) -> bool:
        shape = self.shape
        return (
            (shape.nullable and b"null" in data and hides_nan(value))
            or (shape.decimals and (b"NaN" in data or b"Infinity" in data))
            or (shape.wide and LONG_NUMBER in data.translate(DIGITS))
        )


def inspect(value: Any, data: bytes, field: str) -> None:
    """Raise PayloadError if the value is too large, or something in it isn't what was written."""
    if found := find_fault(value, field):
        raise _refused(found)
    if len(data) > limits.PAYLOAD_BYTES:
        where = largest(value, field, lambda part: len(PLAIN_ENCODER.encode(part)))
        problem = f"{len(data)} bytes encoded, more than PAYLOAD_BYTES ({limits.PAYLOAD_BYTES})"
        raise PayloadError(where or "value", problem, "Store it elsewhere and pass its key")


def unencodable(value: Any, field: str, error: Exception) -> PayloadError:
    """The error for a value that the encoder didn't take."""
    return _refused(find_fault(value, field) or Fault(field, f"can't be encoded: {error}", ANSWER))


def undecodable(error: Exception, field: str) -> PayloadError:
    """The error for JSON that isn't what the annotation says, in our words and with the field's path."""
    match = PLACE.match(str(error))
    path, what = (match["path"] or "", match["what"]) if match else ("", str(error))
    if inside := INSIDE.match(what):
        path, what = path + inside["path"], inside["what"]
    cure = ANSWER
    if named := FIELD.match(what):
        path += f".{named['name']}"
        missing = named["how"].startswith("missing")
        what, cure = ("is missing", "Pass it") if missing else ("is not a field of it", "Leave it out")
    where = (field + path).removeprefix(".")
    what = what.replace("`", "")
    return PayloadError(where or "value", what[:1].lower() + what[1:], cure)


def _foreign(info: ms.Type, value: Any, field: str) -> PayloadError:
    return _refused(find_foreign(info, value, field) or Fault(field, "has no annotation to come back by", CURE))


def _refused(fault: Fault) -> PayloadError:
    return PayloadError(fault.path or "value", fault.problem, fault.cure)


ANYTHING: Final = Shape(Any)


@lru_cache(maxsize=1024)
def _cached(annotation: Any) -> Codec:
    return Codec(annotation)


def codec_of(annotation: Any) -> Codec:
    """The codec of an annotation, made once.

    :raises Unencodable: if its values can't be encoded.
    """
    try:
        return _cached(annotation)
    except TypeError as error:
        if "unhashable" in str(error):
            return Codec(annotation)
        raise


def encode(value: Any, annotation: Any = Any, field: str = "") -> Raw:
    """The value as JSON by its annotation; see `Codec.encode`."""
    return codec_of(annotation).encode(value, field)


def decode(raw: Raw | bytes, annotation: Any = Any, field: str = "") -> Any:
    """The value of its annotation; see `Codec.decode`."""
    return codec_of(annotation).decode(raw, field)


def canonical(raw: Raw | bytes) -> Raw:
    """The same value as JSON with its keys in order."""
    return Raw(SORTED_ENCODER.encode(msgspec.json.decode(raw)))


def content_hash(pattern: str, definition: str, raw: Raw | bytes) -> bytes:
    """16 bytes, equal for equal content: pattern, definition name and input, whatever the order of its keys."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (pattern.encode(), definition.encode(), bytes(canonical(raw))):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
