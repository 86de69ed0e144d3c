"""Encoded values are taken apart and joined by their bytes."""

from __future__ import annotations

import pytest
from msgspec import Raw

from troth.ports.errors import PayloadError
from troth.wire.splice import fields, join, pick

VALUE = Raw(b'{"id":"1","lines":[{"price":"1.10"},{"price":"2"}],"note":null}')


def test_fields_and_join_are_inverse() -> None:
    """Taking an object apart and joining it again gives the same bytes."""
    assert bytes(join(fields(VALUE))) == bytes(VALUE)
    assert bytes(join({})) == b"{}"
    assert bytes(join({'a"b': Raw(b"1")})) == b'{"a\\"b":1}'


def test_pick_follows_names_and_indexes() -> None:
    """A path of names and indexes leads to the member's own bytes."""
    assert bytes(pick(VALUE, ["lines", 1, "price"])) == b'"2"'
    assert bytes(pick(VALUE, ["lines", -1, "price"])) == b'"2"'
    assert bytes(pick(VALUE, [])) == bytes(VALUE)


@pytest.mark.parametrize("path", [["x"], ["lines", 2], ["lines", "x"], ["note", "x"], ["id", 0]])
def test_pick_names_what_is_not_there(path: list[str | int]) -> None:
    """A path that leads nowhere is a PayloadError naming it."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    with pytest.raises(PayloadError) as caught:
        pick(VALUE, path)
    assert caught.value.field == where


def test_only_objects_have_fields() -> None:
    """An array or a number has no fields."""
    with pytest.raises(PayloadError, match="is not an object"):
        fields(Raw(b"[1]"))
