"""Two-phase transactions that a block opens: all databases commit together or none does, whatever happens in between."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.app.banks import WAYS, Banks, told
from tests.app.patience import until
from troth import AlreadyBegun, Cancelled, ConfigurationError, DefinitionError, GidConflict, NeedsAttention, UnknownTransaction
from troth.core.reply import Reply
from troth.core.words import Fate, State, Word
from troth.ports.resource import EnlistFailed

anyway = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def banks() -> Banks:
    """Two banks; the log is memory."""
    return Banks()


def forced(banks: Banks) -> int:
    """Writes that somebody waited for."""
    return banks.troth.stats()["forced"]


# --- the two ends


@anyway
def test_leaving_commits_everywhere(banks: Banks, way: str) -> None:
    """Nothing is seen before the block is left, and everything is when it has been."""
    outcome = banks.put(way, "t-1")
    assert banks.rows == {"a": {"x": 1}, "b": {"x": 1}}
    assert banks.prepared == 0
    assert outcome.state in (State.CONFIRMING, State.CONFIRMED)  # told with the decision; the outcome rides
    assert [(b.id, b.fate) for b in outcome.branches] == [("0/database:a#1", Fate.CONFIRMED), ("0/database:b#1", Fate.CONFIRMED)]


@anyway
def test_an_exception_rolls_back_and_goes_on(banks: Banks, way: str) -> None:
    """An exception leaves the block unchanged; no database keeps anything."""
    with pytest.raises(KeyError, match="mine"):
        banks.put(way, "t-1", error=KeyError("mine"))
    assert banks.rows == {"a": {}, "b": {}}
    assert banks.prepared == 0


@anyway
def test_a_no_rolls_all_back(banks: Banks, way: str) -> None:
    """One database that can't prepare is enough: the others are rolled back, and the caller is told which it was."""
    banks.servers["b"].before = lambda op, xid: Reply(Word.REFUSED, reason="deferred constraint") if op == "prepare" else None
    with pytest.raises(Cancelled, match="deferred constraint") as caught:
        banks.put(way)
    assert caught.value.step == "0/database:b#1"
    assert (banks.rows, banks.prepared) == ({"a": {}, "b": {}}, 0)


@anyway
def test_an_unknown_vote_rolls_all_back(banks: Banks, way: str) -> None:
    """A prepare that gets no answer counts as a no, and what it has prepared is rolled back too."""
    banks.servers["a"].after = lambda op, xid, reply: Reply(Word.UNKNOWN, reason="no answer") if op == "prepare" else reply
    with pytest.raises(Cancelled, match="no answer"):
        banks.put(way)
    assert (banks.rows, banks.prepared) == ({"a": {}, "b": {}}, 0)


@anyway
def test_finished_waits_for_the_log(banks: Banks, way: str) -> None:
    """With ``until="finished"`` the outcome is confirmed, and the log says so."""
    assert banks.put(way, until="finished").state is State.CONFIRMED


# --- what it costs


def test_forced_writes() -> None:
    """Two writers force one write, a single writer one, read-only none, rolling back none, a last resource one."""
    banks = Banks(("a", "b", "c"), last=["c"])
    with banks.troth:
        costs = {}
        for name, enlisted, reads, fails in (
            ("two writers", "ab", "", False), ("one writer", "a", "", False), ("read only", "ab", "ab", False),
            ("a writer, a reader", "ab", "b", False), ("left", "ab", "", True), ("last resource", "abc", "", False),
        ):  # fmt: skip
            before = forced(banks)
            try:
                with banks.troth.two_phase() as tx:
                    for each in enlisted:
                        connection = tx.enlist(banks[each])
                        connection.get("x") if each in reads else connection.put("x", name)
                    if fails:
                        raise KeyError(name)
            except KeyError:
                pass
            costs[name] = forced(banks) - before
    assert costs == {
        "two writers": 1, "one writer": 1, "read only": 0, "a writer, a reader": 1, "left": 0, "last resource": 1,
    }  # fmt: skip


def test_what_is_read_only_leaves_no_record(banks: Banks) -> None:
    """A transaction that wrote nowhere, or was rolled back by its own process, is not in the log."""
    with banks.troth as troth:
        with troth.two_phase("reads") as tx:
            tx.enlist(banks["a"]).get("x")
            tx.enlist(banks["b"]).get("x")
        assert told(tx).state is State.CONFIRMED
        with pytest.raises(KeyError), troth.two_phase("left") as tx:
            tx.enlist(banks["a"]).put("x", 1)
            raise KeyError("left")
        assert told(tx).state is State.CANCELLED
        for gid in ("reads", "left"):
            with pytest.raises(UnknownTransaction):
                troth.get(gid)


def test_a_single_writer_commits_in_one_phase(banks: Banks) -> None:
    """One database alone is never asked to prepare."""
    asked: list[str] = []
    banks.servers["a"].before = lambda op, xid: asked.append(op)  # type: ignore[func-returns-value]
    with banks.troth as troth, troth.two_phase() as tx:
        tx.enlist(banks["a"]).put("x", 1)
    assert asked == ["enlist", "commit"]
    assert banks.rows["a"] == {"x": 1}


