"""The command line beside a real node at work."""

from __future__ import annotations

from pathlib import Path

from tests.cli.calls import answer, refused, said, troth
from troth import Troth


def test_retry_and_resolve_reach_the_node_that_owns_the_transaction(tmp_path: Path) -> None:
    """A pivot in doubt needs a person; asked again it is done, or it is closed by hand."""
    url = f"sqlite:///{tmp_path}/log.db"
    app = Troth(url)
    paid: list[int] = []
    lost = [True]

    @app.step(name="pay", role="pivot", attempts=1)
    def pay(order: int) -> str:
        paid.append(order)
        if lost[0]:
            raise ConnectionError("the answer was lost")
        return f"receipt-{order}"

    @app.saga(name="place-order", gid=lambda order: f"order-{order}")
    def place_order(order: int) -> str:
        return pay(order)

    with app:
        for order in (1, 2):
            assert app.run(place_order, order).state == "failed"
        shown = said(troth("show", "order-1", store=url))
        assert "failed while trying" in shown and "find out whether 0/pay#1" in shown
        lost[0] = False
        assert "Retried: order-1 is confirmed now." in said(troth("retry", "order-1", store=url))
        assert "is confirmed: it is finished" in refused(troth("retry", "order-1", store=url))
        told = answer("resolve", "order-2", "--reason", "not paid, said the bank", store=url)
        assert told["transaction"]["closed"] == "not paid, said the bank"
        listed = answer("list", store=url)
        assert listed["counts"] == {"confirmed": 1, "failed": 1} and len(listed["nodes_alive"]) == 1
    assert paid[-1] == 1
    assert said(troth("doctor", store=url)).endswith("All is well.")
