"""The journal's rules: group commit, forced and riding writes, unknown commits, poison rows."""

from __future__ import annotations

from msgspec import Raw

from troth.core import limits
from troth.core.plan import Plan
from troth.core.saga import begin
from troth.core.state import Saga
from troth.engine.journal import LARGE, RIDE, Commit, Journal, Settle, Ticket, Wait
from troth.ports.errors import CommitUnknown, Fenced, RowRejected, StoreError, StoreUnavailable
from troth.ports.store import BatchOutcome, Write

SAGA = begin(Plan("s", "function"), gid="g", uid=b"u" * 16, input=Raw(b"1"), now=0, begun=0).state


class Owner:
    """Something with a row."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rev = 1
        self.saga: Saga = SAGA

    def as_write(self) -> Write:
        """Its row."""
        return Write(self.name.encode(), self.name, True, True, 1, "saga", "s", "trying", 0, 0, 0, b"", b"{}")


class Listener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def durable(self, tickets: list[Ticket], outcome: BatchOutcome) -> None:
        """A batch is in the log."""
        self.told.append("durable " + " ".join(name(ticket) for ticket in tickets))

    def rejected(self, ticket: Ticket, error: StoreError) -> None:
        """A row can't be stored."""
        self.told.append(f"rejected {name(ticket)}")

    def fenced(self) -> None:
        """Declared dead."""
        self.told.append("fenced")


def name(ticket: Ticket) -> str:
    """Whose it is."""
    owner = ticket.owner
    assert isinstance(owner, Owner)
    return owner.name


def journal() -> tuple[Journal, Listener]:
    """A journal, and what it tells."""
    listener = Listener()
    return Journal(listener, lambda: 7), listener


def rows(step: object) -> list[str]:
    """The rows of the batch that a step commits."""
    assert isinstance(step, Commit)
    return [write.gid for write in step.batch.writes]


def put(under: Journal, *names: str, forced: bool = True, now: int = 0) -> list[Owner]:
    """Put rows."""
    owners = [Owner(each) for each in names]
    for owner in owners:
        if forced:
            under.force(owner)
        else:
            under.ride(owner, now)
    return owners


def test_what_waits_goes_as_one_batch() -> None:
    """Group commit; numbers rise by one; the node's floor goes along."""
    under, listener = journal()
    put(under, "a", "b")
    step = under.next_step(0)
    assert rows(step) == ["a", "b"]
    assert isinstance(step, Commit)
    assert (step.batch.number, step.batch.floor) == (1, 7)
    under.committed(BatchOutcome())
    assert listener.told == ["durable a b"]
    assert under.next_step(0) is None


def test_one_step_at_a_time() -> None:
    """What comes meanwhile waits for the next batch."""
    under, _ = journal()
    put(under, "a")
    under.next_step(0)
    put(under, "b")
    assert under.next_step(0) is None
    under.committed(BatchOutcome())
    assert rows(under.next_step(0)) == ["b"]


def test_a_riding_write_goes_with_a_forced_one() -> None:
    """Or alone, when nothing has carried it for a while."""
    under, _ = journal()
    put(under, "rides", forced=False)
    assert under.next_step(0) == Wait(int(limits.RIDE_SECONDS * 1e6))
    put(under, "forced")
    assert rows(under.next_step(0)) == ["forced", "rides"]
    under.committed(BatchOutcome())
    put(under, "late", forced=False, now=100)
    assert rows(under.next_step(100 + int(limits.RIDE_SECONDS * 1e6))) == ["late"]


def test_a_large_group_leaves_young_riding_writes_behind() -> None:
    """The next forced write of their transaction will likely hold what they hold; none waits longer than it would alone."""
    under, _ = journal()
    names = [f"f{number}" for number in range(LARGE)]
    put(under, "old", forced=False)
    put(under, "young", forced=False, now=1)
    put(under, *names)
    assert rows(under.next_step(RIDE)) == [*names, "old"]
    under.committed(BatchOutcome())
    assert rows(under.next_step(RIDE + 1)) == ["young"]