# --- the last resource


@anyway
def test_the_last_resource_goes_last(way: str) -> None:
    """What can't prepare commits when all others have, and before they do."""
    banks, order = Banks(("l", "a", "b"), last=["l"]), list[str]()
    for name, server in banks.servers.items():
        server.before = lambda op, xid, name=name: order.append(f"{op} {name}")  # type: ignore[misc]
    banks.put(way)
    asked = [each for each in order if not each.startswith("enlist")]
    assert set(asked[:2]) == {"prepare a", "prepare b"}
    assert asked[2] == "commit l"
    assert set(asked[3:]) == {"commit a", "commit b"}


@anyway
def test_a_last_resource_that_refuses_rolls_all_back(way: str) -> None:
    """Its own commit is the decision: a no rolls the prepared ones back."""
    banks = Banks(("l", "a"), last=["l"])
    banks.servers["l"].before = lambda op, xid: Reply(Word.REFUSED, reason="constraint") if op == "commit" else None
    with pytest.raises(Cancelled, match="constraint"):
        banks.put(way)
    assert (banks.rows, banks.prepared) == ({"l": {}, "a": {}}, 0)


@anyway
@pytest.mark.parametrize("landed", [True, False])
def test_a_last_resource_without_an_answer_is_sealed(way: str, landed: bool) -> None:
    """Whether its lost commit landed is asked in a way that settles it, and the others follow."""
    banks = Banks(("l", "a"), last=["l"])
    lost = Reply(Word.UNKNOWN, reason="connection lost")
    if landed:
        banks.servers["l"].after = lambda op, xid, reply: lost if op == "commit" else reply
        banks.put(way)
    else:
        banks.servers["l"].before = lambda op, xid: lost if op == "commit" else None
        with pytest.raises(Cancelled):
            banks.put(way)
    assert banks.rows == {"l": {"x": 1} if landed else {}, "a": {"x": 1} if landed else {}}
    assert banks.prepared == 0


def test_there_is_room_for_one_last_resource() -> None:
    """A second database that can't prepare is refused when it is enlisted, naming the first."""
    banks = Banks(("l", "m"), last=["l", "m"])
    with banks.troth as troth, pytest.raises(DefinitionError, match="m can't prepare, nor can l"), troth.two_phase() as tx:
        tx.enlist(banks["l"])
        tx.enlist(banks["m"])


# --- gids


@anyway
def test_a_repeated_gid_commits_nothing_twice(tmp_path: Path, way: str) -> None:
    """The gid of a transaction that was decided is refused at entry, also after a restart."""
    banks = Banks(store=f"sqlite:///{tmp_path}/log.db")
    banks.put(way, "t-1", value=1)
    with pytest.raises(AlreadyBegun, match="t-1"):
        banks.put(way, "t-1", value=2)
    assert banks.rows["a"] == {"x": 1}


def test_a_gid_that_was_rolled_back_can_be_used_again(banks: Banks) -> None:
    """Nothing is written to roll back, so the same gid may begin anew."""
    with pytest.raises(KeyError):
        banks.put("thread", "t-1", error=KeyError())
    banks.put("thread", "t-1")
    assert banks.rows["a"] == {"x": 1}


def test_another_pattern_has_the_gid(banks: Banks) -> None:
    """A gid of something else is a conflict."""
    with banks.troth as troth:
        with troth.two_phase("t-1", name="transfer", until="finished") as tx:
            tx.enlist(banks["a"]).put("x", 1)
        with pytest.raises(GidConflict), troth.two_phase("t-1", name="payout"):
            pass
        with pytest.raises(AlreadyBegun), troth.two_phase("t-1", name="transfer"):
            pass
        with pytest.raises(GidConflict), troth.transaction("t-1"):
            pass


@anyway
def test_two_processes_with_one_gid(tmp_path: Path, way: str) -> None:
    """Of two that open the same gid at the same time, the second to decide is told, and keeps nothing."""
    one = Banks(store=f"sqlite:///{tmp_path}/log.db")
    other = Banks(store=f"sqlite:///{tmp_path}/log.db", servers=one.servers)
    begun, go = threading.Event(), threading.Event()

    def wait(op: str, xid: Any) -> None:
        if op == "prepare" and not begun.is_set():
            begun.set()
            assert go.wait(30)

    one.servers["b"].before = wait
    caught: list[BaseException] = []

    def slow() -> None:
        try:
            one.put(way, "t-1", value="slow")
        except AlreadyBegun as error:
            caught.append(error)

    thread = threading.Thread(target=slow)
    thread.start()
    assert begun.wait(30)
    one.servers["b"].lock = threading.RLock()  # the other process's connection waits for nothing of ours
    with other.troth as troth, troth.two_phase("t-1", until="finished") as tx:
        tx.enlist(other["a"]).put("y", "fast")
    go.set()
    thread.join()
    assert [str(error) for error in caught] == ["t-1 was already begun; it ended confirmed"]
    assert one.rows == {"a": {"y": "fast"}, "b": {}}
    assert one.prepared == 0


# --- when something is wrong


