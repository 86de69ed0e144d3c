"""The store exam, clauses 18 to 20: who decides a two-phase transaction first."""

from __future__ import annotations

import threading

import pytest

from troth.ports.errors import Fenced
from troth.ports.store import LedgerEntry, Record, Write
from troth.testing.exams.store_bench import START, LogUnderTest, Node, accept, finish, gid_of, go_on, uid_of


def decision(name: int, uid: bytes | None = None, **changed: object) -> Write:
    """The decision of a two-phase transaction: the first that the log hears of it."""
    given = {"pattern": "two_phase", "state": "confirming", "uid": uid or uid_of(name), **changed}
    return accept(name, **given)


def incarnation(node: Node) -> str:
    """Of an open node."""
    return next(row.incarnation for row in node.store.nodes() if row.node == node.node)


class DecidingClauses:
    """The second key, aborts, and what they say."""

    def test_c18_an_insert_after_the_abort_writes_nothing(self, log: LogUnderTest) -> None:
        """It is named as a conflict and as overruled; the rest of the batch is written."""
        node, other = Node(log, 1), Node(log, 2)
        assert other.store.abort(uid_of(1), incarnation(node), START)
        outcome = node.commit(decision(1, chunks=((1, b"x"),)), decision(2), accept(3))
        assert outcome.conflicts == outcome.overruled == {uid_of(1)}
        assert node.store.get(gid_of(1)) is None
        assert (node.record(2).state, node.record(3).state) == ("confirming", "trying")

    def test_c18_a_taken_gid_is_a_conflict_and_takes_no_key(self, log: LogUnderTest) -> None:
        """The uid stays free: a gid that comes twice isn't overruled, and its abort can be written."""
        node = Node(log, 1)
        node.begin(1)
        node.commit(accept(2), finish(2))
        node.store.purge(START + 10_000, 10, 10**9, 10)
        outcome = node.commit(decision(1, uid_of(91)), decision(2, uid_of(92)))
        assert outcome.conflicts == {uid_of(91), uid_of(92)} and not outcome.overruled
        assert node.store.abort(uid_of(91), incarnation(node), START)
        assert node.store.abort(uid_of(92), incarnation(node), START)

    def test_c18_an_insert_that_is_written_twice_is_one(self, log: LogUnderTest) -> None:
        """As after a commit without an answer: the same row keeps its key and is no conflict."""
        node = Node(log, 1)
        assert not node.commit(decision(1)).conflicts
        assert not node.commit(decision(1), accept(2)).conflicts
        assert node.commit(decision(1, uid_of(91))).conflicts == {uid_of(91)}

    def test_c18_other_patterns_and_updates_know_no_such_key(self, log: LogUnderTest) -> None:
        """An abort under a saga's uid means nothing to it; nor does one to a row that is there."""
        node = Node(log, 1)
        node.store.abort(uid_of(1), incarnation(node), START)
        assert not node.commit(accept(1), decision(2)).conflicts
        assert not node.store.abort(uid_of(2), incarnation(node), START)
        outcome = node.commit(go_on(1), go_on(2, pattern="two_phase", state="confirmed"))
        assert not outcome.conflicts and not outcome.lost and not outcome.overruled
        assert (node.record(1).rev, node.record(2).rev) == (2, 2)

    def test_c19_an_abort_stands_or_a_row_decides(self, log: LogUnderTest) -> None:
        """Whoever was first has won, and whoever comes later hears so, as often as asked."""
        node, other = Node(log, 1), Node(log, 2)
        node.commit(decision(1))
        assert not other.store.abort(uid_of(1), incarnation(node), START)
        assert [one.store.abort(uid_of(2), incarnation(node), START) for one in (node, other, node)] == [True] * 3

    def test_c19_a_node_declared_dead_aborts_nothing(self, log: LogUnderTest) -> None:
        """It is fenced as in a batch."""
        dead, other = Node(log, 1), Node(log, 2)
        other.store.declare_dead(dead.node)
        with pytest.raises(Fenced):
            dead.store.abort(uid_of(1), incarnation(other), START)
        assert not other.commit(decision(1)).conflicts

    def test_c19_of_an_abort_and_an_insert_at_once_one_wins(self, log: LogUnderTest) -> None:
        """Never both, never neither."""
        node, other = Node(log, 1), Node(log, 2)
        aborted: list[bool] = []
        name = incarnation(node)
        thread = threading.Thread(
            target=lambda: aborted.extend(other.store.abort(uid_of(n), name, START) for n in range(1, 40))
        )
        thread.start()
        try:
            overruled = [bool(node.commit(decision(n)).overruled) for n in range(1, 40)]
        finally:
            thread.join()
        assert overruled == aborted

    def test_c20_decisions_say_what_there_is_under_each_uid(self, log: LogUnderTest) -> None:
        """A record, an abort, an outcome in the ledger; nothing for what nobody knows."""
        node = Node(log, 1)
        node.commit(decision(1), decision(2))
        node.commit(finish(2))
        node.store.abort(uid_of(3), incarnation(node), START + 9)
        node.store.purge(START + 10_000, 10, 10**9, 10)
        found = node.store.decisions([uid_of(n) for n in (1, 2, 3, 4)])
        assert sorted(found) == [uid_of(1), uid_of(2), uid_of(3)]
        record, outcome, abort = (found[uid_of(n)] for n in (1, 2, 3))
        assert isinstance(record, Record) and record == node.record(1)
        assert isinstance(outcome, LedgerEntry) and outcome.outcome == "confirmed"
        assert isinstance(abort, LedgerEntry) and (abort.outcome, abort.finished) == ("aborted", START + 9)
        assert node.store.decisions([]) == {}

    def test_c20_an_abort_stays_while_its_incarnation_lives(self, log: LogUnderTest) -> None:
        """Then the absence of a decision says the same."""
        node, other = Node(log, 1), Node(log, 2)
        other.store.abort(uid_of(1), incarnation(node), START)
        other.store.purge(START + 10**15, 10, 10, 10)
        assert node.commit(decision(1)).overruled == {uid_of(1)}
        other.store.declare_dead(node.node)
        other.store.purge(START + 10**15, 10, 10, 10)
        assert other.store.decisions([uid_of(1)]) == {}

    def test_c20_a_rows_key_stays_as_long_as_its_ledger_entry(self, log: LogUnderTest) -> None:
        """An unfinished one's stays anyway."""
        node = Node(log, 1)
        node.commit(decision(1), decision(2))
        node.commit(finish(1, at=START + 5))
        node.store.purge(START + 100, 10, 1_000, 10)
        assert sorted(node.store.decisions([uid_of(1), uid_of(2)])) == [uid_of(1), uid_of(2)]
        node.store.purge(START + 10_000, 10, 1_000, 10)
        assert sorted(node.store.decisions([uid_of(1), uid_of(2)])) == [uid_of(2)]
