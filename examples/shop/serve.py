"""Run one process of the shop: ``python -m examples.shop.serve stock``."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from typing import Any

from examples.shop.settings import PORTS


def listen(port: int, fd: int | None) -> socket.socket:
    """The socket to listen on: one that our parent keeps open (as systemd does), or a new one."""
    if fd is not None:
        return socket.socket(fileno=fd)
    return socket.create_server(("127.0.0.1", port))


def leave_with_parent() -> None:
    """Whoever started us holds our stdin open: when it is closed, or gone, so do we."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def serve(name: str, listener: socket.socket) -> None:
    """Serve until SIGTERM."""
    app: Any = importlib.import_module(f"examples.shop.{name}").app
    if hasattr(app, "wsgi_app"):
        import waitress  # type: ignore[import-untyped]

        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns when two requests come at once
        waitress.serve(app, sockets=[listener], threads=16)
    else:
        import uvicorn

        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listener])


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser("python -m examples.shop.serve", description=__doc__)
    parser.add_argument("name", choices=PORTS)
    parser.add_argument("--port", type=int, help="default: see settings.py")
    parser.add_argument("--fd", type=int, help="a listening socket that is inherited")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if asked.fd is not None:
        threading.Thread(target=leave_with_parent, daemon=True).start()
    serve(asked.name, listen(asked.port or PORTS[asked.name], asked.fd))


if __name__ == "__main__":
    main()
