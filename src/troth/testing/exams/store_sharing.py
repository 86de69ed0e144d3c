"""The store exam, clauses 9, 10, 12 and 14 to 17: several nodes, questions, the mailbox, retention."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from troth.ports.errors import Fenced
from troth.ports.store import LedgerEntry, Request
from troth.testing.exams.store_bench import START, LogUnderTest, Node, accept, finish, gid_of, go_on, names, uid_of


def _wish(name: int, what: str = "retry") -> Request:
    return Request(gid_of(name), what, "ops", "bank is back", START)


class SharingClauses:
    """Death and take-over, the mailbox, marks, purges, closing."""

    def test_c09_a_killed_node_is_named_at_once_and_a_living_one_never(self, log: LogUnderTest) -> None:
        """Only nodes that count as alive and whose process is gone are named, until they are declared dead."""
        killed, idle, watch = Node(log, 1), Node(log, 2), Node(log, 3)
        assert watch.store.dead_nodes() == []
        killed.kill()
        assert watch.store.dead_nodes() == [killed.node]
        assert idle.store.dead_nodes() == [killed.node]
        assert watch.store.declare_dead(killed.node)
        assert watch.store.dead_nodes() == []
        assert [row.alive for row in watch.store.nodes()] == [False, True, True]

    def test_c09_one_caller_declares_a_node_dead(self, log: LogUnderTest) -> None:
        """Of many that try at once exactly one is told True; an unknown node is nobody's."""
        victim = Node(log, 1)
        judges = [Node(log, n) for n in range(2, 7)]
        victim.kill()
        with ThreadPoolExecutor(len(judges)) as pool:
            verdicts = list(pool.map(lambda judge: judge.store.declare_dead(victim.node), judges))
        assert verdicts.count(True) == 1
        assert not judges[0].store.declare_dead(victim.node)
        assert not judges[0].store.declare_dead(9_999)

    def test_c10_only_unfinished_rows_of_nodes_that_are_not_alive_are_paged(self, log: LogUnderTest) -> None:
        """Lowest seq first, page after page; finished rows and living nodes' rows never."""
        first, second, heir = Node(log, 1), Node(log, 2), Node(log, 3)
        for name in range(1, 11):
            (first if name % 2 else second).begin(name)
        first.commit(finish(5))
        heir.begin(11)
        first.kill()
        assert heir.store.unfinished(0, 10) == []
        heir.store.declare_dead(first.node)
        assert names(heir.store.unfinished(0, 10)) == [1, 3, 7, 9]
        heir.store.declare_dead(second.node)
        seen: list[int] = []
        after = 0
        while page := heir.store.unfinished(after, 2):
            assert len(page) <= 2 and not any(record.owner_alive for record in page)
            seen += names(page)
            after = page[-1].seq
        assert seen == [1, 2, 3, 4, 6, 7, 8, 9, 10]

    def test_c10_adopting_makes_an_owner_and_counts_the_claim(self, log: LogUnderTest) -> None:
        """The heir writes on; a living owner's, a finished and an unknown row are not got."""
        dead, other, heir = Node(log, 1), Node(log, 2), Node(log, 3)
        dead.begin(1, 2, 3)
        dead.commit(finish(3))
        other.begin(4)
        heir.store.declare_dead(dead.node)
        assert heir.store.adopt([uid_of(name) for name in (4, 2, 3, 99, 1)], START) == [uid_of(2), uid_of(1)]
        assert (heir.record(1).owner, heir.record(1).owner_alive, heir.record(1).claims) == (heir.node, True, 1)
        assert not heir.commit(go_on(1), go_on(2)).lost
        assert heir.commit(go_on(4)).lost == {uid_of(4)}
        assert heir.store.unfinished(0, 10) == []

    def test_c10_two_heirs_never_get_the_same_row(self, log: LogUnderTest) -> None:
        """However they race, each row has one new owner and one claim."""
        dead = Node(log, 1)
        heirs = [Node(log, n) for n in (2, 3, 4)]
        dead.begin(*range(1, 101))
        heirs[0].store.declare_dead(dead.node)
        pages = {heir.node: [record.uid for record in heir.store.unfinished(0, 100)] for heir in heirs}
        with ThreadPoolExecutor(len(heirs)) as pool:
            got = list(pool.map(lambda heir: heir.store.adopt(pages[heir.node], START), heirs))
        assert sorted(uid for uids in got for uid in uids) == [uid_of(name) for name in range(1, 101)]
        for heir, uids in zip(heirs, got, strict=True):
            for uid in uids:
                record = heir.record(int.from_bytes(uid, "big"))
                assert (record.owner, record.claims) == (heir.node, 1)

    def test_c10_adopting_is_fenced(self, log: LogUnderTest) -> None:
        """A node declared dead adopts nothing."""
        dead, late, other = Node(log, 1), Node(log, 2), Node(log, 3)
        dead.begin(1)
        other.store.declare_dead(dead.node)
        page = [record.uid for record in late.store.unfinished(0, 10)]
        other.store.declare_dead(late.node)
        with pytest.raises(Fenced):
            late.store.adopt(page, START)
        assert other.record(1).owner == dead.node

    def test_c10_a_late_owner_finds_its_rows_lost(self, log: LogUnderTest) -> None:
        """After a take-over the old owner's batch is fenced and the heir's stands."""
        late, heir = Node(log, 1), Node(log, 2)
        late.begin(1)
        heir.store.declare_dead(late.node)
        heir.store.adopt([uid_of(1)], START)
        heir.commit(go_on(1, rev=2))
        with pytest.raises(Fenced):
            late.commit(go_on(1, rev=9))
        assert heir.record(1).rev == 2

    def test_c10_waiting_is_noted_on_rows_that_nobody_alive_owns(self, log: LogUnderTest) -> None:
        """A living owner says itself what it waits for."""
        dead, heir = Node(log, 1), Node(log, 2)
        dead.begin(1)
        heir.begin(2)
        heir.store.declare_dead(dead.node)
        heir.store.set_waiting([(uid_of(1), "step shop:ship"), (uid_of(2), "nothing"), (uid_of(99), "nothing")])
        assert (heir.record(1).waiting, heir.record(2).waiting) == ("step shop:ship", "")
        assert names(heir.store.unfinished(0, 10)) == [1]

    def test_c12_get_finds_a_record_then_a_ledger_entry(self, log: LogUnderTest) -> None:
        """By its exact gid; None for what never was."""
        node = Node(log, 1)
        node.begin(1)
        assert node.record(1).gid == gid_of(1)
        assert node.store.get("ORDER-1") is None and node.store.get("order-\ud800") is None
        node.commit(finish(1, at=START + 5, state="cancelled"))
        node.store.purge(START + 100, 10, 10**9, 10)
        assert node.store.get(gid_of(1)) == LedgerEntry(accept(1).content, "cancelled", START + 5)

    def test_c12_find_filters_and_pages(self, log: LogUnderTest) -> None:
        """By states, begin and definition, newest first or oldest first, a page after the last seq seen."""
        node = Node(log, 1)
        node.begin(*range(1, 9))
        node.commit(accept(9, definition="bank:move"), finish(2), finish(3, state="cancelled"), finish(4))
        node.commit(go_on(5, state="failed"))
        find = node.store.find
        assert names(find(limit=3)) == [9, 8, 7]
        assert names(find(limit=3, after_seq=find(limit=3)[-1].seq)) == [6, 5, 4]
        assert names(find(newest_first=False, limit=2)) == [1, 2]
        assert names(find(newest_first=False, limit=2, after_seq=find(newest_first=False, limit=2)[-1].seq)) == [3, 4]
        assert names(find(states=["confirmed"])) == [4, 2]
        assert names(find(states=["cancelled", "failed"])) == [5, 3]
        assert names(find(states=["confirmed", "trying"], limit=2, newest_first=False)) == [1, 2]
        assert names(find(since=START + 7)) == [9, 8, 7]
        assert names(find(since=START + 3, states=["confirmed"])) == [4]
        assert names(find(definition="bank:move")) == [9]
        assert find(definition="none") == []

    def test_c12_counts_are_by_state(self, log: LogUnderTest) -> None:
        """Finished and unfinished ones alike; states that nobody is in are left out."""
        node = Node(log, 1)
        assert node.store.counts() == {}
        node.begin(1, 2, 3, 4)
        node.commit(finish(1), finish(2), go_on(3, state="failed"))
        assert node.store.counts() == {"confirmed": 2, "failed": 1, "trying": 1}

    def test_c14_a_request_reaches_the_owner_once(self, log: LogUnderTest) -> None:
        """Others don't see it, and after it was taken it is gone."""
        owner, other = Node(log, 1), Node(log, 2)
        owner.begin(1, 2)
        other.store.post(_wish(1))
        other.store.post(_wish(2, "resolve"))
        assert other.store.take() == []
        taken = owner.store.take()
        assert [(request.gid, request.what, request.by, request.reason, request.at) for request in taken] == [
            (gid_of(1), "retry", "ops", "bank is back", START),
            (gid_of(2), "resolve", "ops", "bank is back", START),
        ]
        assert owner.store.take() == []

    def test_c14_a_request_waits_for_an_heir(self, log: LogUnderTest) -> None:
        """While nobody alive owns its transaction it stays."""
        dead, heir = Node(log, 1), Node(log, 2)
        dead.begin(1)
        heir.store.declare_dead(dead.node)
        heir.store.post(_wish(1))
        assert heir.store.take() == []
        heir.store.adopt([uid_of(1)], START)
        assert [request.gid for request in heir.store.take()] == [gid_of(1)]

    def test_c14_requests_for_finished_and_unknown_transactions_are_dropped(self, log: LogUnderTest) -> None:
        """Nobody gets them, not even when such a gid begins later."""
        node = Node(log, 1)
        node.begin(1)
        node.commit(finish(1))
        node.store.post(_wish(1))
        node.store.post(_wish(7))
        assert node.store.take() == []
        node.begin(7)
        assert node.store.take() == []

    def test_c14_a_node_declared_dead_takes_nothing(self, log: LogUnderTest) -> None:
        """The request waits for the heir instead."""
        late, heir = Node(log, 1), Node(log, 2)
        late.begin(1)
        heir.store.declare_dead(late.node)
        heir.store.post(_wish(1))
        with pytest.raises(Fenced):
            late.store.take()
        heir.store.adopt([uid_of(1)], START)
        assert len(heir.store.take()) == 1

    def test_c15_the_mark_is_the_lowest_of_begins_and_floors(self, log: LogUnderTest) -> None:
        """Of unfinished rows, dead nodes' too, and of living nodes."""
        first, second = Node(log, 1), Node(log, 2)
        first.commit(accept(1, begun=START + 50), accept(2, begun=START + 20), floor=START + 100)
        second.commit(floor=START + 300)
        assert second.store.mark() == START + 20
        first.commit(finish(2), floor=START + 100)
        assert second.store.mark() == START + 50
        second.store.declare_dead(first.node)
        assert second.store.mark() == START + 50
        second.store.adopt([uid_of(1)], START)
        second.commit(finish(1), floor=START + 300)
        assert second.store.mark() == START + 300

    def test_c15_the_mark_never_sinks(self, log: LogUnderTest) -> None:
        """Neither with a floor that is published late nor when everyone has left."""
        node = Node(log, 1)
        node.commit(floor=START + 300)
        node.commit(floor=START + 200)
        assert node.store.mark() == START + 300
        node.store.close()
        assert Node(log, 2, now=START).store.mark() >= START + 300

    def test_c16_purge_moves_old_finished_rows_to_the_ledger_page_by_page(self, log: LogUnderTest) -> None:
        """At most ``limit`` at a time; young ones stay, with their chunks."""
        node = Node(log, 1)
        node.commit(*(accept(name, chunks=((1, b"x"),)) for name in range(1, 8)))
        node.commit(*(finish(name, at=START + name) for name in range(1, 8)))
        now, retention = START + 1_000, 995
        assert node.store.purge(now, retention, 10**9, 3) == 3
        assert node.store.purge(now, retention, 10**9, 3) == 1
        assert node.store.purge(now, retention, 10**9, 3) == 0
        assert names(node.store.find()) == [7, 6, 5]
        assert node.record(5).chunks == ((1, b"x"),)
        assert isinstance(node.store.get(gid_of(4)), LedgerEntry)
        assert node.store.counts() == {"confirmed": 3}

    def test_c16_what_is_unfinished_is_never_purged(self, log: LogUnderTest) -> None:
        """However old: trying, cancelling, or failed and not closed. A closed failed one is."""
        node = Node(log, 1)
        node.begin(1, 2, 3, 4)
        node.commit(go_on(2, state="cancelling"), go_on(3, state="failed"), finish(4, at=START + 1, state="failed"))
        assert node.store.purge(START + 10**15, 0, 10**18, 100) == 1
        assert names(node.store.find()) == [3, 2, 1]
        entry = node.store.get(gid_of(4))
        assert isinstance(entry, LedgerEntry) and entry.outcome == "failed"

    def test_c16_ledger_rows_older_than_theirs_are_deleted(self, log: LogUnderTest) -> None:
        """The gid is free again then."""
        node = Node(log, 1)
        node.begin(1)
        node.commit(finish(1, at=START + 5))
        node.store.purge(START + 100, 10, 1_000, 10)
        assert node.store.get(gid_of(1)) is not None
        node.store.purge(START + 10_000, 10, 1_000, 10)
        assert node.store.get(gid_of(1)) is None
        assert not node.commit(accept(1, uid=uid_of(91))).conflicts

    def test_c16_dead_nodes_that_own_something_are_kept(self, log: LogUnderTest) -> None:
        """Their work is still found after a purge."""
        dead, heir = Node(log, 1), Node(log, 2)
        dead.begin(1)
        heir.store.declare_dead(dead.node)
        heir.store.purge(START + 100, 10, 10, 10)
        assert names(heir.store.unfinished(0, 10)) == [1]

    def test_c17_closing_marks_a_node_dead_that_owns_nothing_unfinished(self, log: LogUnderTest) -> None:
        """Nobody has to declare it dead, and closing twice is fine."""
        leaver, other = Node(log, 1), Node(log, 2)
        leaver.begin(1)
        leaver.commit(finish(1))
        leaver.store.close()
        leaver.store.close()
        assert other.store.dead_nodes() == []
        assert not any(row.alive for row in other.store.nodes() if row.node == leaver.node)

    def test_c17_closing_with_work_leaves_it_to_others(self, log: LogUnderTest) -> None:
        """The lock is freed, so the node is found dead and its rows are taken over."""
        leaver, other = Node(log, 1), Node(log, 2)
        leaver.begin(1)
        leaver.store.close()
        assert other.store.dead_nodes() == [leaver.node]
        assert other.store.declare_dead(leaver.node)
        assert other.store.adopt([uid_of(1)], START) == [uid_of(1)]

    def test_c17_a_closed_store_opens_again_as_another_node(self, log: LogUnderTest) -> None:
        """Numbers are never reused."""
        node = Node(log, 1)
        before = node.node
        node.store.close()
        assert node.store.open("e" * 32, START).node != before