def test_writes_of_one_transaction_coalesce() -> None:
    """The newest state takes the place of the one that waits."""
    under, _ = journal()
    (owner,) = put(under, "a", forced=False)
    under.force(owner)
    assert rows(under.next_step(0)) == ["a"]


def test_a_beat_is_a_batch_without_rows() -> None:
    """It renews the node's row: its floor, its sign of life."""
    under, listener = journal()
    under.beat()
    assert rows(under.next_step(0)) == []
    under.committed(BatchOutcome())
    assert listener.told == ["durable "]
    assert under.next_step(0) is None


def test_an_error_is_tried_again_before_anything_new() -> None:
    """Nothing was written: the same rows under a new number, after a pause."""
    under, listener = journal()
    put(under, "a")
    under.next_step(0)
    put(under, "b")
    under.failed(StoreUnavailable("busy"), 0, 0.0)
    assert under.next_step(0) == Wait(50_000)
    step = under.next_step(50_000)
    assert rows(step) == ["a"]
    assert isinstance(step, Commit)
    assert step.batch.number == 2
    assert listener.told == []


def test_an_unknown_commit_is_settled() -> None:
    """Nothing else happens before it is known: durable, or to be tried again."""
    for applied in (True, False):
        under, listener = journal()
        put(under, "a")
        under.next_step(0)
        under.failed(CommitUnknown("lost"), 0, 0.0)
        assert under.next_step(0) == Settle(1)
        under.settled(BatchOutcome() if applied else None)
        assert listener.told == (["durable a"] if applied else [])
        assert (under.next_step(0) is None) == applied


def test_an_unknown_commit_is_settled_once() -> None:
    """A second answer would be taken for the next batch's: while it is being asked, nothing else is."""
    under, _ = journal()
    put(under, "a")
    under.next_step(0)
    under.failed(CommitUnknown("lost"), 0, 0.0)
    assert under.next_step(0) == Settle(1)
    put(under, "b")
    assert under.next_step(0) is None


def test_settling_that_fails_is_tried_again() -> None:
    """The store is out: the commit stays unknown."""
    under, _ = journal()
    put(under, "a")
    under.next_step(0)
    under.failed(CommitUnknown("lost"), 0, 0.0)
    under.next_step(0)
    under.failed(StoreUnavailable("out"), 0, 0.0)
    assert under.next_step(0) == Wait(50_000)
    assert under.next_step(50_000) == Settle(1)


def test_only_the_poison_row_fails() -> None:
    """A batch with a row that can't be stored is written row by row."""
    under, listener = journal()
    put(under, "a", "poison", "c")
    under.next_step(0)
    under.failed(RowRejected("a NUL"), 0, 0.0)
    for each in ("a", "poison", "c"):
        assert rows(under.next_step(0)) == [each]
        if each == "poison":
            under.failed(RowRejected("a NUL"), 0, 0.0)
        else:
            under.committed(BatchOutcome())
    assert listener.told == ["durable a", "rejected poison", "durable c"]


def test_a_fenced_journal_writes_nothing_more() -> None:
    """Declared dead: others go on from the log."""
    under, listener = journal()
    put(under, "a")
    under.next_step(0)
    under.failed(Fenced("dead"), 0, 0.0)
    put(under, "b")
    assert listener.told == ["fenced"]
    assert under.next_step(10**9) is None


def test_a_large_backlog_goes_in_pieces_forced_first() -> None:
    """A batch is bounded, and what is waited for goes first."""
    under, _ = journal()
    put(under, *(f"r{n}" for n in range(limits.BATCH_WRITES)), forced=False)
    put(under, "forced")
    batch = rows(under.next_step(0))
    assert (len(batch), batch[0]) == (limits.BATCH_WRITES, "forced")


def test_a_dropped_row_is_not_written() -> None:
    """What is forgotten waits no longer."""
    under, _ = journal()
    (owner,) = put(under, "a")
    under.drop(owner)
    assert under.next_step(0) is None
