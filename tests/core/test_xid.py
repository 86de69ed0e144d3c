"""Names of prepared branches: ours come back as they were, a stranger's are nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.core import limits
from troth.core.xid import (
    BQUAL_BYTES,
    FORMAT,
    GTRID_BYTES,
    TEXT_BYTES,
    Xid,
    checked,
    from_text,
    from_xa,
)

HEX32 = st.binary(min_size=16, max_size=16).map(bytes.hex)
XIDS = st.builds(
    Xid,
    log=HEX32,
    incarnation=HEX32,
    uid=st.binary(min_size=16, max_size=16),
    branch=st.integers(0, limits.BRANCHES - 1),
    vote_by=st.integers(0, 2**63 - 1),
)
ONE = Xid("0a" * 16, "b1" * 16, bytes(range(16)), 3, 1_764_055_593_000_000)


@given(XIDS)
def test_a_name_comes_back_from_postgres_as_it_was(xid: Xid) -> None:
    """And fits: ASCII without quotes, at most 199 bytes."""
    text = xid.to_text()
    assert from_text(text) == xid == checked(xid)
    assert text.isascii() and len(text) <= TEXT_BYTES and "'" not in text and "\\" not in text


@given(XIDS, st.text(max_size=64))
def test_a_name_comes_back_from_xa_as_it_was_in_its_own_database(xid: Xid, place: str) -> None:
    """Whatever the database is called; in another it is a stranger's."""
    gtrid, bqual, format_id = xid.to_xa(place)
    assert from_xa(gtrid, bqual, format_id, place) == xid
    assert from_xa(gtrid, bqual, format_id, place + "x") is None
    assert len(gtrid) == GTRID_BYTES and len(bqual) <= BQUAL_BYTES and (gtrid + bqual).isascii()


@given(XIDS, XIDS)
def test_two_names_are_never_written_alike(one: Xid, other: Xid) -> None:
    """In neither form."""
    assert (one == other) == (one.to_text() == other.to_text()) == (one.to_xa() == other.to_xa())


@given(st.text(max_size=220))
def test_any_other_text_is_a_strangers(text: str) -> None:
    """Also one that begins as ours do."""
    assert from_text(text) is None
    assert from_text("troth1:" + text) is None


@pytest.mark.parametrize(
    "text",
    [
        ONE.to_text().upper(),
        ONE.to_text() + "\n",
        ONE.to_text() + ":0",
        ONE.to_text().replace(":3:", ":03:"),
        ONE.to_text().replace("troth1", "troth2"),
    ],
)
def test_a_name_written_otherwise_is_a_strangers(text: str) -> None:
    """One name, one spelling: else the same branch could be judged twice."""
    assert from_text(text) is None


@given(st.binary(max_size=64), st.binary(max_size=64), st.integers(-(2**31), 2**31 - 1))
def test_any_other_xa_name_is_a_strangers(gtrid: bytes, bqual: bytes, format_id: int) -> None:
    """By its format number or by its parts."""
    mine, branch, _ = ONE.to_xa("bank")
    assert from_xa(gtrid, bqual, format_id, "bank") is None
    assert from_xa(gtrid, branch, FORMAT, "bank") is None
    assert from_xa(mine, bqual, FORMAT, "bank") is None
    assert from_xa(mine, branch, format_id, "bank") is None or format_id == FORMAT


def test_the_witness_is_known_from_the_name_alone() -> None:
    """So that a sweep can leave a tombstone for a branch that no log knows."""
    assert ONE.witness == "0/xid#4"


@pytest.mark.parametrize(
    "wrong",
    [ONE._replace(log="0A" * 16), ONE._replace(uid=b"short"), ONE._replace(branch=-1), ONE._replace(branch=1_000),
     ONE._replace(vote_by=-5)],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused_before_they_are_written(wrong: Xid) -> None:
    """By `checked`."""
    with pytest.raises(ValueError, match="no name of a branch"):
        checked(wrong)
