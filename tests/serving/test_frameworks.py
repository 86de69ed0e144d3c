"""FastAPI, Starlette and Flask: the node's life, errors as answers, steps mounted beside the application's own pages."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from flask import Flask

from tests.serving.asking import ask, batch, call_to, listening, send
from tests.serving.conftest import Gunicorn
from tests.serving.stock import Stock, left
from troth import (
    AlreadyBegun,
    Cancelled,
    ConfigurationError,
    DefinitionError,
    GidConflict,
    InDoubt,
    LimitExceeded,
    NeedsAttention,
    NotAccepted,
    PayloadError,
    Refused,
    StoreError,
    TrothError,
    UnknownTransaction,
)
from troth.integrations.flask import init_app
from troth.integrations.problems import ANSWERED
from troth.integrations.starlette import answer_errors, troth_lifespan

ERRORS: dict[str, tuple[TrothError, int, str]] = {
    "cancelled": (Cancelled("o-1", "0/reserve#1", "a is sold out"), 409, "a is sold out"),
    "refused": (Refused("no"), 409, "no"),
    "already_begun": (AlreadyBegun("o-1", "confirmed"), 409, "o-1 was already begun; it ended confirmed"),
    "gid_conflict": (GidConflict("o-1"), 422, "gid o-1 already belongs to a transaction with other content"),
    "needs_attention": (NeedsAttention("o-1", ("0/charge#1",)), 424, "o-1 is neither done nor undone yet"),
    "not_accepted": (NotAccepted("the log is full", 2.5), 503, "not accepted, nothing was written: the log is full"),
    "in_doubt": (InDoubt("o-1"), 503, "begins at most once"),
    "store_error": (StoreError("disk"), 503, "begins at most once"),
    "unknown_transaction": (UnknownTransaction("o-1"), 404, "no transaction o-1"),
    "payload_error": (PayloadError("order.n", "is no int"), 400, "order.n: is no int"),
    "limit_exceeded": (LimitExceeded("PAYLOAD_BYTES", 2, 1), 400, "PAYLOAD_BYTES"),
}


def fastapi_app(stock: Stock) -> FastAPI:
    """Steps mounted, errors answered."""
    app = FastAPI()
    answer_errors(app)
    app.mount("/troth", stock.troth.routes())

    @app.get("/fail/{name}")
    async def fail(name: str) -> None:
        raise ERRORS[name][0]

    @app.get("/fault")
    def fault() -> None:
        raise DefinitionError("a fault of the program")

    return app


def flask_app(stock: Stock) -> Flask:
    """The same."""
    app = Flask(__name__)
    init_app(app, stock.troth, mount="/troth/")

    @app.get("/fail/<name>")
    def fail(name: str) -> None:
        raise ERRORS[name][0]

    @app.get("/fault")
    def fault() -> None:
        raise DefinitionError("a fault of the program")

    return app


@pytest.fixture(params=["fastapi", "flask"])
def port(request: pytest.FixtureRequest, stock: Stock) -> int:
    """An application of the framework, served."""
    if request.param == "fastapi":
        found: int = request.getfixturevalue("uvicorn_serves")(fastapi_app(stock), log_config=None)
        return found
    served: int = request.getfixturevalue("werkzeug_serves")(flask_app(stock))
    return served


def test_each_error_of_a_transaction_has_an_answer(port: int) -> None:
    """A problem document with its own type; the reason is what the customer may read."""
    assert {type(error) for error, _, _ in ERRORS.values()} == set(ANSWERED)
    for name, (error, status, detail) in ERRORS.items():
        said = ask(port, "GET", f"/fail/{name}")
        assert said.status == status, name
        assert detail in said.detail
        assert said.json["type"] == f"urn:troth:problem:{name}"
        assert said.json.get("gid") == getattr(error, "gid", None)
        assert said.headers.get("retry-after") == {"not_accepted": "3", "in_doubt": "1", "store_error": "1"}.get(name)


def test_a_fault_of_the_program_stays_one(port: int) -> None:
    """It is no problem document that a client could act on."""
    said = ask(port, "GET", "/fault")
    assert said.status == 500
    assert b"a fault" not in said.body


def test_the_steps_are_mounted_beside_the_pages(port: int, stock: Stock) -> None:
    """Single and batched."""
    assert send(port, call_to("stock.reserve", {"sku": "a", "n": 1})).status == 200
    calls = [call_to("stock.reserve", {"sku": "a", "n": 1}), call_to("stock.Hold", {})]
    assert sorted(line.status for line in batch(port, calls)) == [200, 404]
    assert left(stock) == 8


def test_the_lifespan_runs_the_node_around_ones_own(stock: Stock) -> None:
    """The node is there before the application's own resources and until after them."""
    seen: list[str] = []

    @asynccontextmanager
    async def inner(app: Any) -> AsyncIterator[dict[str, Any]]:
        seen.append(f"open {stock.troth.runtime.node is not None}")
        yield {"answer": 42}
        seen.append(f"close {stock.troth.runtime.node is not None}")

    app = FastAPI(lifespan=troth_lifespan(stock.troth, inner))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    listener = listening()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert ask(listener.getsockname()[1], "GET", "/openapi.json").status == 200
    server.should_exit = True
    thread.join()
    assert seen == ["open True", "close True"]
    assert stock.troth.runtime.node is None


def test_a_mount_that_is_no_path_is_refused(stock: Stock) -> None:
    """It is said what would be one."""
    for mount in ("troth", "/", ""):
        with pytest.raises(ConfigurationError, match="a path below the root"):
            init_app(Flask(__name__), stock.troth, mount=mount)


def test_a_secret_that_is_none_is_refused_and_not_shown(stock: Stock) -> None:
    """An empty one too: nobody is served unsigned by accident."""
    for secret in ("", "hunter2", [], ["whsec_short"]):
        with pytest.raises(ConfigurationError, match="secret: ") as caught:
            stock.troth.routes(secret=secret)
        assert "hunter2" not in str(caught.value)


def test_gunicorn_serves_and_streams_batches(gunicorn_serves: Gunicorn, tmp_path: Path) -> None:
    """Preloaded, two worker processes with threads: single calls, and a batch whose slow call holds up no other."""
    port = gunicorn_serves("tests.serving.shelf:app")
    call = call_to("reserve", {"sku": "a", "n": 1})
    assert {send(port, call).body for _ in range(6)} == {b"9"}
    slow = [call_to("await_file", {"path": str(tmp_path / "go")}), *(call_to("areserve", {"n": n}) for n in range(3))]
    lines = batch(port, slow)
    assert sorted(next(lines).n for _ in range(3)) == [2, 3, 4]
    (tmp_path / "go").touch()
    assert [bytes(line.body) for line in lines] == [b'"went"']
