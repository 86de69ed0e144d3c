"""A stock service behind real servers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.crew import environment
from tests.processes.gunicorn import quiet
from tests.serving.asking import listening
from tests.serving.stock import Stock, open_stock


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[Stock]:
    made = open_stock(tmp_path)
    yield made
    made.gate.set()
    made.troth.close()


Serve = Callable[..., int]


@pytest.fixture
def uvicorn_serves() -> Iterator[Serve]:
    """Serve an ASGI application with uvicorn in a thread; gives the port."""
    import uvicorn

    running: list[tuple[Any, threading.Thread]] = []

    def serve(app: Any, **options: Any) -> int:
        listener = listening()
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=5, **options))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread))
        port: int = listener.getsockname()[1]
        return port

    yield serve
    for server, _ in running:
        server.should_exit = True
    for _, thread in running:
        thread.join()


@pytest.fixture
def werkzeug_serves() -> Iterator[Serve]:
    """Serve a WSGI application with werkzeug's threads; gives the port."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Nothing."""

    running: list[tuple[Any, threading.Thread]] = []

    def serve(app: Any) -> int:
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return server.server_port

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


Gunicorn = Callable[[str], int]


@pytest.fixture
def gunicorn_serves(tmp_path: Path) -> Iterator[Gunicorn]:
    """Serve ``module:app`` with gunicorn in the test's directory: two worker processes with threads; gives the port."""
    running: list[tuple[Any, subprocess.Popen[bytes], Any]] = []

    def serve(app: str) -> int:
        listener, told = listening(), (tmp_path / "gunicorn.txt").open("w+b")
        command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--threads", "2", *quiet()]
        command += ["--bind", f"fd://{listener.fileno()}", app]
        process = subprocess.Popen(
            command, env=environment(tmp_path, PYTHONWARNINGS=""), cwd=tmp_path, stdout=told, stderr=told,
            pass_fds=[listener.fileno()],
        )  # fmt: skip
        running.append((listener, process, told))
        port: int = listener.getsockname()[1]
        return port

    yield serve
    for listener, process, told in running:
        process.terminate()
        process.wait(30)
        listener.close()
        told.close()
    said = (tmp_path / "gunicorn.txt").read_text() if running else ""
    assert "Traceback" not in said, said


@pytest.fixture(params=["asgi", "wsgi"])
def served(request: pytest.FixtureRequest, stock: Stock) -> Callable[..., int]:
    """Serve the stock service below /troth, by either kind of server; gives the port."""
    serve = request.getfixturevalue("uvicorn_serves" if request.param == "asgi" else "werkzeug_serves")

    def go(**options: Any) -> int:
        if request.param == "asgi":
            from starlette.applications import Starlette
            from starlette.routing import Mount

            return serve(Starlette(routes=[Mount("/troth", app=stock.troth.routes(**options))]))
        from werkzeug.exceptions import NotFound
        from werkzeug.middleware.dispatcher import DispatcherMiddleware

        return serve(DispatcherMiddleware(NotFound(), {"/troth": stock.troth.wsgi_routes(**options)}))

    return go
