"""The store exam, clauses 1 to 8, 11 and 13: opening and writing."""

from __future__ import annotations

import threading

import pytest

from troth.ports.errors import Fenced, RowRejected, StoreError
from troth.ports.store import Batch, Record
from troth.testing.exams.store_bench import START, LogUnderTest, Node, accept, finish, gid_of, go_on, names, uid_of


class WritingClauses:
    """Opening, batches, the fence, conflicts, chunks, errors, settling."""

    def test_c01_a_store_opens_as_a_fresh_living_node(self, log: LogUnderTest) -> None:
        """Each opening gets a number of its own, batch 0, and the log's one id."""
        first, second = Node(log, 1), Node(log, 2)
        assert first.node != second.node and 0 not in (first.node, second.node)
        assert first.opened.log == second.opened.log and len(first.opened.log) == 32
        rows = {row.node: row for row in second.store.nodes()}
        assert rows[first.node].alive and rows[second.node].alive
        assert rows[second.node].batch == 0 and rows[second.node].incarnation == f"{2:032x}"

    def test_c01_the_floor_is_never_below_the_mark(self, log: LogUnderTest) -> None:
        """A node whose clock is behind begins nothing below the mark that others have published."""
        ahead = Node(log, 1, now=START)
        ahead.commit(floor=START + 500)
        mark = ahead.store.mark()
        assert Node(log, 2, now=START - 10_000).opened.floor >= mark
        ahead.store.close()
        assert Node(log, 3, now=START - 10_000).opened.floor >= mark

    def test_c01_a_store_is_opened_once(self, log: LogUnderTest) -> None:
        """A second opening of an open store is an error, and so is using a closed one."""
        node = Node(log, 1)
        with pytest.raises(StoreError, match="open already"):
            node.store.open("f" * 32, START)
        node.store.close()
        with pytest.raises(StoreError, match="not open"):
            node.commit()

    def test_c02_a_batch_is_written_as_a_whole(self, log: LogUnderTest) -> None:
        """All rows of a batch are there when it returns, whatever their number."""
        node = Node(log, 1)
        for size in (1, 2, 3, 7, 64, 300, 1_500):
            first = node.number * 10_000
            node.begin(*range(first + 1, first + size + 1))
            assert node.record(first + 1).body == accept(first + 1).body
            assert node.record(first + size).body == accept(first + size).body
        assert node.store.counts() == {"trying": 1 + 2 + 3 + 7 + 64 + 300 + 1_500}

    def test_c02_a_record_is_what_was_written(self, log: LogUnderTest) -> None:
        """Every value comes back as it was given: unicode, binary, large, empty."""
        node = Node(log, 1)
        body = bytes(range(256)) * 300
        node.commit(accept(1, definition="läden:órden ✓; x", waiting="step a, b", body=body, content=bytes(16)))
        record = node.record(1)
        assert (record.definition, record.waiting, record.body, record.content) == (
            "läden:órden ✓; x", "step a, b", body, bytes(16),
        )  # fmt: skip
        assert (record.uid, record.gid, record.rev, record.pattern, record.state) == (
            uid_of(1),
            gid_of(1),
            1,
            "saga",
            "trying",
        )
        assert (record.begun, record.updated, record.finished) == (START + 1, START + 1, 0)
        assert (record.owner, record.owner_alive, record.claims, record.chunks) == (node.node, True, 0, ())

    def test_c02_an_empty_batch_renews_the_node(self, log: LogUnderTest) -> None:
        """A batch without rows still counts and raises the floor."""
        node = Node(log, 1)
        node.commit(floor=START + 77)
        row = next(row for row in node.store.nodes() if row.node == node.node)
        assert (row.batch, row.floor) == (1, START + 77)

    def test_c03_a_node_declared_dead_writes_nothing(self, log: LogUnderTest) -> None:
        """Not one row of a batch is written once the node was declared dead, and none ever after."""
        dead, other = Node(log, 1), Node(log, 2)
        dead.begin(1)
        assert other.store.declare_dead(dead.node)
        for _ in range(2):
            with pytest.raises(Fenced):
                dead.commit(go_on(1), accept(2))
        assert other.record(1).rev == 1
        assert other.store.get(gid_of(2)) is None
        other.begin(3)

    def test_c04_an_insert_of_a_taken_gid_is_named_and_the_rest_is_written(self, log: LogUnderTest) -> None:
        """The first one keeps the gid, also against another node and within one batch."""
        first, second = Node(log, 1), Node(log, 2)
        first.begin(1)
        late = accept(1, uid=uid_of(91), body=b"{}")
        twin = accept(2, uid=uid_of(92))
        outcome = second.commit(late, accept(2), twin, accept(3))
        assert outcome.conflicts == {uid_of(91), uid_of(92)} and not outcome.lost
        assert second.record(1).body == accept(1).body and second.record(1).owner == first.node
        assert second.record(2).uid == uid_of(2)
        assert second.record(3).owner == second.node

    def test_c04_a_conflicting_insert_leaves_no_chunks_and_takes_no_updates(self, log: LogUnderTest) -> None:
        """What follows a refused insert in the same batch doesn't touch the row that has the gid."""
        node = Node(log, 1)
        node.begin(1)
        late = accept(1, uid=uid_of(91), chunks=((1, b"[]"),))
        outcome = node.commit(late, go_on(1, rev=5, uid=uid_of(91)))
        assert outcome.conflicts == {uid_of(91)} and outcome.lost == {uid_of(91)}
        assert (node.record(1).rev, node.record(1).chunks) == (1, ())

    def test_c04_a_gid_in_the_ledger_is_taken_unless_the_write_is_fresh(self, log: LogUnderTest) -> None:
        """A purged transaction's gid can't begin again; a generated gid isn't looked for."""
        node = Node(log, 1)
        node.commit(accept(1), accept(2))
        node.commit(finish(1), finish(2))
        assert node.store.purge(START + 10_000, 10, 10**9, 100) == 2
        outcome = node.commit(accept(1, uid=uid_of(91)), accept(2, uid=uid_of(92), fresh=True), accept(3))
        assert outcome.conflicts == {uid_of(91)}
        assert node.store.counts() == {"trying": 2}

    def test_c05_an_update_of_another_owners_row_is_lost(self, log: LogUnderTest) -> None:
        """It writes nothing and is named; so is one of a row that doesn't exist; the rest is written."""
        first, second = Node(log, 1), Node(log, 2)
        first.begin(1)
        second.begin(2)
        outcome = second.commit(go_on(1, chunks=((1, b"x"),)), go_on(2), go_on(3))
        assert outcome.lost == {uid_of(1), uid_of(3)} and not outcome.conflicts
        assert (first.record(1).rev, first.record(1).chunks) == (1, ())
        assert first.record(2).rev == 2
        assert first.store.get(gid_of(3)) is None

    def test_c05_a_lower_rev_is_dropped_in_silence(self, log: LogUnderTest) -> None:
        """A late write neither changes the row nor its chunks, and nobody is told."""
        node = Node(log, 1)
        node.begin(1)
        node.commit(go_on(1, rev=5, chunks=((1, b"new"),)))
        outcome = node.commit(go_on(1, rev=4, state="cancelling", chunks=((1, b"old"), (2, b"old"))), accept(2))
        assert not outcome.lost and not outcome.conflicts
        record = node.record(1)
        assert (record.rev, record.state, record.chunks) == (5, "trying", ((1, b"new"),))
        assert node.record(2).rev == 1

    def test_c05_writes_of_one_row_follow_each_other_within_a_batch(self, log: LogUnderTest) -> None:
        """An accept, its progress and its end may ride in one batch."""
        node = Node(log, 1)
        outcome = node.commit(
            accept(1), go_on(1, rev=2, chunks=((1, b"a"),)), finish(1, rev=3), accept(2, rev=4, finished=9)
        )
        assert not outcome.lost and not outcome.conflicts
        record = node.record(1)
        assert (record.rev, record.state, record.chunks) == (3, "confirmed", ((1, b"a"),))
        assert node.store.unfinished(0, 10) == []

    def test_c06_a_chunk_replaces_the_one_of_its_number(self, log: LogUnderTest) -> None:
        """Others stay, and they come back in order."""
        node = Node(log, 1)
        node.commit(accept(1, chunks=((2, b"b1"), (1, b"a1"))))
        node.commit(go_on(1, chunks=((2, b"b2"), (10, b"c1"))))
        assert node.record(1).chunks == ((1, b"a1"), (2, b"b2"), (10, b"c1"))

    @pytest.mark.parametrize("poison", [{"gid": "order-\ud800"}, {"updated": 2**63}, {"definition": "\udfff"}])
    def test_c07_a_row_that_cannot_be_stored_rejects_the_whole_batch(
        self, log: LogUnderTest, poison: dict[str, object]
    ) -> None:
        """Nothing of the batch is written, and the store goes on with the next one."""
        node = Node(log, 1)
        with pytest.raises(RowRejected):
            node.commit(accept(1), accept(2, **poison), accept(3))
        assert node.store.counts() == {}
        node.number = 0
        node.begin(1, 3)
        assert node.store.settle(1)

    def test_c08_settle_knows_which_batches_were_written(self, log: LogUnderTest) -> None:
        """True up to the last one written, False beyond."""
        node = Node(log, 1)
        assert not node.store.settle(1)
        node.begin(1)
        node.begin(2)
        assert node.store.settle(1) and node.store.settle(2) and not node.store.settle(3)

    def test_c08_settle_on_a_node_declared_dead_is_fenced(self, log: LogUnderTest) -> None:
        """Nobody can say any more; what was written stays."""
        node, other = Node(log, 1), Node(log, 2)
        node.begin(1)
        other.store.declare_dead(node.node)
        with pytest.raises(Fenced):
            node.store.settle(1)

    def test_c11_progress_resets_the_claims(self, log: LogUnderTest) -> None:
        """A claim counts until a higher rev is durable; the same rev again is no progress."""
        dead, heir = Node(log, 1), Node(log, 2)
        dead.begin(1)
        heir.store.declare_dead(dead.node)
        assert heir.store.adopt([uid_of(1)], START) == [uid_of(1)]
        assert heir.record(1).claims == 1
        heir.commit(go_on(1, rev=1))
        assert heir.record(1).claims == 1
        heir.commit(go_on(1, rev=2))
        assert heir.record(1).claims == 0

    def test_c13_readers_see_whole_batches_only(self, log: LogUnderTest) -> None:
        """Two rows that change together are never seen apart."""
        writer, reader = Node(log, 1), Node(log, 2)
        writer.begin(1, 2)
        done = threading.Event()
        torn: list[list[Record]] = []

        def read() -> None:
            while not done.is_set():
                seen = reader.store.find(limit=2)
                if len({record.rev for record in seen}) != 1:
                    torn.append(seen)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for rev in range(2, 150):
                writer.commit(go_on(1, rev), go_on(2, rev))
        finally:
            done.set()
            thread.join()
        assert not torn
        assert names(reader.store.find(limit=2)) == [2, 1]

    def test_c13_a_batch_number_is_durable_with_its_rows(self, log: LogUnderTest) -> None:
        """The node's row tells the number of the last batch whose rows are there."""
        node = Node(log, 1)
        node.store.commit(Batch(41, START, [accept(1)]))
        assert [row.batch for row in node.store.nodes()] == [41]
        assert node.store.settle(41)
