"""TCC classes that another service serves: held, confirmed and given back over HTTP, by real servers of both kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serving.asking import SECRET
from tests.serving.stock import Stock, left
from troth import DefinitionError, Troth

Serves = Callable[..., int]


def shop(tmp_path: Path, port: int, **options: Any) -> tuple[Troth, Any]:
    """A Troth object of another service, and the stock service's class as it names it."""
    troth = Troth(f"sqlite:///{tmp_path}/shop.db")
    return troth, troth.remote_tcc(f"http://127.0.0.1:{port}/troth", "stock.Hold", interval=0.01, **options)


def test_a_declared_transaction_holds_and_confirms(tmp_path: Path, stock: Stock, served: Serves) -> None:
    """Tries go out, then confirms with what the tries returned; the outcome has the holds."""
    troth, hold = shop(tmp_path, served(), result=int)
    with troth:
        outcome = troth.run_tcc("order-1", [hold.branch(sku="a", n=3), hold.branch(sku="a", n=2)])
    assert (outcome.state, outcome.result) == ("confirmed", [3, 2])
    assert sorted(stock.runs) == ["confirm 2", "confirm 3", "try", "try"]
    assert left(stock) == 5


def test_one_refusal_gives_every_hold_back(tmp_path: Path, stock: Stock, served: Serves) -> None:
    """What the service says no to cancels the rest, and its words are the reason."""
    troth, hold = shop(tmp_path, served())
    with troth:
        outcome = troth.run_tcc("order-1", [hold.branch(sku="a", n=3), hold.branch(sku="b", n=1)])
    assert outcome.state == "cancelled"
    assert "b is sold out" in outcome.reason
    assert left(stock) == 10


def test_a_block_calls_it_and_an_exception_cancels(tmp_path: Path, stock: Stock, served: Serves) -> None:
    """A try in a block returns the decoded hold; leaving by an exception gives it back."""
    troth, hold = shop(tmp_path, served())
    with troth:
        with pytest.raises(ZeroDivisionError), troth.transaction("order-1") as tx:
            assert tx(hold).try_(sku="a", n=4) == 4
            raise ZeroDivisionError
        assert left(stock) == 10
        with troth.transaction("order-2") as tx:
            tx(hold).try_(sku="a", n=4)
        assert left(stock) == 6


def test_a_signed_service_takes_signed_tries_only(tmp_path: Path, stock: Stock, served: Serves) -> None:
    """With the secret the holds are had; without it every try is turned away, and nothing has happened."""
    port = served(secret=SECRET)
    troth, hold = shop(tmp_path, port, secret=SECRET)
    with troth:
        assert troth.run_tcc("order-1", [hold.branch(sku="a", n=1)]).state == "confirmed"
    other = Troth("memory://")
    unsigned = other.remote_tcc(f"http://127.0.0.1:{port}/troth", "stock.Hold", interval=0.01, attempts=1)
    with other:
        assert other.run_tcc("order-2", [unsigned.branch(sku="a", n=1)], timeout=1).state != "confirmed"
    assert stock.runs == ["try", "confirm 1"]
    assert left(stock) == 9


def test_its_name_is_one_among_steps_and_classes(tmp_path: Path) -> None:
    """Another module's class, or a step, under the same name is a definition error; so is an option it doesn't have."""
    troth = Troth("memory://")
    troth.remote("http://stock/troth", "reserve")
    with pytest.raises(DefinitionError, match="a step has the name reserve already"):
        troth.remote_tcc("http://stock/troth", "reserve")
    with pytest.raises(DefinitionError, match="no option guarded="):
        troth.remote_tcc("http://stock/troth", "Hold", guarded=True)
    with pytest.raises(DefinitionError, match="has a query"):
        troth.remote_tcc("http://stock/troth?x=1", "Hold")


def test_its_arguments_have_names(tmp_path: Path) -> None:
    """They are sent as one JSON object, so a try without names is refused where it is declared."""
    hold: Any = Troth("memory://").remote_tcc("http://stock/troth", "Hold")
    with pytest.raises(TypeError):
        hold.branch("a", 1)
    assert repr(hold.branch(sku="a", n=1)) == "<branch of Hold>"