def test_a_database_that_is_down_after_the_decision(tmp_path: Path) -> None:
    """The block is left: it is decided. The commit is repeated until the database is back."""
    banks = Banks(store=f"sqlite:///{tmp_path}/log.db")
    answer: list[Reply | None] = [Reply(Word.UNKNOWN, reason="down")]
    banks.servers["b"].before = lambda op, xid: answer[0] if op == "commit" else None
    with banks.troth as troth:
        with troth.two_phase("t-1") as tx:
            for name in "ab":
                tx.enlist(banks[name]).put("x", 1)
        assert tx.committed
        assert told(tx).state is State.CONFIRMING
        assert banks.rows == {"a": {"x": 1}, "b": {}}
        answer[0] = None
        assert troth.attach("t-1").wait().state is State.CONFIRMED
    assert banks.rows["b"] == {"x": 1}


@anyway
def test_settled_behind_our_back(tmp_path: Path, way: str) -> None:
    """A prepared branch that somebody rolled back is a heuristic outcome: a person is told which, and may resolve it."""
    banks = Banks(store=f"sqlite:///{tmp_path}/log.db")
    server = banks.servers["b"]

    def meddle(op: str, xid: Any) -> None:
        if op == "commit":
            server.branches.clear()

    server.before = meddle
    with pytest.raises(NeedsAttention, match=r"database:b.*heuristic"):
        banks.put(way, "t-1")
    assert banks.rows == {"a": {"x": 1}, "b": {}}
    with banks.troth as troth:
        view = troth.get("t-1")
        assert view.state is State.FAILED
        fates = {b.name: (b.fate, b.reason.startswith("heuristic: ")) for b in view.branches}
        assert fates == {"database:a": (Fate.CONFIRMED, False), "database:b": (Fate.DONE, True)}
        troth.resolve("t-1", reason="paid by hand")
        until(lambda: troth.get("t-1").finished)


def test_an_enlist_that_failed_can_only_be_rolled_back(banks: Banks) -> None:
    """Also where the exception was swallowed: half of a transfer is never committed."""
    banks.servers["b"].down = True
    with banks.troth as troth, pytest.raises(Cancelled, match="b could not be enlisted"), troth.two_phase() as tx:
        tx.enlist(banks["a"]).put("x", 1)
        with pytest.raises(EnlistFailed):
            tx.enlist(banks["b"])
        assert tx.rollback_only
        assert not tx.committed
    assert banks.rows["a"] == {}


def test_a_server_that_can_not_do_it(banks: Banks) -> None:
    """What stands in the way of two-phase commit on a server is said with its cure when it is enlisted."""
    banks.servers["b"].slots = 0
    with banks.troth as troth, pytest.raises(ConfigurationError, match="prepared transactions are off"), troth.two_phase() as tx:
        tx.enlist(banks["b"])


def test_time_is_over_before_the_end(banks: Banks) -> None:
    """Past its deadline nothing more is enlisted, and the end rolls back."""
    with banks.troth as troth, pytest.raises(Cancelled, match="timeout"), troth.two_phase(timeout=0.01) as tx:
        tx.enlist(banks["a"]).put("x", 1)
        until(lambda: tx.rollback_only)
        with pytest.raises(Cancelled, match="timeout"):
            tx.enlist(banks["b"])
    assert (banks.rows, banks.prepared) == ({"a": {}, "b": {}}, 0)


def test_vote_by_bounds_preparing(banks: Banks) -> None:
    """A vote that comes after ``vote_by`` is no yes any more."""
    with banks.troth as troth, pytest.raises(Cancelled, match="vote_by"), troth.two_phase(vote_by=0.05) as tx:

        def slow(op: str, xid: Any) -> None:
            if op == "prepare":
                until(lambda: tx.rollback_only)

        banks.servers["b"].before = slow
        for name in "ab":
            tx.enlist(banks[name]).put("x", 1)
    assert (banks.rows, banks.prepared) == ({"a": {}, "b": {}}, 0)


@anyway
def test_an_interrupt_leaves_nothing(banks: Banks, way: str) -> None:
    """Left by what is no ``Exception``, connections are given up and nothing stays."""
    with pytest.raises(SystemExit):
        banks.put(way, error=SystemExit(3))
    assert (banks.rows, banks.prepared) == ({"a": {}, "b": {}}, 0)


def test_cancelling_the_wait_cancels_nothing_else(banks: Banks) -> None:
    """A task that is cancelled while its databases vote leaves a transaction that goes its way."""
    voting = asyncio.Event()

    async def main() -> None:
        async with banks.troth as troth:
            banks.servers["b"].before = lambda op, xid: voting.set() if op == "prepare" else None  # type: ignore[func-returns-value]

            async def move() -> None:
                async with troth.two_phase("t-1") as tx:
                    for name in "ab":
                        (await tx.enlist(banks[name])).put("x", 1)

            task = asyncio.create_task(move())
            await voting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await troth.attach("t-1").aio.wait()).state is State.CONFIRMED

    asyncio.run(main())
    assert banks.rows == {"a": {"x": 1}, "b": {"x": 1}}
