"""Names are checked where they are given, and branch ids are derived."""

from __future__ import annotations

import pytest

from troth.core import limits
from troth.core.ids import ROOT, Unfit, branch_id, check_gid, check_name, split_branch_id


@pytest.mark.parametrize("gid", ["a", "0", "order-1", "A.b_c:d-e", "x" * 128])
def test_good_gids_pass(gid: str) -> None:
    """1 to 128 of A-Za-z0-9._:- with a letter or digit first is a gid."""
    assert check_gid(gid) == gid


@pytest.mark.parametrize(
    "gid", ["", ".", "..", "-a", ":a", "_a", "a b", "a/b", "ä", "a\n", "a\0", "a#1", "a?b", 7, None, b"a"]
)
def test_bad_gids_are_refused(gid: object) -> None:
    """Anything else is refused, saying what a gid is."""
    with pytest.raises(Unfit) as caught:
        check_gid(gid)
    assert caught.value.cure
    assert not caught.value.limit


def test_a_long_gid_names_its_limit() -> None:
    """129 characters are over GID_LENGTH."""
    with pytest.raises(Unfit, match=r"has 129 characters, GID_LENGTH is 128\. Use a shorter key") as caught:
        check_gid("x" * 129)
    assert (caught.value.limit, caught.value.value, caught.value.maximum) == ("GID_LENGTH", 129, 128)


@pytest.mark.parametrize("name", ["shop.reserve", "Bestellung anlegen", "ü", "x" * 128])
def test_good_names_pass(name: str) -> None:
    """Printable text without / and # is a name."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        ("a/b", "contains / or #"),
        ("a#1", "contains / or #"),
        ("a\nb", "can't be printed"),
        ("\0", "can't be printed"),
        ("\ud800", "can't be printed"),
        ("x" * 129, "NAME_LENGTH is 128"),
        (7, "not int"),
    ],
)
def test_bad_names_are_refused(name: object, words: str) -> None:
    """Control characters, separators, empty and long names are refused with a cure."""
    with pytest.raises(Unfit, match=words) as caught:
        check_name(name)
    assert caught.value.cure


def test_branch_ids_are_derived_and_split() -> None:
    """place/name#occurrence goes both ways, and has a limit."""
    assert branch_id(ROOT, "shop.reserve", 2) == "0/shop.reserve#2"
    assert split_branch_id("0/1/shop.reserve#2") == ("0/1", "shop.reserve", 2)
    with pytest.raises(Unfit, match="BRANCH_ID_LENGTH"):
        branch_id("0/" * limits.BRANCH_ID_LENGTH, "a", 1)


@pytest.mark.parametrize("text", ["", "a", "0/a", "a#1", "0/a#x"])
def test_what_is_no_branch_id_is_refused(text: str) -> None:
    """Splitting anything else is a ValueError."""
    with pytest.raises(ValueError, match="is no branch id"):
        split_branch_id(text)
