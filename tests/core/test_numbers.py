"""Numbers that people write down."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.core.ids import Unfit, check_gid
from troth.core.numbers import ALPHABET, CHANCE_BITS, millis_of, read, written
from troth.participant.numbers import Numbers
from troth.ports.errors import ConfigurationError, PayloadError

VALUES = st.integers(0, 2**95 - 1)


@given(VALUES, st.sampled_from(["", "ORD", "INVOICE2026"]))
def test_a_number_is_read_as_it_was_written(value: int, prefix: str) -> None:
    """Also in small letters, without hyphens, with O for 0 and l for 1; and it is a gid."""
    text = written(value, prefix)
    assert read(text, prefix) == value
    body = text[len(prefix) :].replace("0", "o").replace("1", "l").replace("-", " ").lower()
    assert read(f" {prefix.lower()}{body}", prefix) == value
    assert check_gid(text) == text


@given(VALUES, st.integers(0, 19), st.sampled_from(ALPHABET))
def test_every_single_wrong_character_is_found(value: int, at: int, wrong: str) -> None:
    """Wherever it stands, the check character included."""
    body = written(value).replace("-", "")
    if body[at] != wrong:
        with pytest.raises(Unfit, match="wrong character"):
            read(body[:at] + wrong + body[at + 1 :])


@given(VALUES)
def test_every_two_exchanged_characters_are_found(value: int) -> None:
    """Neighbours or not."""
    body = written(value).replace("-", "")
    for one, other in itertools.combinations(range(20), 2):
        if body[one] != body[other]:
            swapped = list(body)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            with pytest.raises(Unfit, match="changed places"):
                read("".join(swapped))


def test_numbers_ascend_even_when_time_does_not() -> None:
    """Within a process; by the millisecond between them. As text, too."""
    times = iter([5_000_000, 5_000_900, 5_000_100, 4_000_000, 9_000_000])
    numbers = Numbers("ORD", lambda: next(times))
    drawn = [numbers.draw() for _ in range(5)]
    assert drawn == sorted(set(drawn))
    assert [numbers.drawn_at(one) for one in (drawn[0], drawn[4])] == [5_000_000, 9_000_000]
    assert millis_of(9_000 << CHANCE_BITS | 7) == 9_000


def test_what_is_no_number_is_named() -> None:
    """Another prefix, another length, a mistyped one, and a prefix that is none."""
    numbers = Numbers("ORD", lambda: 1_000_000)
    good = numbers.draw()
    assert numbers.check(good.lower()) == good
    wrong = good[:-1] + ("0" if good[-1] != "0" else "2")
    for text, said in ((good.replace("ORD", "INV"), "begin with ORD"), (good + "0", "20 letters"), (wrong, "wrong character")):
        with pytest.raises(PayloadError, match=said):
            numbers.check(text)
    with pytest.raises(ConfigurationError, match="prefix"):
        Numbers("ord-1", lambda: 1)
