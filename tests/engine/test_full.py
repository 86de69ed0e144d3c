"""A SQLite log that fills up under running sagas: nothing accepted is lost, nothing refused is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.app.patience import until
from tests.app.trades import Trade
from troth import NotAccepted


def test_a_full_disk_refuses_new_ones_and_keeps_all_others(tmp_path: Path) -> None:
    """What was accepted ends once there is room again; what was refused was never written."""
    trade = Trade(f"sqlite:///{tmp_path}/log.db")

    @trade.troth.saga(name="filling")
    def saga(text: str) -> int:
        return int(trade.buy(len(text)))

    with trade.troth:
        store: Any = trade.troth.runtime.store
        writer = store._node.writer
        with writer.transaction() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            limit = db.execute("PRAGMA max_page_count").fetchone()[0]
        set_limit(writer, pages + 30)
        accepted, refused = [], []
        for n in range(200):
            try:
                accepted.append(trade.troth.start(saga, "x" * 4_000, gid=f"f-{n}"))
            except NotAccepted as error:
                refused.append(f"f-{n}")
                assert "nothing was written" in str(error)
            if len(refused) > 3:
                break
        assert accepted
        assert len(refused) > 3
        set_limit(writer, limit)
        assert {handle.result(timeout=30) for handle in accepted} == {40_000}
        node = trade.troth.runtime.node
        assert node is not None
        until(lambda: node.driver.journal.trouble is None, "the log's recovery")
        assert {view.gid for view in trade.troth.find(limit=1_000)} == {handle.gid for handle in accepted}
        assert trade.troth.run(saga, "again", gid=refused[0]).result == 50


def set_limit(writer: Any, pages: int) -> None:
    """How large the log's file may be, as its one writing connection sees it."""
    with writer._turnstile:
        writer._connection().execute(f"PRAGMA max_page_count = {pages}")
