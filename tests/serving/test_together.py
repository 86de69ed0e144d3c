"""A service that begins sagas and one that takes part, over real HTTP: `troth.remote` meets `troth.routes`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests.serving.asking import SECRET, ask
from tests.serving.conftest import Gunicorn, Serve
from tests.serving.stock import Stock, left
from troth import Cancelled, Troth
from troth.integrations.starlette import answer_errors, troth_lifespan


def orders(home: Path, url: str, **options: Any) -> Troth:
    """A service that has the stock service's steps only from afar."""
    troth = Troth(f"sqlite:///{home}/orders-log.db")
    reserve = troth.remote(url, "stock.reserve", result=int, **options)
    weigh = troth.remote(url, "stock.weigh", compensate=None, **options)

    @troth.step(guarded=True, name="charge", role="pivot", refuse_on=(ValueError,))
    def charge(amount: int) -> str:
        if amount > 100:
            raise ValueError("the card was declined")
        return f"paid {amount}"

    @troth.saga(name="place_order", gid=lambda order, sku, n, amount: f"order-{order}")
    def place_order(order: int, sku: str, n: int, amount: int) -> list[Any]:
        rest = reserve(sku=sku, n=n)
        weigh(sku=sku)
        return [rest, charge(amount)]

    return troth


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("secret", [None, SECRET], ids=["open", "signed"])
def test_a_saga_over_http_is_done_or_undone(
    kind: str, secret: str | None, stock: Stock, tmp_path: Path, uvicorn_serves: Serve, werkzeug_serves: Serve
) -> None:
    """Done, refused by the service, and undone there because another step refused; many at once too, batched."""
    routes = stock.troth.routes(secret=secret) if kind == "asgi" else stock.troth.wsgi_routes(secret=secret)
    port = uvicorn_serves(routes) if kind == "asgi" else werkzeug_serves(routes)
    troth = orders(tmp_path, f"http://127.0.0.1:{port}", secret=secret)
    place = troth.definition("place_order")

    async def many() -> None:
        async with troth:
            outcomes = await asyncio.gather(*(troth.aio.run(place, 10 + n, "a", 1, 500 if n % 2 else 5) for n in range(16)))
            assert [outcome.state for outcome in outcomes].count("confirmed") + left(stock) == 7

    with troth:
        assert place(1, "a", 3, 50) == [7, "paid 50"]
        with pytest.raises(Cancelled, match="b is sold out"):
            place(2, "b", 1, 50)
        with pytest.raises(Cancelled, match="the card was declined"):
            place(3, "a", 2, 500)
        assert left(stock) == 7
    asyncio.run(many())
    assert stock.troth.runtime.node is None


def orders_app(home: Path, stock_url: str) -> FastAPI:
    """A FastAPI service whose saga reserves in the stock service and charges here."""
    troth = orders(home, stock_url)
    place_order = troth.definition("place_order")
    app = FastAPI(lifespan=troth_lifespan(troth))
    answer_errors(app)

    @app.post("/orders/{order}")
    def order(order: int, sku: str, n: int, amount: int) -> list[Any]:
        placed: list[Any] = place_order(order, sku, n, amount)
        return placed

    return app


def test_fastapi_orders_from_flask(gunicorn_serves: Gunicorn, uvicorn_serves: Serve, tmp_path: Path) -> None:
    """An order service under uvicorn, a stock service under gunicorn with two workers: done, sold out, declined, repeated."""
    stock = gunicorn_serves("tests.serving.shelf:app")
    port = uvicorn_serves(orders_app(tmp_path, f"http://127.0.0.1:{stock}/troth"))
    assert ask(port, "POST", "/orders/1?sku=a&n=3&amount=50").json == [7, "paid 50"]
    sold_out = ask(port, "POST", "/orders/2?sku=b&n=1&amount=50")
    assert (sold_out.status, sold_out.detail) == (409, "b is sold out")
    declined = ask(port, "POST", "/orders/3?sku=a&n=2&amount=500")
    assert (declined.status, declined.detail) == (409, "the card was declined")
    assert ask(port, "POST", "/orders/1?sku=a&n=3&amount=50").json == [7, "paid 50"]
    assert ask(port, "POST", "/orders/1?sku=a&n=4&amount=50").status == 422
    assert ask(port, "POST", "/orders/4?sku=a&n=1&amount=5").json == [6, "paid 5"]
