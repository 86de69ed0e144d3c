"""What may be done inside a two-phase transaction's block, and what is refused there."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.app.banks import Banks, FakeBank
from troth import DefinitionError
from troth.core.words import Op
from troth.ports.errors import WrongColour
from troth.testing.resources import FakeServer


@pytest.fixture
def banks() -> Banks:
    """Two banks; the log is memory."""
    return Banks()


# --- inside


def test_current_is_the_transaction(banks: Banks) -> None:
    """Inside the block `troth.current()` is the transaction as a whole; outside it is not known."""
    with banks.troth as troth:
        with troth.two_phase("t-1") as tx:
            current = troth.current()
            assert (current.gid, current.branch, current.op) == ("t-1", "", Op.PREPARE)
            assert current.idempotency_key.endswith("/prepare")
            assert tx.gid == "t-1"
        with pytest.raises(DefinitionError):
            troth.current()


def test_enlisted_twice_is_the_same_connection(banks: Banks) -> None:
    """A database takes part once."""
    with banks.troth as troth, troth.two_phase() as tx:
        assert tx.enlist(banks["a"]) is tx.enlist(banks["a"])


@pytest.mark.parametrize("verb", ["commit", "rollback", "close"])
def test_the_connection_is_not_ended_inside(banks: Banks, verb: str) -> None:
    """Its ends are troth's."""
    with banks.troth as troth, pytest.raises(DefinitionError), troth.two_phase() as tx:
        getattr(tx.enlist(banks["a"]), verb)()
    assert banks.rows["a"] == {}


# --- misuse


def test_strangers_are_not_enlisted(banks: Banks) -> None:
    """Recovery could not find a database that the Troth object doesn't know."""
    with banks.troth as troth, pytest.raises(DefinitionError, match="of this Troth object"), troth.two_phase() as tx:
        tx.enlist(FakeBank("a", FakeServer()))


def test_another_thread_can_not_enlist(banks: Banks) -> None:
    """A connection never changes its thread."""
    caught: list[BaseException] = []
    with banks.troth as troth, troth.two_phase() as tx:

        def elsewhere() -> None:
            with pytest.raises(DefinitionError, match="another thread") as error:
                tx.enlist(banks["a"])
            caught.append(error.value)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert caught


def test_a_block_is_one_transaction(banks: Banks) -> None:
    """It is entered once, and enlists nothing after its end."""
    with banks.troth as troth:
        block = troth.two_phase()
        with block as tx:
            pass
        with pytest.raises(DefinitionError, match="entered before"), block:
            pass
        with pytest.raises(DefinitionError, match="was left"):
            tx.enlist(banks["a"])


def test_the_colour_is_the_blocks(banks: Banks) -> None:
    """``with`` inside a running loop is refused, naming what to write."""

    async def main() -> None:
        async with banks.troth as troth:
            with pytest.raises(WrongColour, match="async with"), troth.two_phase():
                pass

    asyncio.run(main())


@pytest.mark.parametrize("options", [{"timeout": 0}, {"vote_by": -1}, {"timeout": 1, "vote_by": 2}, {"until": "soon"}])
def test_wrong_options_are_refused(banks: Banks, options: Any) -> None:
    """Times are positive, voting ends before the whole does, and there are two moments to leave at."""
    with pytest.raises(DefinitionError):
        banks.troth.two_phase(**options)
